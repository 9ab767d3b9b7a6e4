"""Settings: addresses as they stand in URLs, and those that contradict each other."""

import pytest

from agent.llm import ModelConfig, build_models
from agent.settings import OPENROUTER_URL, Settings
from memory.errors import Misconfigured


class TestAnAddress:
    @pytest.mark.parametrize(
        ("host", "address"),
        [("127.0.0.1", "127.0.0.1:8311"), ("::1", "[::1]:8311"), ("::", "[::]:8311"), ("localhost", "localhost:8311")],
    )
    def test_of_ipv6_has_brackets(self, host: str, address: str) -> None:
        http = Settings.load(None, HOST=host, PORT=8311).http
        assert (http.address(), http.address(9)) == (address, address.replace("8311", "9"))


LOCAL = "http://localhost:11434/v1"
APART = {"SECRET_KEY": "s" * 32, "ENCRYPTION_KEYS": "k"}


class TestAContradiction:
    @pytest.mark.parametrize(
        ("variables", "names"),
        [
            ({"CHAT_MODEL": "gpt-4o"}, ["CHAT_MODEL"]),
            ({"FAST_MODEL": "gpt-4o-mini"}, ["FAST_MODEL"]),
            ({"DRAFT_MODEL": "gpt-4o"}, ["DRAFT_MODEL"]),
            ({"JUDGE_MODEL": "gpt-4o"}, ["JUDGE_MODEL"]),
            ({"EMBEDDING_MODEL": "text-embedding-3-small"}, ["EMBEDDING_MODEL"]),
            (
                {**APART, "DATABASE_URL": "postgresql://a/one", "CONNECTION_PG_DB": "postgresql://a/two"},
                ["DATABASE_URL", "CONNECTION_PG_DB"],
            ),
            (
                {"OPENROUTER_API_KEY": "sk-or", "OPENAI_BASE_URL": LOCAL, "CHAT_MODEL": "llama3"},
                ["OPENROUTER_API_KEY", "OPENAI_BASE_URL"],
            ),
            (
                {"OPENROUTER_API_KEY": "sk-or", "OPENAI_BASE_URL": "https://openrouter.ai.example/v1"},
                ["OPENROUTER_API_KEY", "OPENAI_BASE_URL"],
            ),
        ],
    )
    def test_stops_the_start_and_is_named(
        self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], names: list[str]
    ) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(Misconfigured) as error:
            Settings.load(None)
        assert all(name in str(error.value) for name in names)
        assert "sk-or" not in str(error.value)

    @pytest.mark.parametrize(
        ("variables", "key", "url"),
        [
            ({"OPENAI_BASE_URL": LOCAL, "CHAT_MODEL": "llama3", "FAST_MODEL": "llama3"}, None, LOCAL),
            ({"OPENAI_API_KEY": "sk-a", "JUDGE_MODEL": "gpt-4o"}, "sk-a", None),
            ({"FAST_MODEL": "extractive"}, None, None),
            ({"OPENROUTER_API_KEY": "sk-or"}, "sk-or", OPENROUTER_URL),
            ({"OPENROUTER_API_KEY": "sk-or", "OPENAI_BASE_URL": OPENROUTER_URL}, "sk-or", OPENROUTER_URL),
            ({"OPENROUTER_API_KEY": "sk-or", "OPENAI_API_KEY": "sk-a", "OPENAI_BASE_URL": LOCAL}, "sk-a", LOCAL),
            (
                {"OPENROUTER_API_KEY": "sk-or", "OPENAI_API_KEY": "sk-a", "OPENAI_BASE_URL": OPENROUTER_URL},
                "sk-or",
                OPENROUTER_URL,
            ),
        ],
    )
    def test_is_none_where_the_key_belongs_to_the_endpoint(
        self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], key: str | None, url: str | None
    ) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        models = Settings.load(None).models
        assert (models.api_key, models.base_url) == (key, url)

    def test_is_none_where_both_names_of_the_database_say_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {**APART, "CONNECTION_PG_DB": "postgres://a/one"}.items():
            monkeypatch.setenv(name, value)
        assert Settings.load(None).database.url == "postgresql://a/one"
        monkeypatch.setenv("DATABASE_URL", "postgresql://a/one")
        assert Settings.load(None).database.url == "postgresql://a/one"
        assert Settings.load(None, DATABASE_URL="postgresql://b/own").database.url == "postgresql://b/own"

    def test_no_model_is_built_for_a_provider_that_nobody_chose(self) -> None:
        with pytest.raises(Misconfigured, match="gpt-4o-mini"):
            build_models(ModelConfig(fast_model="gpt-4o-mini"))

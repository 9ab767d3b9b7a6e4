"""What reaches standard output: one line each, of one shape, with no secret in it."""

import io
import json
import logging
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from structlog.contextvars import bound_contextvars

from api.logging import GONE, configure, redact, redact_text

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXBhcnQ"
API_KEY = "hk_live_9fJq2mVx71LkTz"


@pytest.fixture(autouse=True)
def _untouched_afterwards(own_logging: None) -> Iterator[None]:
    logging.captureWarnings(False)
    with warnings.catch_warnings():
        yield
        logging.captureWarnings(False)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


class TestOneShape:
    def test_a_line_of_ours_has_its_fields_and_where_and_when_it_was_written(self, capsys):
        configure("INFO", json=True)
        structlog.get_logger("memory.redis").warning("redis is away", waited_s=0.1, tries=[1, 2])
        (line,) = lines(capsys)
        assert line.pop("timestamp").endswith("Z")
        assert line == {
            "event": "redis is away", "level": "warning", "logger": "memory.redis", "waited_s": 0.1, "tries": [1, 2],
        }  # fmt: skip

    def test_a_library_s_line_looks_the_same(self, capsys):
        configure("INFO", json=True)
        logging.getLogger("procrastinate.worker").warning("job %s took %d s", "reindex", 3)
        (line,) = lines(capsys)
        assert (line["event"], line["level"], line["logger"]) == (
            "job reindex took 3 s", "warning", "procrastinate.worker",
        )  # fmt: skip
        assert "timestamp" in line

    def test_the_logger_is_named_after_the_module_that_asks(self, capsys):
        configure("INFO", json=True)
        structlog.get_logger().info("hello")
        assert lines(capsys)[0]["logger"] == __name__

    def test_the_request_id_is_on_every_line_of_its_request_and_on_no_other(self, capsys):
        configure("INFO", json=True)
        with bound_contextvars(request_id="0199aa"):
            structlog.get_logger("agent").info("ours")
            logging.getLogger("alembic.runtime").warning("theirs")
        structlog.get_logger("agent").info("later")
        assert [line.get("request_id") for line in lines(capsys)] == ["0199aa", "0199aa", None]

    def test_the_server_s_own_handlers_are_replaced(self, capsys):
        uvicorn.Config(app=lambda: None)  # sets its handlers up
        configure("INFO", json=True)
        logging.getLogger("uvicorn.error").info("Started server process")
        logging.getLogger("uvicorn.access").info('%s - "%s %s" %d', "127.0.0.1", "GET", "/livez", 200)
        captured = capsys.readouterr()
        assert captured.err == ""
        assert [json.loads(line)["event"] for line in captured.out.splitlines()] == [
            "Started server process", '127.0.0.1 - "GET /livez" 200',
        ]  # fmt: skip

    def test_configuring_twice_writes_once_and_leaves_others_handlers(self, capsys, caplog):
        configure("INFO", json=True)
        configure("INFO", json=True)
        logging.getLogger("api").info("once")
        assert len(lines(capsys)) == 1
        assert [record.message for record in caplog.records] == ["once"]

    def test_a_warning_of_python_is_a_line_too(self, capsys):
        configure("INFO", json=True)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("this will go away", UserWarning, stacklevel=1)
        (line,) = lines(capsys)
        assert line["logger"] == "py.warnings"
        assert "this will go away" in line["event"]

    def test_it_writes_to_the_standard_output_of_the_moment(self, capsys, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", io.StringIO())
            configure("INFO", json=True)
            sys.stdout.close()
        logging.getLogger("api").info("hello")
        out, err = capsys.readouterr()
        assert "hello" in out
        assert err == ""

    @given(st.text() | st.text(alphabet=st.sampled_from('\n\r\x00\x1b\ud800\u2028"\\')))
    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def test_whatever_is_in_a_message_it_stays_in_its_line(self, capsys, text):
        configure("INFO", json=True)
        structlog.get_logger("api").info("said", text=text)
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        assert json.loads(out)["event"] == "said"

    def test_what_json_has_not_is_written_as_text(self, capsys):
        class Broken:
            def __str__(self) -> str:
                raise RuntimeError("no")

        loop: list[object] = []
        loop.append(loop)
        configure("INFO", json=True)
        structlog.get_logger("api").info("odd", a=Broken(), b=float("nan"), c={1: {2}}, d=loop, e=ValueError("x"))
        (line,) = lines(capsys)
        assert (line["a"], line["b"], line["c"], line["e"]) == ("<Broken>", "nan", {"1": [2]}, "ValueError('x')")

    def test_for_a_person_it_is_a_plain_line(self, capsys):
        configure("INFO", json=False)
        structlog.get_logger("api").info("ready", url="http://127.0.0.1:8000")
        out = capsys.readouterr().out
        assert "ready" in out
        assert "url=http://127.0.0.1:8000" in out
        assert not out.startswith("{")


class TestLevels:
    def test_debug_is_for_our_own_code(self, capsys):
        configure("DEBUG", json=True)
        for name in ("memory.turns", "sse_starlette.sse", "openai._base_client", "python_multipart.multipart"):
            logging.getLogger(name).debug("in %s", name)
        structlog.get_logger("agent.graph").debug("in agent.graph")
        assert [line["logger"] for line in lines(capsys)] == ["memory.turns", "agent.graph"]

    def test_libraries_that_write_addresses_or_statements_speak_only_to_warn(self, capsys):
        configure("DEBUG", json=True)
        for name in ("httpx", "sqlalchemy.engine"):
            logging.getLogger(name).info("too much")
            logging.getLogger(name).warning("worth knowing")
        assert [line["event"] for line in lines(capsys)] == ["worth knowing"] * 2

    def test_a_higher_level_holds_for_all(self, capsys):
        configure("ERROR", json=True)
        for name in ("api", "uvicorn.error", "httpx", "anything"):
            logging.getLogger(name).warning("hm")
        structlog.get_logger("memory").warning("hm")
        assert lines(capsys) == []


class TestSecretsByName:
    @pytest.mark.parametrize(
        "name",
        ["Authorization", "X-Api-Key", "x_widget_key", "password", "new_password", "secret", "client_secret", "token",
         "visitor_token", "accessToken", "openaiApiKey", "SECRET_KEY", "encryption_keys", "Set-Cookie", "jwt",
         "identity_tokens", "credentials", "webhook-signature", "apikey", "APIKey"],
    )  # fmt: skip
    def test_the_value_is_left_out(self, name):
        for value in ("plain-words", ["a", "b"], {"a": "b"}, b"bytes", SecretStr("x")):
            assert redact(None, "info", {name: value}) == {name: GONE}

    @pytest.mark.parametrize(
        ("name", "value"),
        [("output_tokens", 512), ("token", None), ("keyword", "mailbox"), ("tokenizer", "wordpiece"), ("turn", "t1"),
         ("monkey", "x"), ("key_count", 3), ("has_password", True)],
    )  # fmt: skip
    def test_counts_and_other_words_stay(self, name, value):
        assert redact(None, "info", {name: value}) == {name: value}

    def test_inside_other_values_too(self):
        found = redact(None, "info", {"request": {"headers": [("Authorization", "x"), (b"cookie", b"y"), ("Host", "z")],
                                                  "body": {"user": {"password": "p"}, "page": 2}}})  # fmt: skip
        assert found == {
            "request": {
                "headers": [["Authorization", GONE], ["b'cookie'", GONE], ["Host", "z"]],
                "body": {"user": {"password": GONE}, "page": 2},
            }
        }


class TestSecretsInText:
    @pytest.mark.parametrize(
        ("text", "secret"),
        [
            ("postgresql://helpdesk_app:hunter2@db:5432/helpdesk refused", "hunter2"),
            ("redis://:hunter2@redis:6379/0", "hunter2"),
            ("https://hunter2@example.org/x", "hunter2"),
            ("postgresql://a:hun@ter2@db/x", "ter2"),
            ("host=db user=app password=hunter2 dbname=x", "hunter2"),
            ("password='hun ter2' host=db", "ter2"),
            ('{"password": "hun\\"ter2", "page": 2}', "ter2"),
            ("{'api_key': 'hunter2'}", "hunter2"),
            ("{'token': b'hunter2'}", "hunter2"),
            ("GET /events?after=3&visitor_token=hunter2&x=1", "hunter2"),
            ("Authorization: Bearer hunter2", "hunter2"),
            ("authorization=Basic aHVudGVyMg==", "aHVudGVyMg"),
            ("sent bearer abcdefghijkl.mnop", "abcdefghijkl"),
            (f"key {API_KEY} is revoked", API_KEY[3:]),
            ("Incorrect API key provided: sk-proj-abcdefghij", "abcdefghij"),
            ("signed with whsec_MDEyMzQ1Njc4OWFi", "MDEyMzQ1"),
            (f"token is <{JWT}>", JWT.split(".")[1]),
            (JWT.rsplit(".", 1)[0], "eyJzdWIi"),
        ],
    )
    def test_a_credential_is_cut_out(self, text, secret):
        assert secret in text
        assert secret not in redact_text(text)
        assert GONE in redact_text(text)

    @pytest.mark.parametrize(
        "text",
        ["https://example.org/docs?page=2#top", "mail to ann@example.org", "https://example.org/@ann?mail=a@b.example",
         "used 512 tokens: 500 in, 12 out", "task-force-alpha-and-beta", "hk_ is a prefix", "the key was changed",
         "GET /api/v1/chat/sessions/0199aa 200"],
    )  # fmt: skip
    def test_ordinary_text_stays(self, text):
        assert redact_text(text) == text

    def test_the_rest_of_the_text_stays(self):
        assert redact_text("password=x host=db") == f"password={GONE} host=db"
        assert redact_text("postgresql://u:p@db/x") == f"postgresql://{GONE}@db/x"

    @pytest.mark.parametrize(
        "part",
        ["://", "eyJ", "a", "token", 'token="', "bearer ", "@", "://a@", "eyJaaaaaaaa.", "sk-", "password=\\", " "],
    )
    def test_a_hostile_text_costs_linear_time(self, part):
        def cost(size: int) -> float:
            text = part * (size // len(part))
            start = time.process_time()
            redact_text(text)
            return time.process_time() - start

        assert cost(400_000) < 1.0

    @pytest.mark.parametrize("as_json", [True, False])
    def test_on_every_way_to_the_log(self, capsys, as_json):
        configure("INFO", json=as_json)
        url = "postgresql://app:hunter2@db/x"
        structlog.get_logger("api").info(f"connecting to {url}", url=url, error=ValueError(url), where=[url], at={url})
        structlog.get_logger("api").info("connecting to %s", url)
        logging.getLogger("uvicorn.error").info("connecting to %s", url)
        with bound_contextvars(peer=url):
            logging.getLogger("uvicorn.error").info("hello")
        out = capsys.readouterr().out
        assert "hunter2" not in out
        assert out.count("[redacted]@db/x") == 8


class TestTracebacks:
    @pytest.mark.parametrize("as_json", [True, False])
    @pytest.mark.parametrize("ours", [True, False])
    def test_tell_the_place_and_the_cause_but_no_local_variable(self, capsys, as_json, ours):
        configure("INFO", json=as_json)
        logger = structlog.get_logger("api") if ours else logging.getLogger("procrastinate")
        try:
            fail("customer's own " + "words")
        except RuntimeError:
            logger.exception("turn failed")
        out, err = capsys.readouterr()
        assert err == ""
        assert "in fail" in out
        assert "ZeroDivisionError" in out
        assert "RuntimeError: refused by postgresql://[redacted]@db/x" in out
        assert "customer's own words" not in out

    def test_is_one_field_of_one_line(self, capsys):
        configure("INFO", json=True)
        try:
            fail("x")
        except RuntimeError:
            structlog.get_logger("api").exception("turn failed", turn_id="t1")
        (line,) = lines(capsys)
        assert line["exception"].startswith("Traceback")
        assert (line["event"], line["level"], line["turn_id"]) == ("turn failed", "error", "t1")


def fail(text: str) -> None:
    held = text.upper(), text
    try:
        _ = len(held) / 0
    except ZeroDivisionError as error:
        raise RuntimeError("refused by postgresql://app:hunter2@db/x") from error

"""Which model serves which role, and how each is built."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from agent.extractive import ExtractiveChat, SentenceScorer
from agent.llm.breaker import Breaker
from memory.errors import Misconfigured

if TYPE_CHECKING:
    from agent.llm.guarded import GuardedChatOpenAI

EXTRACTIVE = "extractive"
OPENAI_URL = "https://api.openai.com/v1"
CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Which model serves which role; names are the provider's, or `extractive` for the built-in one."""

    chat_model: str = EXTRACTIVE
    fast_model: str | None = None
    draft_model: str | None = None
    """Writes ticket drafts; the chat model where unset."""
    judge_model: str | None = None
    base_url: str | None = None
    """Any OpenAI-compatible endpoint; OpenAI's own where unset."""
    api_key: str | None = field(default=None, repr=False)
    temperature: float = 0.3
    max_tokens: int = 1000
    chunk_timeout_s: float = 10.0
    deadline_s: float = 30.0
    """How long one request may take in all; callers pass it on as `deadline_s`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """A chat model per role; `fast` and `judge` are None where nothing is configured."""

    answer: BaseChatModel
    fast: BaseChatModel | None
    draft: BaseChatModel
    judge: BaseChatModel | None
    breaker: Breaker
    """Of the provider that all roles share."""

    async def aclose(self) -> None:
        """Closes the connections to the provider, which all roles share."""
        for model in (self.answer, self.fast, self.draft, self.judge):
            if client := getattr(model, "http_async_client", None):
                await client.aclose()


def build_models(config: ModelConfig, *, sentence_scorer: SentenceScorer | None = None) -> Models:
    """The models of all roles, over one pool of connections. `sentence_scorer` sharpens the built-in model. Raises
    Misconfigured where a model is named but neither an endpoint nor a key: nothing a customer wrote goes to a provider
    that nobody chose."""
    names = {config.chat_model, config.fast_model, config.draft_model, config.judge_model} - {None, EXTRACTIVE}
    if names and not (config.base_url or config.api_key):
        raise Misconfigured(f"no endpoint and no key for {', '.join(sorted(map(str, names)))}")
    clients = _http_clients(config) if names else {}
    breaker = Breaker()

    def build(name: str) -> BaseChatModel:
        if name == EXTRACTIVE:
            return ExtractiveChat(scorer=sentence_scorer)
        return _chat_openai(config, name, breaker, clients)

    answer = build(config.chat_model)
    return Models(
        answer=answer,
        fast=build(config.fast_model) if config.fast_model else None,
        draft=build(config.draft_model) if config.draft_model else answer,
        judge=build(config.judge_model) if config.judge_model else None,
        breaker=breaker,
    )


def _http_clients(config: ModelConfig) -> dict[str, Any]:
    # Imported here because it takes half a second, which the built-in model need not pay.
    import httpx2

    from kbs.endpoints import certificates, open_client

    timeout = httpx2.Timeout(config.chunk_timeout_s, connect=CONNECT_TIMEOUT_S)
    # Without the second one, which nothing uses, the library would make its own, certificates and all.
    return {"http_async_client": open_client(timeout), "http_client": httpx2.Client(verify=certificates())}


def _chat_openai(config: ModelConfig, name: str, breaker: Breaker, clients: dict[str, Any]) -> "GuardedChatOpenAI":
    from agent.llm.guarded import GuardedChatOpenAI  # here, as above

    # URL and key are always given, so that the library does not look into the environment for them.
    return GuardedChatOpenAI(
        model=name,
        breaker=breaker,
        base_url=config.base_url or OPENAI_URL,
        api_key=SecretStr(config.api_key or "none"),
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        use_responses_api=False,
        stream_usage=True,
        timeout=(CONNECT_TIMEOUT_S, config.chunk_timeout_s),
        stream_chunk_timeout=config.chunk_timeout_s,
        max_retries=0,
        **clients,
    )

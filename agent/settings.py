"""Every setting, read from the environment or `.env` here and nowhere else.

Names are flat on the outside (`DATABASE_URL`) and grouped by area inside (`settings.database.url`). A name in `.env`
that is none of ours, a value that does not parse, or two settings that contradict each other stop the start with an
error that names the variable.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from memory.errors import Misconfigured
from memory.tenancy import Principal
from tools.prices import Prices

BUILT_IN = "extractive"
OPENROUTER_HOST = "openrouter.ai"
OPENROUTER_URL = f"https://{OPENROUTER_HOST}/api/v1"


class _Area(BaseSettings):
    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True, populate_by_name=True)


Area = TypeVar("Area", bound=_Area)


class DatabaseSettings(_Area):
    url: str | None = Field(default=None, validation_alias=AliasChoices("DATABASE_URL", "CONNECTION_PG_DB"))
    other_name: str | None = Field(default=None, validation_alias="CONNECTION_PG_DB")
    """What the address's second name says, to be compared; `url` is the one that counts."""
    owner_url: str | None = Field(default=None, validation_alias="DATABASE_OWNER_URL")
    vector_url: str | None = Field(default=None, validation_alias="CONNECTION_PG_VECTORDB")
    pool_size: int = Field(default=16, ge=2, le=200, validation_alias="DATABASE_POOL_SIZE")

    @field_validator("url", "other_name", "owner_url", "vector_url")
    @classmethod
    def _scheme(cls, url: str | None) -> str | None:
        if url is None:
            return None
        scheme, _, rest = url.partition("://")
        if scheme.split("+")[0] not in ("postgres", "postgresql"):
            raise ValueError("must be a postgresql:// address")
        return f"postgresql://{rest}"

    @property
    def embedded(self) -> bool:
        return self.url is None


class RedisSettings(_Area):
    url: str | None = Field(default=None, validation_alias="REDIS_URL")


class SecuritySettings(_Area):
    secret_key: SecretStr | None = Field(default=None, min_length=32, validation_alias="SECRET_KEY")
    encryption_keys: SecretStr | None = Field(default=None, validation_alias="ENCRYPTION_KEYS")
    jwt_algorithm: Literal["HS256", "HS384", "HS512"] = Field(default="HS256", validation_alias="JWT_ALGORITHM")
    access_token_minutes: int = Field(default=30, ge=1, le=1440, validation_alias="ACCESS_TOKEN_EXPIRE_MINUTES")


class HttpSettings(_Area):
    host: str = Field(default="127.0.0.1", validation_alias="HOST")
    port: int = Field(default=8000, ge=0, le=65535, validation_alias="PORT")
    trusted_proxies: str = Field(default="", validation_alias="TRUSTED_PROXIES")
    cors_origins: str = Field(default="", validation_alias="CORS_ORIGINS")
    max_body_bytes: int = Field(default=1_048_576, ge=1024, validation_alias="MAX_BODY_BYTES")
    requests_per_minute: int = Field(default=120, ge=1, validation_alias="REQUESTS_PER_MINUTE")
    messages_per_minute: int = Field(default=30, ge=1, validation_alias="MESSAGES_PER_MINUTE")
    outbound_allowed_hosts: str = Field(default="", validation_alias="OUTBOUND_ALLOWED_HOSTS")
    staff_requests_per_minute: int = Field(default=600, ge=1, validation_alias="STAFF_REQUESTS_PER_MINUTE")
    key_requests_per_minute: int = Field(default=3000, ge=1, validation_alias="KEY_REQUESTS_PER_MINUTE")

    def requests_of(self, principal: Principal) -> int:
        """That a caller may send in a minute: a colleague has several views open that look for news, a tenant's server
        asks for many customers at once. Nobody may send less than a customer."""
        own = self.requests_per_minute
        if principal.is_server:
            return max(own, self.key_requests_per_minute)
        return max(own, self.staff_requests_per_minute) if principal.role.is_staff else own

    def address(self, port: int | None = None) -> str:
        """`host:port` as it stands in a URL, where an IPv6 address has brackets; `port` instead of the one that is set."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port if port is None else port}"

    @property
    def origins(self) -> list[str]:
        return [origin.strip().rstrip("/") for origin in self.cors_origins.split(",") if origin.strip()]

    @property
    def reachable(self) -> frozenset[str]:
        """Hosts as `host:port` that webhooks may go to, and a WHMCS may be at, although they are not public."""
        return frozenset(host.strip().lower() for host in self.outbound_allowed_hosts.split(",") if host.strip())


class AttachmentSettings(_Area):
    max_bytes: int = Field(default=10_485_760, ge=1024, le=2**28, validation_alias="MAX_ATTACHMENT_BYTES")
    max_files: int = Field(default=5, ge=1, le=20, validation_alias="MAX_ATTACHMENTS")


class ModelSettings(_Area):
    chat_model: str | None = Field(default=None, validation_alias="CHAT_MODEL")
    fast_model: str | None = Field(default=None, validation_alias="FAST_MODEL")
    draft_model: str | None = Field(default=None, validation_alias="DRAFT_MODEL")
    judge_model: str | None = Field(default=None, validation_alias="JUDGE_MODEL")
    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(default=None, validation_alias="OPENAI_BASE_URL")
    openrouter_api_key: SecretStr | None = Field(default=None, validation_alias="OPENROUTER_API_KEY")
    input_price: float = Field(default=0, ge=0, validation_alias="TOKEN_PRICE_INPUT")
    output_price: float = Field(default=0, ge=0, validation_alias="TOKEN_PRICE_OUTPUT")

    @property
    def prices(self) -> Prices:
        return Prices(input=self.input_price, output=self.output_price)

    @property
    def api_key(self) -> str | None:
        """The key that belongs to the endpoint: at OpenRouter its own where there is one."""
        keys = (self.openai_api_key, self.openrouter_api_key)
        first, second = reversed(keys) if _at_openrouter(self.openai_base_url) else keys
        key = first or second
        return key.get_secret_value() if key else None

    @property
    def base_url(self) -> str | None:
        if self.openai_base_url is None and self.openai_api_key is None and self.openrouter_api_key is not None:
            return OPENROUTER_URL
        return self.openai_base_url

    @property
    def sends_key_elsewhere(self) -> bool:
        """Whether the key for OpenRouter would go to somebody else."""
        alone = self.openrouter_api_key is not None and self.openai_api_key is None
        return alone and self.openai_base_url is not None and not _at_openrouter(self.openai_base_url)

    @property
    def reachable(self) -> bool:
        """Whether there is anybody to ask; a local endpoint wants no key."""
        return bool(self.api_key or self.base_url)

    @property
    def named(self) -> list[str]:
        """The variables that name a model other than the built-in one."""
        chosen = {"CHAT_MODEL": self.chat_model, "FAST_MODEL": self.fast_model, "DRAFT_MODEL": self.draft_model,
                  "JUDGE_MODEL": self.judge_model}  # fmt: skip
        return [variable for variable, name in chosen.items() if name not in (None, "", BUILT_IN)]

    @property
    def answer(self) -> str:
        return self.chat_model or ("gpt-4o" if self.api_key else BUILT_IN)

    @property
    def fast(self) -> str | None:
        return self.fast_model or ("gpt-4o-mini" if self.api_key and self.answer != BUILT_IN else None)


class KnowledgeSettings(_Area):
    embedding_model: str = Field(default="minilm", validation_alias="EMBEDDING_MODEL")
    index: Literal["pgvector", "chroma"] = Field(default="pgvector", validation_alias="KNOWLEDGE_INDEX")
    index_name: str = Field(default="helpdesk", pattern=r"^[a-z][a-z0-9_-]{2,40}$", validation_alias="CONNECTION_NAME")
    chroma_url: str | None = Field(default=None, validation_alias="CHROMA_URL")


class AppSettings(_Area):
    debug: bool = Field(default=False, validation_alias="DEBUG")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", validation_alias="LOG_LEVEL")
    data_dir: Path = Field(default=Path("data"), validation_alias="DATA_DIR")


def _at_openrouter(url: str | None) -> bool:
    host = (urlsplit(url).hostname or "") if url else ""
    return host == OPENROUTER_HOST or host.endswith(f".{OPENROUTER_HOST}")


AREAS: tuple[type[_Area], ...] = (
    AppSettings, DatabaseSettings, RedisSettings, SecuritySettings, HttpSettings, AttachmentSettings, ModelSettings,
    KnowledgeSettings,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All areas together; made by `load`."""

    app: AppSettings
    database: DatabaseSettings
    redis: RedisSettings
    security: SecuritySettings
    http: HttpSettings
    attachments: AttachmentSettings
    models: ModelSettings
    knowledge: KnowledgeSettings

    @classmethod
    def load(cls, env_file: Path | str | None = ".env", **overrides: Any) -> Self:
        """`overrides`, by the names of variables, then the environment, then `env_file`. Raises Misconfigured."""
        path = Path(env_file) if env_file and Path(env_file).is_file() else None
        if path:
            _refuse_unknown(path)

        def read(area: type[Area]) -> Area:
            return area(_env_file=path, **overrides)

        try:
            settings = cls(
                app=read(AppSettings), database=read(DatabaseSettings), redis=read(RedisSettings),
                security=read(SecuritySettings), http=read(HttpSettings), attachments=read(AttachmentSettings),
                models=read(ModelSettings), knowledge=read(KnowledgeSettings),
            )  # fmt: skip
        except ValidationError as error:
            raise Misconfigured(
                "; ".join(f"{_name(found['loc'])}: {found['msg']}" for found in error.errors())
            ) from None
        settings._check()
        return settings

    @property
    def embedded(self) -> bool:
        return self.database.embedded

    def _check(self) -> None:
        security = self.security
        if not self.embedded and (security.secret_key is None or security.encryption_keys is None):
            raise Misconfigured("SECRET_KEY and ENCRYPTION_KEYS are required with DATABASE_URL")
        if self.embedded and self.database.owner_url:
            raise Misconfigured("DATABASE_OWNER_URL is set but DATABASE_URL is not")
        if self.database.other_name not in (None, self.database.url):
            raise Misconfigured("DATABASE_URL and CONNECTION_PG_DB name different databases")
        named = [*self.models.named, *(["EMBEDDING_MODEL"] if self.knowledge.embedding_model != "minilm" else [])]
        if named and not self.models.reachable:
            raise Misconfigured(f"{named[0]} names a model, but neither OPENAI_API_KEY nor OPENAI_BASE_URL is set")
        if self.models.sends_key_elsewhere:
            raise Misconfigured(
                "OPENROUTER_API_KEY is set, but OPENAI_BASE_URL names another host; OPENAI_API_KEY is the key for that one"
            )
        if self.database.vector_url and self.embedded:
            raise Misconfigured("CONNECTION_PG_VECTORDB is set but DATABASE_URL is not")
        if self.knowledge.chroma_url and self.knowledge.index != "chroma":
            raise Misconfigured("CHROMA_URL is set but KNOWLEDGE_INDEX is not chroma")


def _names(area: type[_Area]) -> set[str]:
    found: set[str] = set()
    for field in area.model_fields.values():
        alias = field.validation_alias
        found |= set(map(str, alias.choices)) if isinstance(alias, AliasChoices) else ({str(alias)} if alias else set())
    return found


def variables() -> set[str]:
    """The names of all settings, as the environment and the README spell them."""
    return set[str]().union(*map(_names, AREAS))


def _refuse_unknown(path: Path) -> None:
    with path.open(encoding="utf-8") as lines:
        for line in parse_stream(lines):
            if line.error:
                raise Misconfigured(f"line {line.original.line} of {path} can't be read: a line is NAME=value")
    unknown = sorted(set(dotenv_values(path)) - variables() - COMPOSE_ONLY)
    if unknown:
        raise Misconfigured(f"{path} sets {', '.join(unknown)}, which is no setting of this product")


def _name(location: tuple[int | str, ...]) -> str:
    return str(location[0]) if location else "settings"


COMPOSE_ONLY = frozenset({"POSTGRES_PASSWORD", "HELPDESK_OWNER_PASSWORD", "HELPDESK_APP_PASSWORD", "GRAFANA_PASSWORD"})
"""Read by `compose.yaml` from the same file."""

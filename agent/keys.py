"""The keys that sign and encrypt: as configured, or made once and kept in files where the database is embedded.

Both raise Misconfigured where a database was configured and they were not.
"""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agent.settings import Settings
from memory.encryption import Cipher
from memory.errors import Misconfigured


def secret_key(settings: Settings) -> str:
    """The key that signs tokens; embedded mode makes its own once."""
    if settings.security.secret_key:
        return settings.security.secret_key.get_secret_value()
    return _own(settings, "secret_key", lambda: secrets.token_urlsafe(48))


def encryption_keys(settings: Settings) -> list[str]:
    """The keys of stored secrets, newest first; embedded mode makes its own once."""
    given = settings.security.encryption_keys
    if given:
        return [key.strip() for key in given.get_secret_value().split(",") if key.strip()]
    return [_own(settings, "encryption_key", Cipher.new_key)]


def _own(settings: Settings, name: str, make: Callable[[], str]) -> str:
    if not settings.embedded:
        raise Misconfigured(f"{name.upper()} is required with DATABASE_URL")
    path: Path = settings.app.data_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(make())
    with suppress(FileExistsError):
        os.link(draft, path)  # whole or not at all: another process may be reading
    draft.unlink()
    return path.read_text().strip()

"""Passwords, through argon2: slow by design, so never on the event loop and never many at once."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher()
_WORKERS = ThreadPoolExecutor(2, thread_name_prefix="password")
"""Each hash takes 64 MiB: a flood of sign-ins waits here instead of filling the memory."""


async def hash_password(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_WORKERS, _HASHER.hash, password)


async def check_password(password: str, hashed: str | None) -> bool:
    """Whether the password fits; without a hash it never does, after the same time."""

    def verify() -> bool:
        try:
            return _HASHER.verify(hashed or _nobody(), password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False

    return await asyncio.get_running_loop().run_in_executor(_WORKERS, verify)


@cache
def _nobody() -> str:
    """Verified when an address is unknown, so that the time taken does not tell."""
    return _HASHER.hash("no one has this password")

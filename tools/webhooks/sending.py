"""One attempt to deliver: sign, send, and say in plain words what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from memory.encryption import Cipher
from memory.errors import Misconfigured
from tools.outbound import NoAnswer, Outbound, Refused
from tools.webhooks.schedule import GONE, asked_to_wait_s
from tools.webhooks.signing import signed_headers

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A delivery that this process has leased for one attempt."""

    tenant_id: UUID
    endpoint_id: UUID
    delivery_id: UUID
    attempts: int
    """This one included; also the fence, since a later lease has a higher one."""
    url: str
    payload: dict[str, Any]
    sealed_secrets: Sequence[str]
    """Encrypted, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an attempt; `error` is None where it was delivered."""

    status: int | None = None
    error: str | None = None
    asked_s: float | None = None
    ours: bool = False
    """The receiver is not to blame."""

    @property
    def gone(self) -> bool:
        return self.status == GONE


OUR_FAULT = Outcome(error="an error on our side", ours=True)


async def send(outbound: Outbound, cipher: Cipher, taken: Taken, *, timeout_s: float = TIMEOUT_S) -> Outcome:
    """Attempt a delivery; what the receiver answers is judged by its status alone and never read."""
    now = datetime.now(UTC)
    body = orjson.dumps(taken.payload)
    try:
        keys = [cipher.decrypt(sealed) for sealed in taken.sealed_secrets]
    except Misconfigured:
        return Outcome(error="its secret can't be read: an older encryption key is missing", ours=True)
    headers = {"Content-Type": "application/json", **signed_headers(taken.delivery_id, now, body, keys)}
    try:
        answer = await outbound.request("POST", taken.url, headers=headers, body=body, timeout_s=timeout_s)
    except (Refused, NoAnswer) as error:
        return Outcome(error=error.detail)
    return judge(answer.status, answer.headers.get("retry-after"), now)


def judge(status: int, retry_after: str | None, now: datetime) -> Outcome:
    if 200 <= status < 300:
        return Outcome(status=status)
    if status == GONE:
        return Outcome(status=status, error="it answered 410: nobody listens there any more")
    if 300 <= status < 400:
        return Outcome(status=status, error=f"it answered {status}, a redirect, and redirects are not followed")
    return Outcome(status=status, error=f"it answered {status}", asked_s=asked_to_wait_s(retry_after, now))

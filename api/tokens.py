"""Bearer tokens: what is signed, with which key, for which audience. Encoding and checking stand together here.

    access      a user who signed in          aud helpdesk:access    ACCESS_TOKEN_EXPIRE_MINUTES, renewed up to 12 hours
    visitor     a customer without an account aud helpdesk:visitor   30 days
    identity    signed by the tenant's site   aud helpdesk           at most an hour, under the tenant's own secret

Each audience has its own key, derived from SECRET_KEY, so that one kind can never pass for another. Role and active
flag are not in a token, nor whether its user signed out: they are read on each request.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal
from uuid import UUID

import jwt
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from api.schemas.common import CleanText, Line
from api.schemas.people import AudienceName
from memory.errors import NotAuthenticated
from memory.models import new_id
from tools.identity.principals import Identity

Kind = Literal["access", "visitor"]
ISSUER = "helpdesk"
LEEWAY_S = 30
VISITOR_DAYS = 30
IDENTITY_HOURS = 1
SIGNED_IN_HOURS = 12
"""A working day: that an access token may be renewed without the password."""
MOST_KEPT = 2048
"""Tokens that a process need not check again, of half a kilobyte each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    kind: Kind
    tenant_id: UUID
    subject: UUID
    epoch: int
    signed_in: float
    """When the password was given, on the clock of the process that took it; seconds."""
    sign_in: str
    """What was begun with the password, the same in each renewed token; empty in tokens of before there was one."""


class Tokens:
    """Makes and checks our own tokens, and checks those of a tenant's site.

    When one of ours was issued says nothing: the clock of the process that did it may be wrong.
    """

    def __init__(self, secret: str, *, algorithm: str = "HS256", access_minutes: int = 30) -> None:
        self._algorithm = algorithm
        self._life: dict[Kind, timedelta] = {
            "access": timedelta(minutes=access_minutes), "visitor": timedelta(days=VISITOR_DAYS),
        }  # fmt: skip
        self._keys: dict[Kind, bytes] = {kind: _derive(secret, kind) for kind in self._life}
        # A signature is checked once: a caller sends the same token with each request.
        self._named = lru_cache(MOST_KEPT)(_named)
        self._signed = lru_cache(MOST_KEPT)(self._verified)

    def issue(
        self,
        kind: Kind,
        *,
        tenant_id: UUID,
        subject: UUID,
        epoch: int,
        signed_in: float | None = None,
        sign_in: str = "",
    ) -> str:
        now = datetime.now(UTC)
        claims = {
            "iss": ISSUER, "aud": f"{ISSUER}:{kind}", "sub": str(subject), "tenant_id": str(tenant_id),
            "epoch": epoch, "iat": now, "exp": now + self._life[kind],
            "auth_time": int(now.timestamp() if signed_in is None else signed_in), "sid": sign_in or new_id().hex,
        }  # fmt: skip
        return jwt.encode(claims, self._keys[kind], self._algorithm, headers={"kid": kind})

    def renew(self, token: str) -> str:
        """Another access token for who has one that holds. Raises NotAuthenticated, also half a day after they signed in."""
        held = self.check(token, "access")
        if time.time() > held.signed_in + SIGNED_IN_HOURS * 3600:
            raise NotAuthenticated("sign in again")
        return self.issue(
            "access", tenant_id=held.tenant_id, subject=held.subject, epoch=held.epoch, signed_in=held.signed_in,
            sign_in=held.sign_in,
        )  # fmt: skip

    def last_end(self, held: Claims) -> float:
        """When the last token that may come of this one by renewing has ended for certain; seconds."""
        return held.signed_in + SIGNED_IN_HOURS * 3600 + self.lifetime_s("access") + 2 * LEEWAY_S

    def lifetime_s(self, kind: Kind) -> int:
        return int(self._life[kind].total_seconds())

    def kind_of(self, token: str) -> Kind | None:
        """Which of our keys a token claims; None for a token of a tenant's site."""
        kind = self._named(token)
        return kind if kind in self._keys else None

    def check(self, token: str, kind: Kind) -> Claims:
        """The claims of one of our tokens. Raises NotAuthenticated."""
        claims, until = self._signed(token, kind)
        if until <= time.time() - LEEWAY_S:
            raise NotAuthenticated("this token does not hold")
        return claims

    def _verified(self, token: str, kind: Kind) -> tuple[Claims, float]:
        """What a token says, and until when it may."""
        claims = _decode(token, self._keys[kind], [self._algorithm], f"{ISSUER}:{kind}", issuer=ISSUER)
        try:
            said = Claims(
                kind=kind, tenant_id=UUID(claims["tenant_id"]), subject=UUID(claims["sub"]), epoch=int(claims["epoch"]),
                signed_in=float(claims.get("auth_time", claims["iat"])), sign_in=str(claims.get("sid", "")),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError):
            raise NotAuthenticated("this token can't be read") from None
        return said, float(claims["exp"])

    def check_identity(self, token: str, secret: str) -> Identity:
        """What a tenant's site says about its visitor. Raises NotAuthenticated."""
        claims = _decode(token, secret.encode(), ["HS256"], ISSUER)
        if claims["exp"] - claims["iat"] > IDENTITY_HOURS * 3600 + LEEWAY_S:
            raise NotAuthenticated("an identity token may live for an hour at most")
        try:
            said = _Said.model_validate(claims)
        except ValidationError:
            raise NotAuthenticated("a claim of this identity token has the wrong form") from None
        return Identity(
            external_id=said.sub, email=said.email.lower() if said.email else None, name=said.name or "",
            email_verified=said.email_verified is True, audience=tuple(said.audience or ()),
        )  # fmt: skip


class _Said(BaseModel):
    """The claims of an identity token that we keep; names of ours alone, a site may add its own."""

    sub: Line
    email: Annotated[CleanText, StringConstraints(max_length=320)] | None = None
    email_verified: Any = None
    name: Annotated[CleanText, StringConstraints(max_length=200)] | None = None
    audience: Annotated[list[AudienceName], Field(max_length=20)] | None = None


def _named(token: str) -> Any:
    """The name of the key in a token's header."""
    try:
        return jwt.get_unverified_header(token).get("kid")
    except jwt.InvalidTokenError:
        raise NotAuthenticated("this token can't be read") from None


def _decode(token: str, key: bytes, algorithms: list[str], audience: str, issuer: str | None = None) -> dict[str, Any]:
    required = ["exp", "iat", "aud", "sub"]
    try:
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=algorithms, audience=audience, issuer=issuer, leeway=LEEWAY_S,
            options={"require": required, "verify_iat": issuer is None},
        )  # fmt: skip
    except (jwt.InvalidTokenError, OverflowError):
        raise NotAuthenticated("this token does not hold") from None
    if not all(isinstance(claims[name], int | float) for name in ("exp", "iat")):
        raise NotAuthenticated("this token does not hold")
    return claims


def _derive(secret: str, purpose: str) -> bytes:
    return hmac.digest(secret.encode(), f"helpdesk token {purpose}".encode(), hashlib.sha256)

"""Our own tokens: checked once, and held to their end each time."""

import time
from datetime import timedelta

import pytest

from api.tokens import LEEWAY_S, SIGNED_IN_HOURS, Kind, Tokens
from memory.errors import NotAuthenticated
from memory.models import new_id

SECRET = "a secret of some length, for tests"


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(SECRET, access_minutes=1)


def issued(tokens: Tokens, kind: Kind = "access") -> str:
    return tokens.issue(kind, tenant_id=new_id(), subject=new_id(), epoch=3)


def test_a_token_says_the_same_each_time(tokens: Tokens) -> None:
    token = issued(tokens)
    assert tokens.kind_of(token) == "access"
    first, second = tokens.check(token, "access"), tokens.check(token, "access")
    assert first == second
    assert (first.kind, first.epoch) == ("access", 3)


def test_one_that_was_good_ends_when_it_says(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    token = issued(tokens)
    tokens.check(token, "access")
    later = time.time() + timedelta(minutes=1).total_seconds()
    monkeypatch.setattr(time, "time", lambda: later + LEEWAY_S - 2)
    tokens.check(token, "access")
    monkeypatch.setattr(time, "time", lambda: later + LEEWAY_S + 2)
    with pytest.raises(NotAuthenticated):
        tokens.check(token, "access")


def test_renewing_ends_half_a_day_after_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, began = Tokens(SECRET, access_minutes=60), time.time()

    def issued_before(hours: float) -> str:
        since = began - hours * 3600
        return tokens.issue("access", tenant_id=new_id(), subject=new_id(), epoch=3, signed_in=since)

    renewed = tokens.renew(issued_before(SIGNED_IN_HOURS - 0.1))
    first, second = tokens.check(issued_before(1), "access"), tokens.check(renewed, "access")
    assert (second.epoch, len({first.sign_in, second.sign_in})) == (3, 2)
    assert tokens.check(tokens.renew(renewed), "access").sign_in == second.sign_in
    tokens.renew(renewed)
    with pytest.raises(NotAuthenticated):  # the clock does not begin anew with each
        tokens.renew(issued_before(SIGNED_IN_HOURS + 0.1))
    monkeypatch.setattr(time, "time", lambda: began + 0.2 * 3600)
    with pytest.raises(NotAuthenticated):
        tokens.renew(renewed)
    with pytest.raises(NotAuthenticated):
        tokens.renew(issued(tokens, "visitor"))


@pytest.mark.parametrize("kind", ["access", "visitor"])
def test_what_does_not_hold_is_refused_each_time(tokens: Tokens, kind: Kind) -> None:
    forged = issued(Tokens("another secret of some length"), kind)
    other: Kind = "visitor" if kind == "access" else "access"
    for _ in range(2):
        with pytest.raises(NotAuthenticated):
            tokens.check(forged, kind)
        with pytest.raises(NotAuthenticated):
            tokens.check(issued(tokens, other), kind)
        with pytest.raises(NotAuthenticated):
            tokens.kind_of("no token at all")

"""When a delivery is tried again, when an endpoint rests, and when it is given up: the numbers, and what follows.

A delivery is tried eleven times within about a day. An endpoint that has failed five times in a row rests, and each rest
ends with one attempt for all that wait, so that one that is down costs little and one that is back gets everything.
One that has failed for three days, ten times or more in a row, is disabled; one that answers 410 is disabled at once.
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

DELAYS_S = (5, 30, 120, 600, 1800, 3600, 2 * 3600, 4 * 3600, 6 * 3600, 10 * 3600)
"""After the first attempt, the second, and so on: 23.7 hours in all."""
JITTER = 0.2
RETRY_AFTER_MOST_S = 6 * 3600
REST_AFTER_FAILURES = 5
REST_S = 30
REST_MOST_S = 600
DISABLE_AFTER = timedelta(days=3)
DISABLE_AFTER_FAILURES = 10
GONE = 410


def delay_s(attempts: int, *, jitter: float, asked_s: float | None = None) -> float | None:
    """Seconds until the next attempt after `attempts`; None where there is none. `jitter` is in [0, 1).

    What the receiver asked for is waited for, within bounds, where it is longer than our own delay.
    """
    if attempts > len(DELAYS_S):
        return None
    own = DELAYS_S[attempts - 1] * (1 + JITTER * jitter)
    return max(own, min(asked_s or 0.0, RETRY_AFTER_MOST_S))


def rest_s(failures: int, *, asked_s: float | None = None) -> float | None:
    """Seconds that an endpoint rests after so many failures in a row; None where it goes on."""
    asked = min(asked_s or 0.0, REST_MOST_S)
    if failures < REST_AFTER_FAILURES:
        return asked or None
    return max(asked, min(REST_S * 2.0 ** min(failures - REST_AFTER_FAILURES, 10), REST_MOST_S))


def is_given_up(failures: int, failing_since: datetime, now: datetime) -> bool:
    """Whether an endpoint that has failed so often, since then, is disabled."""
    return failures >= DISABLE_AFTER_FAILURES and now - failing_since >= DISABLE_AFTER


def asked_to_wait_s(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` asks for, as seconds or as a date; None where it can't be read."""
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())

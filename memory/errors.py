"""Every error that a caller of this product can meet, in one tree.

HelpdeskError
├── NotFound              the thing does not exist, or belongs to another tenant: the two look alike
├── NotAllowed            the caller's role does not reach this
├── NotAuthenticated      no credential, or one that no longer holds
├── Invalid               the input is understood and refused
│   ├── KeyReused         an idempotency key came back with another body
│   ├── FileTooLarge      an uploaded file is larger than a file may be
│   └── FileNotTaken      an uploaded file is of a kind that is not taken
├── Conflict              the state does not allow it now
│   ├── AlreadyTaken      a colleague was faster; names them
│   ├── SessionClosed     the conversation ended too long ago to be reopened
│   ├── TurnBusy          a turn is running and the caller asked not to queue
│   ├── OutOfDate         the customer has written since; approving it takes a word that says so
│   └── ReplayRequired    this prompt must be replayed before it may be activated
├── Unavailable           a part that this needs is away; try again later
├── TooMany               a limit of the caller was reached
├── NoTenant              a query without a tenant: a defect, never a customer's fault
├── LeaseLost             this process no longer owns the turn it is writing
└── Misconfigured         a setting, or what was found at start, does not fit; names what to do
"""


class HelpdeskError(Exception):
    """Root of the tree; `code` is the stable name on the wire."""

    code = "error"

    def __init__(self, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class NotFound(HelpdeskError):
    code = "not_found"


class NotAllowed(HelpdeskError):
    code = "not_allowed"


class NotAuthenticated(HelpdeskError):
    code = "not_authenticated"


class Invalid(HelpdeskError):
    code = "invalid"


class KeyReused(Invalid):
    code = "idempotency_key_reused"


class FileTooLarge(Invalid):
    code = "file_too_large"


class FileNotTaken(Invalid):
    code = "file_not_taken"


class Conflict(HelpdeskError):
    code = "conflict"


class AlreadyTaken(Conflict):
    code = "already_taken"


class SessionClosed(Conflict):
    code = "session_closed"


class TurnBusy(Conflict):
    code = "turn_busy"


class OutOfDate(Conflict):
    code = "out_of_date"


class ReplayRequired(Conflict):
    code = "replay_required"


class Unavailable(HelpdeskError):
    code = "unavailable"


class TooMany(HelpdeskError):
    code = "too_many_requests"
    policy: tuple[str, int] | None = None
    """The name of the limit that was reached, and how many it allows a minute."""


class NoTenant(HelpdeskError):
    code = "no_tenant"


class LeaseLost(HelpdeskError):
    code = "lease_lost"


class Misconfigured(HelpdeskError):
    code = "misconfigured"

"""What can go wrong with WHMCS, in words for the admin who can mend it; never with what it was asked.

WhmcsUnreachable (Unavailable)   nothing came back, or a server's error: it may have done what it was asked
├── WhmcsNotReached              there was no connection: it did nothing
└── WhmcsUnreadable              what came back is no answer of its API: a page, or a part of an answer
    └── WhmcsMisread             an answer of its API that we don't understand
WhmcsRefused (Conflict)          it said no: nothing was done
├── AddressNotAllowed            our address is not on its list
├── CredentialsRefused           identifier or secret do not hold
├── SecondFactorWanted           these credentials ask for a second factor
├── ActionNotPermitted           the credentials' role may not do that
└── NotThere                     no API under this address, or one that redirects
WhmcsNotFound (NotFound)         the ticket or client does not exist there
"""

from memory.errors import Conflict, HelpdeskError, NotFound, Unavailable


class WhmcsUnreachable(Unavailable):
    code = "whmcs_unreachable"


class WhmcsNotReached(WhmcsUnreachable):
    code = "whmcs_not_reached"


class WhmcsUnreadable(WhmcsUnreachable):
    code = "whmcs_unreadable"


class WhmcsMisread(WhmcsUnreadable):
    code = "whmcs_misread"


class WhmcsRefused(Conflict):
    code = "whmcs_refused"


class AddressNotAllowed(WhmcsRefused):
    code = "whmcs_address_not_allowed"


class CredentialsRefused(WhmcsRefused):
    code = "whmcs_credentials_refused"


class SecondFactorWanted(WhmcsRefused):
    code = "whmcs_second_factor"


class ActionNotPermitted(WhmcsRefused):
    code = "whmcs_not_permitted"


class NotThere(WhmcsRefused):
    code = "whmcs_not_there"


class WhmcsNotFound(NotFound):
    code = "whmcs_not_found"


KINDS: tuple[type[HelpdeskError], ...] = (
    WhmcsUnreachable, WhmcsNotReached, WhmcsUnreadable, WhmcsMisread, WhmcsRefused, AddressNotAllowed,
    CredentialsRefused, SecondFactorWanted, ActionNotPermitted, NotThere, WhmcsNotFound,
)  # fmt: skip
_BY_CODE = {kind.code: kind for kind in KINDS}


def error_of(code: str, detail: str) -> HelpdeskError:
    """An error that was written down, to be raised by somebody else."""
    return _BY_CODE.get(code, WhmcsUnreachable)(detail)

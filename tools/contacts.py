"""What a team says publicly of itself: mail addresses, numbers of phones and accounts, IP addresses.

They are found in texts and compared in one form, however they are written: `+44 (0)20 7946 0958` and `020 7946 0958` are
one number, `ABUSE@acme.example` and `abuse@acme.example` one address.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal

Kind = Literal["email address", "account number", "ip address", "phone number"]

EMAIL: Final = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,200}@(?:[\w-]{1,63}\.){1,8}[\w-]{1,63}")
ACCOUNT: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,4})?\b")
IP: Final = (
    re.compile(r"(?<![\w.:])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)"),
    re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"),
)
PHONE: Final = (
    re.compile(r"(?<![\w.,/#$€£-])(?:\+|00)\d[\d ()./-]{6,18}\d(?![\w])"),
    re.compile(r"(?<![\w.,/#$€£-])\(?0\d{1,4}\)?[ /.-]\d[\d ./-]{4,14}\d(?![\w])"),
    re.compile(r"(?<![\w.,/#$€£-])\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?![\w])"),
)
PATTERNS: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = (
    ("email address", EMAIL),
    ("account number", ACCOUNT),
    *(("ip address", each) for each in IP),
    *(("phone number", each) for each in PHONE),
)
FEWEST_DIGITS, MOST_DIGITS = 8, 15
"""Of a phone number; other rows of digits are dates or lists."""
LONGEST_CODE = 3
"""Digits of a country's code."""
LONGEST = 200
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,63}")
_OPEN_ALL_DAY = re.compile(r"(?:\s+[/–-]\s*24(?: ?/ ?7)?|\s+\(?24 ?/ ?7)$")
_EVERYBODYS = """
gmail.com googlemail.com outlook.com hotmail.com live.com msn.com yahoo.com yahoo.de yahoo.fr yahoo.es ymail.com icloud.com
me.com mac.com aol.com proton.me protonmail.com gmx.de gmx.net gmx.at gmx.com web.de t-online.de freenet.de posteo.de
mailbox.org orange.fr wanadoo.fr free.fr laposte.net sfr.fr mail.ru bk.ru list.ru inbox.ru yandex.ru ya.ru rambler.ru
zoho.com fastmail.com mail.com
"""
"""Domains at which customers have their mailboxes."""
_SHARED = re.compile(
    r"(?:hotmail|outlook|live|yahoo|ymail|gmx|icloud|gmail|googlemail|aol|msn|proton|protonmail|yandex)\.[a-z]{2,3}(?:\.[a-z]{2})?"
    r"|(?:co|com|org|net|ac|gov|edu)\.[a-z]{2}"
)
"""The same in every country, and what many companies' domains end with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """What is public; each value in the form that `same_form` gives."""

    values: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    """At which every mailbox is the team's, unless it is one of `customers`."""
    customers: frozenset[str] = frozenset()
    """Addresses of customers: never public, wherever they stand."""

    def __bool__(self) -> bool:
        return bool(self.values or self.domains)

    def has(self, kind: Kind, text: str, names: Collection[str] = ()) -> bool:
        """Whether this is public. A mailbox at one of the domains that bears one of the names is somebody's own."""
        value = same_form(kind, text)
        if value is None or value in self.customers:
            return False
        if value in self.values:
            return True
        if kind == "phone number":
            return any(_one_number(value, other) for other in self.values)
        return self.at_domain(value) and not _bears(value.partition("@")[0], names)

    def at_domain(self, value: str) -> bool:
        return value.rpartition("@")[2] in self.domains if "@" in value else False


NOTHING_PUBLIC: Final = Contacts()


def found_in(text: str) -> Iterator[tuple[Kind, str]]:
    """All that looks like a contact, as it is written."""
    for kind, pattern in PATTERNS:
        for found in pattern.findall(text):
            yield kind, found


def values_in(text: str) -> set[str]:
    """The same, each in its one form."""
    return {value for kind, found in found_in(text) if (value := same_form(kind, found))}


def same_form(kind: Kind, text: str) -> str | None:
    """A contact in the form in which it is compared; None for what is none of this kind."""
    match kind:
        case "email address":
            return text.casefold()
        case "account number":
            return text.replace(" ", "")
        case "ip address":
            try:
                return str(ip_address(text))
            except ValueError:
                return None
        case "phone number":
            return _number(text)


def public_contact(given: str) -> str:
    """One entry of a tenant's list, without spaces around it. Raises ValueError for what is neither a mail address, a
    domain, an IP address, nor a number of a phone or an account."""
    entry = given.strip()
    if entry.casefold() in _EVERYBODYS.split() or _SHARED.fullmatch(entry.casefold()):
        raise ValueError("customers have mailboxes at this domain: name the addresses that are yours")
    if contacts_of([entry]):
        return entry
    raise ValueError("must be a mail address, a domain, an IP address, or a number such as +44 20 7946 0958")


def contacts_of(entries: Collection[str]) -> Contacts:
    """A tenant's list."""
    values = {
        value
        for entry in entries
        for kind, pattern in PATTERNS
        if pattern.fullmatch(entry) and (value := same_form(kind, entry))
    }
    domains = {entry.casefold() for entry in entries if _DOMAIN.fullmatch(entry)}
    return Contacts(values=frozenset(values), domains=frozenset(domains))


def _number(text: str) -> str | None:
    """Its digits, `+` before those of a number with its country's code. What is said after it in brackets is not its."""
    text = _OPEN_ALL_DAY.sub("", text.replace("(0)", ""))
    opened = text.rfind("(")
    if opened > 0 and ")" not in text[opened:]:
        text = text[:opened]
    digits = "".join(char for char in text if char.isdigit())
    if not FEWEST_DIGITS <= len(digits) <= MOST_DIGITS:
        return None
    abroad = text.startswith(("+", "00"))
    return f"+{digits.removeprefix('00') if text.startswith('00') else digits}" if abroad else digits


def _one_number(one: str, other: str) -> bool:
    """Whether two are the same number, one with its country's code and the other without."""
    if one.startswith("+") == other.startswith("+"):
        return False
    abroad, at_home = (one[1:], other) if one.startswith("+") else (other[1:], one)
    own = at_home.removeprefix("0")
    if not own.isdigit():
        return False
    trunk = at_home != own
    if not trunk and len(own) != len("5551234567"):
        return False
    return abroad.endswith(own) and (1 <= len(abroad) - len(own) <= LONGEST_CODE if trunk else abroad == f"1{own}")


def _bears(mailbox: str, names: Collection[str]) -> bool:
    words = set(re.split(r"[\W_]+", mailbox))
    return any(part.casefold() in words for name in names for part in re.split(r"[\W_]+", name) if len(part) >= 3)

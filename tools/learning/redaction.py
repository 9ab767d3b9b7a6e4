"""Takes out of a text what belongs to one person, before anything is learned from it.

Addresses, numbers of phones, cards and accounts, IP addresses, secrets, and the names that the caller knows. What is
taken out leaves a mark that says what stood there, so that a colleague can fill it in; a reply with a mark in it is
not sent. Rather one number too many: the mark of a price or a port would make an example worthless, so these stay. What
the team says publicly of itself (see `contacts`) is nobody's, and often the answer: it stays, unless it stands as a secret.
"""

import re
from collections.abc import Callable, Collection

from tools.contacts import (
    ACCOUNT,
    EMAIL,
    FEWEST_DIGITS,
    IP,
    MOST_DIGITS,
    NOTHING_PUBLIC,
    PATTERNS,
    PHONE,
    Contacts,
    same_form,
)
from tools.dates import dates_in, same_day
from tools.learning.names import telling_parts, without_names

_FIGURE = re.compile(r"\d(?:[\d.,:/-]*\d)?")
_AMOUNT = re.compile(r"(?P<whole>\d[\d.,]*)[.,](?P<cents>\d\d)")
MARK = re.compile(r"\[removed: [a-z ]+\]")
_KEPT_ADDRESSES = frozenset({"127.0.0.1", "0.0.0.0", "::1", "::", "255.255.255.255"})  # noqa: S104  compared, not bound
_NAMES_OF_SECRETS = (
    r"pass(?:word|wort|code|phrase)?|pw|pin|secret|api[ _-]?key|access[ _-]?key|token|kennwort|mot de passe|"
    r"contraseña|пароль|cvv|cvc|tan"
)
_SAID_OF_ONE = (
    r"\w+ed|not|the|wrong|(?:in)?correct|(?:in)?valid|missing|reset|weak|strong|different|lost|forgotten|okay|fine|empty|"
    r"unknown|same|sent|your|falsch|richtig|vergessen|incorrecte?|oubli\w+|incorrect[ao]|olvidad[ao]"
)
"""What is said about a password."""


def _mark(what: str) -> str:
    return f"[removed: {what}]"


def _card(found: re.Match[str]) -> str:
    digits = [int(char) for char in found[0] if char.isdigit()]
    doubled = [digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(digits[::-1])]
    return _mark("card number") if sum(doubled) % 10 == 0 else found[0]


def _address(found: re.Match[str]) -> str:
    address = same_form("ip address", found[0])
    return found[0] if address is None or address in _KEPT_ADDRESSES else _mark("ip address")


def _phone(found: re.Match[str]) -> str:
    """Enough digits, and not a date or a list of numbers."""
    digits = sum(char.isdigit() for char in found[0])
    return _mark("phone number") if FEWEST_DIGITS <= digits <= MOST_DIGITS else found[0]


def _random(found: re.Match[str]) -> str:
    """Long and of letters and digits mixed: a key, and not a word or a path of words."""
    text = found[0]
    kinds = sum(any(test(char) for char in text) for test in (str.isupper, str.islower, str.isdigit))
    return _mark("secret") if kinds == 3 or (kinds == 2 and re.fullmatch(r"[0-9a-f]{32,}", text, re.I)) else text


_Rules = tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]
_FIRST: _Rules = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S),
     _mark("secret")),
    (re.compile(r"(?<=://)[^\s/:@]+:[^\s/@]+(?=@)"), _mark("secret")),
)  # fmt: skip
"""What may hold anything else."""
_TOLD_SECRET = re.compile(
    rf"(?i)\b(?P<word>{_NAMES_OF_SECRETS})(?P<is>\s?[=:]\s{{0,3}}|\s(?:is|ist|est|es|war|was)\s)(?!\[removed)"
    rf"(?:(?=\S{{0,40}}[\d!#$%^&*_@])[^\s,;]{{4,200}}"
    rf"|(?!(?:{_SAID_OF_ONE})\b)[^\W\d_]{{4,60}}(?=\s*(?:[,.;!)]|$)))",
    re.M,
)
_RULES: _Rules = (
    (EMAIL, _mark("email address")),
    (_TOLD_SECRET, lambda found: f"{found['word']}{found['is']}{_mark('secret')}"),
    (re.compile(r"(?i)\bbearer\s+[\w.~+/=-]{12,}"), f"Bearer {_mark('secret')}"),
    (re.compile(r"\b(?:sk|pk|rk|hk|ghp|gho|xox[abp]|AKIA|eyJ)[\w.-]{12,}"), _mark("secret")),
    (ACCOUNT, _mark("account number")),
    (re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w])"), _card),
    *((pattern, _address) for pattern in IP),
    *((pattern, _phone) for pattern in PHONE),
    (re.compile(r"(?<![\w/.-])[A-Za-z0-9_+=-]{24,}(?![\w/.-])"), _random),
)
_UNUSED = range(0xF0000, 0xFFFFE)
"""Characters that mean nothing in any text."""


def redact(
    text: str, *, names: Collection[str] = (), accounts: Collection[str] = (), public: Contacts = NOTHING_PUBLIC
) -> str:
    """The text without what belongs to one person; `names` are of people who are known to the caller, and what
    `accounts` say in figures (amounts, dates, numbers) is of one of them. What is `public` stays."""
    for pattern, replacement in _FIRST:
        text = pattern.sub(replacement, text)
    text, hidden = _hidden(text, public, telling_parts(names)) if public else (text, {})
    text = _without_dates(text, accounts)
    for figure in _figures(accounts):
        text = figure.sub(_mark("account data"), text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return without_names(text, names, _mark("name")).translate(hidden)


def _hidden(text: str, public: Contacts, names: Collection[str]) -> tuple[str, dict[int, str]]:
    """The text with a character that no rule knows in place of each public contact, and what each stands for. Whatever
    is told as a secret is hidden from no rule."""
    hidden: dict[int, str] = {}
    unused = (code for code in _UNUSED if chr(code) not in text)
    for kind, pattern in PATTERNS:
        secrets = [found.span() for found in _TOLD_SECRET.finditer(text)]
        for found in reversed(list(pattern.finditer(text))):
            secret = any(start <= found.start() < end for start, end in secrets)
            if not secret and public.has(kind, found[0], names):
                code = next(unused)
                hidden[code] = found[0]
                text = f"{text[: found.start()]}{chr(code)}{text[found.end() :]}"
    return text, hidden


def marks_in(text: str) -> tuple[str, ...]:
    """The marks that stand in a text, each once."""
    return tuple(dict.fromkeys(MARK.findall(text)))


def _without_dates(text: str, accounts: Collection[str]) -> str:
    """Without the days that the accounts name, however they are written."""
    told = {found.form for each in accounts for found in dates_in(each)}
    for day_first in (True, False) if told else ():  # whoever wrote 08/01/2026 may have meant either
        for found in reversed(dates_in(text, day_first=day_first)):
            if any(same_day(found.form, day) for day in told):
                text = f"{text[: found.start]}{_mark('account data')}{text[found.end :]}"
    return text


def _figures(accounts: Collection[str]) -> list[re.Pattern[str]]:
    """Of two digits at least, the longest first: a single one stands for too much else."""
    found = {figure for text in accounts for figure in _FIGURE.findall(text) if sum(map(str.isdigit, figure)) > 1}
    ordered = sorted(found, key=lambda each: (-len(each), each))
    return [re.compile(rf"(?<!\d)(?<!\d[.,]){_however_written(each)}(?![.,]?\d)") for each in ordered]


def _however_written(figure: str) -> str:
    """The pattern of a figure; an amount may have other marks, or leave its zeros out."""
    amount = _AMOUNT.fullmatch(figure)
    if amount is None:
        return re.escape(figure)
    digits, cents = re.sub(r"\D", "", amount["whole"]), amount["cents"]
    whole = "".join(digit + "[.,' ]?" * (left % 3 == 0 and left > 0) for left, digit in _from_right(digits))
    if cents == "00":
        return whole + ("(?:[.,]00?)?" if len(digits) > 1 else "[.,]00?")
    return rf"{whole}[.,]{cents.rstrip('0')}0*"


def _from_right(digits: str) -> list[tuple[int, str]]:
    """Each digit with how many follow it."""
    return [(len(digits) - 1 - place, digit) for place, digit in enumerate(digits)]

"""How text and phrases are compared: folded to one form, and split into words and ends of sentences."""

import re
import unicodedata

# Scripts written without spaces: each character is a token of its own (Thai, kana, Han).
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+|[.!?](?=\s)|\n\s*|。")
BREAKS = frozenset(".!?\n。")
"""What tokens that end a sentence begin with."""
_NOT = re.compile(r"(?<=n)['’ʼ`](?=t\b)")
_RUN_TOGETHER = re.compile(r"\b(i|you|we|they)(m|ve|re|ll)\b|\b(that|what|let|how|who)(s)\b")
_WORDS = frozenset(["ill", "were", "well", "ire"])
_LATIN = re.compile("[a-z]")
_CYRILLIC_OR_GREEK = re.compile(r"[\u0370-\u03ff\u0400-\u04ff]")
_LOOKALIKES = str.maketrans(
    "\u0430\u0432\u0441\u0435\u04bb\u0456\u0458\u043a\u043c\u043e\u0440\u0455\u0442\u0445\u0443\u03b1\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5",
    "abcehijkmopstxyaeikvoptu",
)
_INVISIBLE: dict[int, int | str | None] = {
    code: None
    for code in (*range(0x10000), *range(0xE0000, 0xE01F0))
    if unicodedata.category(chr(code)) in ("Mn", "Mc", "Cf")
}
_INVISIBLE[ord("ı")] = "i"


def fold(text: str) -> str:
    """Text as it is compared: compatibility forms, case, accents and invisible characters gone."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.casefold()).translate(_INVISIBLE)
        text = unicodedata.normalize("NFC", text)
    return _NOT.sub("", text.casefold())


def tokenize(text: str) -> list[str]:
    """Words of a text in order, folded, with a mark from `.!?` or a newline where a sentence ends."""
    found = _TOKEN.findall(_RUN_TOGETHER.sub(_apart, fold(text)))
    if text.isascii():
        return found
    latin = {token: _latin(token) for token in set(found)}
    return [latin[token] for token in found]


def _apart(match: re.Match[str]) -> str:
    """`im` and `whats` as the two words that `I'm` and `what's` are; real words such as `ill` and `were` stay."""
    return match[0] if match[0] in _WORDS else f"{match[1] or match[3]} {match[2] or match[4]}"


def _latin(token: str) -> str:
    """A word that mixes scripts, with the letters that only look Latin made Latin."""
    mixed = not token.isascii() and _LATIN.search(token) and _CYRILLIC_OR_GREEK.search(token)
    return token.translate(_LOOKALIKES) if mixed else token

"""Words as WHMCS gives them, as plain text: tags, entities and characters that no column can hold are gone.

Its messages are stored with entities and come with some HTML. A tag is only what begins with the name of one, so that
`if x<y` keeps its words; what becomes a tag by decoding entities is text that somebody wrote, and stays.
"""

import html
import re
import unicodedata

LONGEST = 20_000
"""Characters of one message; what is cut off is read in WHMCS."""
CUT = "\n[...] The rest of this message is in WHMCS."

_TAGS = (
    "a|abbr|article|b|big|blockquote|body|br|center|code|div|em|font|footer|h[1-6]|head|header|hr|html|i|img|ins|del|"
    "li|main|meta|ol|p|pre|s|section|small|span|strike|strong|sub|sup|table|tbody|td|tfoot|th|thead|title|tr|tt|u|ul"
)
_HIDDEN = re.compile(r"<(script|style)\b[^<>]{0,2000}>.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"<br\s*/?>[ \t]*\r?\n?|</(?:p|div|li|tr|h[1-6]|blockquote|pre|table)\s*>", re.IGNORECASE)
_ITEM = re.compile(r"<li\b[^<>]{0,2000}>", re.IGNORECASE)
_TAG = re.compile(rf"</?(?:{_TAGS})\b(?:\s[^<>]{{0,2000}})?/?>|<!--.{{0,2000}}?-->", re.IGNORECASE | re.DOTALL)
_MANY_LINES = re.compile(r"\n{3,}")
_ITEMS = re.compile(r"^\s*(?:[-+*•]|\d{1,3}[.)])\s+", re.MULTILINE)
_WORD = re.compile(r"[^\W_]+")
_LINK = re.compile(r"!?\[([^\[\]]{0,500})\]\([^()\s]{0,2000}\)")


def clean(text: str) -> str:
    """Without NUL, other control characters and lone surrogates; lines end as ours do."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    if not text.isprintable():
        text = "".join(c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs"))
    return text


def plain(message: str) -> str:
    """A message as text, at most `LONGEST` characters and a word that it was cut."""
    raw = clean(message[: 4 * LONGEST])
    if "<" in raw:
        raw = _HIDDEN.sub(" ", raw)
        raw = _BREAK.sub("\n", raw)
        raw = _TAG.sub("", _ITEM.sub("- ", raw))
    lines = [line.rstrip() for line in clean(html.unescape(raw)).replace("\xa0", " ").split("\n")]
    text = _MANY_LINES.sub("\n\n", "\n".join(lines)).strip()
    cut = len(text) > LONGEST or len(message) > 4 * LONGEST
    return unicodedata.normalize("NFC", text[:LONGEST]) + CUT if cut else unicodedata.normalize("NFC", text)


def line(text: str, longest: int = 200) -> str:
    """A name or subject: one line without entities and tags."""
    return " ".join(plain(text[: 4 * longest]).split())[:longest]


def bare(text: str) -> str:
    """The words of a text without its markup, marks and line ends: for telling whether two are the same."""
    text = _ITEMS.sub("", _LINK.sub(r"\1", plain(text)))
    return " ".join(_WORD.findall(text.casefold()))


def same_words(ours: str, theirs: str) -> bool:
    """Whether a message in WHMCS is this text, perhaps rendered, perhaps with a signature under it."""
    a, b = bare(ours), bare(theirs)
    return bool(a) and (a == b or (len(a) >= ENOUGH and b.startswith(a)))


ENOUGH = 40
"""Characters from which a text with something after it is still known as that text."""

"""How a text is read: as written, undone where its spelling hides words, and decoded. Each view is checked by itself."""

import base64
import codecs
import html
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from urllib.parse import unquote

from tools.phrases import fold

LONGEST_DECODED = 20_000
"""Characters; a longer text is read as written only."""
SPACED = re.compile(r"(?<![^\W_])(?:[^\W\d_][ .\-_*]){3}(?:[^\W\d_][ .\-_*])*[^\W\d_](?![^\W_])")
"""A word written letter by letter."""
TAGS = range(0xE0020, 0xE007F)
"""Invisible copies of ASCII; a text written in them shows nothing and a model reads it."""

_LEET = str.maketrans("013457", "oieast")
_SYMBOLS = str.maketrans("@$!|", "asil")
_SYMBOL_IN_WORD = re.compile(r"(?<=[^\W\d_])[@$!|](?=[^\W\d_])|(?<![^\s])[@$](?=[^\W\d_]{2})")
_GAPS = str.maketrans("", "", " .-_*")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{16,20000}={0,2}(?![A-Za-z0-9+/=])")
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2} ?){12,10000}(?![0-9A-Za-z])")
_MAX_PAYLOADS = 20


def views(text: str) -> Iterator[str]:
    """The text as written, then every other way in which it can be read."""
    yield text
    if len(text) > LONGEST_DECODED:
        return
    hidden = "".join(chr(ord(char) - 0xE0000) for char in text if ord(char) in TAGS)
    plain = unquote(html.unescape(text)) if "%" in text or "&" in text else text
    plain = SPACED.sub(lambda match: match[0].translate(_GAPS), plain)
    plain = _SYMBOL_IN_WORD.sub(lambda match: match[0].translate(_SYMBOLS), plain)
    for view in (hidden, plain, *_decoded(text)):
        if view and view != text:
            yield view
    lowered = fold(text)
    if "rot13" in lowered or "rot 13" in lowered or "caesar" in lowered:
        yield codecs.decode(text, "rot13")
    if "revers" in lowered or "backward" in lowered:
        yield text[::-1]


def _decoded(text: str) -> Iterator[str]:
    """Readable texts that stand in base64 or hexadecimal; keys, certificates and digests decode to no such text."""
    for match in islice(_BASE64.finditer(text), _MAX_PAYLOADS):
        body = match[0].rstrip("=")
        if len(body) % 4 != 1:
            yield from _readable(base64.b64decode(body + "=" * (-len(body) % 4)))
    for match in islice(_HEX.finditer(text), _MAX_PAYLOADS):
        yield from _readable(bytes.fromhex(match[0]))


def _readable(data: bytes) -> Iterator[str]:
    with suppress(UnicodeDecodeError):
        decoded = data.decode("utf-8")
        if decoded.replace("\n", " ").isprintable():
            yield decoded


def spellings(token: str) -> Iterable[str]:
    """A word with digits for letters, read as the word: `1gn0re`."""
    if token.isascii() and not token.isalpha() and not token.isdigit():
        yield token.translate(_LEET)

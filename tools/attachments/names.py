"""A client's file name made harmless for people, headers and whoever saves the download.

The name is shown and nothing else: no path is ever made of it. Its ending is that of what the file is, so that a
download does not open as something else than was sniffed.
"""

import re
import unicodedata
from urllib.parse import quote

LONGEST = 120
LONGEST_BYTES = 200
FALLBACK = "file"
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?:\..*)?\Z", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"|?*\\/%]')
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 ._()+,=@~-]")
_BEFORE = 4096
"""Characters of a given name that are looked at."""


def clean_name(given: str | None, endings: tuple[str, ...]) -> str:
    """A name without path, controls, direction marks or reserved words, that ends in one of `endings`."""
    base = re.split(r"[\\/]", (given or "")[-_BEFORE:])[-1]
    text = unicodedata.normalize("NFC", "".join(" " if c in "\t\n\r" else c for c in base if _visible(c)))
    text = " ".join(_FORBIDDEN.sub("_", text).split()).strip(". ")
    stem, ending = _parted(text, endings)
    stem = _shortened(stem, LONGEST - len(ending), LONGEST_BYTES - len(ending)).strip(". ") or FALLBACK
    return f"_{stem}{ending}" if _RESERVED.match(stem) else f"{stem}{ending}"


def content_disposition(name: str) -> str:
    """The header of a download (RFC 6266): a plain ASCII name for old clients, the real one in RFC 5987's form."""
    safe = "".join(c for c in name if _visible(c)) or FALLBACK
    plain = _NOT_PLAIN.sub("_", unicodedata.normalize("NFKD", safe).encode("ascii", "ignore").decode()).strip()
    return f"attachment; filename=\"{plain or FALLBACK}\"; filename*=UTF-8''{quote(safe, safe='')}"


def _visible(character: str) -> bool:
    return character in "\t\n\r" or unicodedata.category(character) not in _HIDDEN


def _parted(text: str, endings: tuple[str, ...]) -> tuple[str, str]:
    """The name and its ending; where it has none of these, the first is added to what there is."""
    for ending in endings:
        if text.lower().endswith(ending):
            return text[: -len(ending)], ending
    return text, endings[0] if endings else ""


def _shortened(text: str, most: int, most_bytes: int) -> str:
    return text[:most].encode("utf-8", "ignore")[:most_bytes].decode("utf-8", "ignore")

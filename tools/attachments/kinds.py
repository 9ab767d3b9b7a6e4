"""What a file is, from its bytes alone, and which kinds are taken.

    image/png, image/jpeg, image/gif, image/webp      by their signature at the very start
    application/pdf                                    by `%PDF-` at the very start
    docx                                               a zip that holds word/document.xml and no macros
    image/svg+xml, text/html                           text that opens like it
    application/json, text/csv, text/markdown          text that is so called, and for JSON opens so
    text/plain                                         any other text without NUL and controls

The name only chooses between kinds of text. Whatever else it is, it is refused.
"""

import asyncio
import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from memory.errors import FileNotTaken

HEAD = 8192
PIECE = 256 * 1024
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of file that is taken."""

    media_type: str
    endings: tuple[str, ...]
    """That a download's name may have; the first is added where it has none of them."""
    served_as: str
    """What the download says it is: never anything that a browser would run."""


def _kind(media_type: str, *endings: str, served_as: str | None = None) -> Kind:
    return Kind(media_type=media_type, endings=endings, served_as=served_as or media_type)


_TEXT = "text/plain; charset=utf-8"
_BYTES = "application/octet-stream"
KINDS = {
    kind.media_type: kind
    for kind in (
        _kind("text/plain", ".txt", ".log", served_as=_TEXT),
        _kind("text/markdown", ".md", ".markdown", served_as=_TEXT),
        _kind("text/csv", ".csv", served_as=_TEXT),
        _kind("application/json", ".json", served_as=_TEXT),
        _kind("text/html", ".html", ".htm", served_as=_BYTES),
        _kind("image/svg+xml", ".svg", served_as=_BYTES),
        _kind("application/pdf", ".pdf"),
        _kind(DOCX, ".docx"),
        _kind("image/png", ".png"),
        _kind("image/jpeg", ".jpg", ".jpeg"),
        _kind("image/gif", ".gif"),
        _kind("image/webp", ".webp"),
    )
}
_SIGNATURES = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/gif", re.compile(rb"GIF8[79]a")),
    ("image/webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("application/pdf", re.compile(rb"%PDF-")),
)
_ZIP = b"PK\x03\x04"
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
"""In text of one byte per letter; escape sequences of coloured logs begin with 1B."""
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_MARKUP = re.compile(
    r"<!doctype\s+html|<(?:html|head|body|script|iframe|title|style|meta|table|div|p|a|img)\b", re.IGNORECASE
)
_SVG = re.compile(r"<svg\b", re.IGNORECASE)
_PROLOGUE = re.compile(r"\s*(?:<\?xml|<!--|<!doctype|<[a-z])", re.IGNORECASE)


async def sniff_file(file: BinaryIO, name: str | None) -> Kind:
    """`sniff`, with the reading done beside the event loop."""
    return await asyncio.to_thread(sniff, file, name)


def sniff(file: BinaryIO, name: str | None) -> Kind:
    """What the file is. Raises FileNotTaken for what is empty or none of ours."""
    file.seek(0)
    head = file.read(HEAD)
    if not head:
        raise FileNotTaken("the file is empty")
    for media_type, signature in _SIGNATURES:
        if signature.match(head):
            return KINDS[media_type]
    if head.startswith(_ZIP):
        return _document(file)
    encoding = _encoding(head)
    if encoding is None or not _is_text(file, encoding):
        raise FileNotTaken("this kind of file is not taken")
    return KINDS[_kind_of_text(head.decode(encoding, "ignore").lstrip("\ufeff"), (name or "").lower()[-20:])]


def _document(file: BinaryIO) -> Kind:
    """A Word document: its parts are named in the archive as they are, compressed or not."""
    wanted, macros, seen = b"word/document.xml", b"vbaProject.bin", b""
    found = False
    for piece in _pieces(file):
        seen = seen[-64:] + piece
        if macros in seen:
            raise FileNotTaken("documents with macros are not taken")
        found = found or wanted in seen
    if not found:
        raise FileNotTaken("archives are not taken")
    return KINDS[DOCX]


def _encoding(head: bytes) -> str | None:
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    return None if b"\x00" in head else "utf-8"


def _is_text(file: BinaryIO, encoding: str) -> bool:
    """All of it is letters: UTF-8 or UTF-16 that holds, or another encoding of one byte per letter."""
    decoder = codecs.getincrementaldecoder(encoding)()
    holds = True
    for piece in _pieces(file):
        if encoding == "utf-8" and _CONTROLS.search(piece):
            return False
        if holds:
            try:
                if "\x00" in decoder.decode(piece):
                    return False
            except UnicodeDecodeError:
                holds = False
                if encoding != "utf-8":
                    return False
    return True


def _kind_of_text(head: str, name: str) -> str:
    if _PROLOGUE.match(head):
        if _SVG.search(head) and not re.match(r"\s*<!doctype\s+html|\s*<html", head, re.IGNORECASE):
            return "image/svg+xml"
        if _MARKUP.search(head):
            return "text/html"
    if name.endswith(".svg"):
        return "image/svg+xml"
    if name.endswith((".html", ".htm", ".xhtml", ".xht")):
        return "text/html"
    if name.endswith(".json") and head.lstrip()[:1] in ("{", "["):
        return "application/json"
    if name.endswith(".csv"):
        return "text/csv"
    return "text/markdown" if name.endswith((".md", ".markdown")) else "text/plain"


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(PIECE):
        yield piece

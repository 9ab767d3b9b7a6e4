"""Text from one file, as a program of its own: `python -I extractor.py KIND < file > answer.json`.

It is run on what strangers send, so it trusts nothing: before it reads a byte it gives up memory, processor time, the
right to write files and to start programs, and its caller kills it when it takes too long. It imports nothing of the
product. The answer is one line of JSON on standard output:

    {"state": done | empty | failed, "text", "details": {pages, width, height, format, truncated, reason}}

KIND is pdf, docx, html, text or image. An image is measured by its header and never decoded. With `article-` before
it, a pdf, docx or html becomes an article in Markdown, with links and tables, and `details.title` as the document has it.
"""

import json
import re
import resource
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any, BinaryIO

MEMORY = 512 * 2**20
CPU_S = 5
LONGEST = 200_000
"""Characters of text that are kept."""
MOST_PAGES = 300
MOST_ENTRIES = 1000
MOST_UNPACKED = 64 * 2**20
MOST_RATIO = 200
"""A part of an archive may unpack to so many times its size, once it is larger than `SMALL`."""
SMALL = 2**20
MOST_NESTED = 200
MOST_PIXELS = 100_000_000
MOST_MARKUP = 4 * 2**20

DECORATION = frozenset(
    ["script", "style", "template", "noscript", "head", "svg", "iframe", "object", "select", "textarea", "nav", "form",
     "button"]
)  # fmt: skip
"""What of a page is no part of its article."""
CLOSED_BY_NEXT = {
    "li": (["li"], ["ul", "ol"]),
    "p": (["p"], ["div", "li", "td", "th", "blockquote", "section", "article", "body"]),
    "td": (["td", "th"], ["tr", "table"]),
    "th": (["td", "th"], ["tr", "table"]),
    "tr": (["tr"], ["table"]),
}
"""Tags that end where the next such begins: which ones they end, and inside of which they may stand."""

_CONTROLS = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufffe\uffff]"
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
Answer = dict[str, Any]


class Refused(Exception):
    """The file is not read; the reason is one of our own words."""


def main() -> None:
    _confine()
    try:
        answer = READERS[sys.argv[1]](sys.stdin.buffer)
    except Refused as refusal:
        answer = _failed(str(refusal))
    except MemoryError:
        answer = _failed("memory")
    except RecursionError:
        answer = _failed("depth")
    except Exception as error:
        answer = _failed("unreadable", error=type(error).__name__)
    sys.stdout.buffer.write(json.dumps(answer).encode())


def clean(text: str) -> str:
    """Text without controls, hidden marks and lone surrogates, with at most one empty line in a row."""
    text = _CONTROLS.sub("", _COLOURS.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
    text = text.encode("utf-8", "ignore").decode()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.split("\n"))).strip("\n")


def decoded(content: bytes) -> str:
    """As UTF-8 or what a byte order mark says, else letter by letter as Windows-1252."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def told(text: str, **details: Any) -> Answer:
    """The answer for a text, cut to what is kept."""
    cleaned = clean(text[: 4 * LONGEST])
    if len(cleaned) > LONGEST or len(text) > 4 * LONGEST:
        details["truncated"] = True
    return {"state": "done" if cleaned.strip() else "empty", "text": cleaned[:LONGEST], "details": details}


def read_text(file: BinaryIO) -> Answer:
    content = file.read(4 * LONGEST + 1)
    return told(decoded(content[: 4 * LONGEST]), **({"truncated": True} if len(content) > 4 * LONGEST else {}))


def read_html(file: BinaryIO) -> Answer:
    markup = file.read(MOST_MARKUP + 1)
    return told(_html_text(decoded(markup[:MOST_MARKUP])), **({"truncated": True} if len(markup) > MOST_MARKUP else {}))


def read_pdf(file: BinaryIO) -> Answer:
    return _pdf_text(_open_pdf(file))


def read_docx(file: BinaryIO) -> Answer:
    return told(_html_text(_docx_html(_checked_docx(file))))


def article_of_html(file: BinaryIO) -> Answer:
    markup = file.read(MOST_MARKUP + 1)
    if len(markup) > MOST_MARKUP:
        raise Refused("too long")
    return _article(decoded(markup))


def article_of_docx(file: BinaryIO) -> Answer:
    """Its own title, where the author gave one, else its first heading."""
    content = _checked_docx(file)
    answer = _article(_docx_html(content))
    named = _core_title(content)
    return {**answer, "details": {**answer["details"], **({"title": named} if named else {})}}


def article_of_pdf(file: BinaryIO) -> Answer:
    reader = _open_pdf(file)
    answer = _pdf_text(reader)
    named = one_line(str((reader.metadata and reader.metadata.title) or ""))
    return {**answer, "details": {**answer["details"], **({"title": named} if named else {})}}


def one_line(text: str) -> str:
    return " ".join(clean(text[:2000]).split())[:200]


def _open_pdf(file: BinaryIO) -> Any:
    from pypdf import PdfReader

    reader = PdfReader(_whole(file), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        raise Refused("encrypted")
    return reader


def _pdf_text(reader: Any) -> Answer:
    pages = len(reader.pages)
    found: list[str] = []
    length = 0
    for page in reader.pages[:MOST_PAGES]:
        found.append(page.extract_text())
        length += len(found[-1])
        if length > LONGEST:
            break
    cut = {"truncated": True} if len(found) < pages else {}
    return told("\n\n".join(found), pages=pages, **cut)


def _checked_docx(file: BinaryIO) -> Any:
    content = _whole(file)
    _check_archive(content)
    content.seek(0)
    return content


def _docx_html(content: Any) -> str:
    import mammoth  # type: ignore[import-untyped]

    pictures = mammoth.images.img_element(lambda image: {"src": ""})
    styles = "p[style-name='Title'] => h1:fresh"
    return str(mammoth.convert_to_html(content, convert_image=pictures, style_map=styles).value)


def _core_title(content: Any) -> str:
    """What the document's properties say; its parts were checked before."""
    import html
    import zipfile

    content.seek(0)
    with zipfile.ZipFile(content) as archive:
        if "docProps/core.xml" not in archive.namelist():
            return ""
        found = re.search(r"<dc:title>([^<]{1,2000})</dc:title>", decoded(archive.read("docProps/core.xml")))
    return one_line(html.unescape(found.group(1))) if found else ""


def _article(markup: str) -> Answer:
    """Markup as Markdown, without what is hidden, runs or only decorates; the title is the page's or its first heading."""
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    page = BeautifulSoup(markup, "html.parser")
    _close_open_items(page)
    headed = page.find(re.compile("^h[12]$")) or page.find("title")
    named = one_line(headed.get_text(" ")) if headed else ""
    for tag in page.find_all(True):
        if not tag.decomposed and (tag.name in DECORATION or _is_hidden(tag)):
            tag.decompose()
    for link in page.find_all("a"):
        if not re.match(r"(?:https?|mailto|tel):|#", str(link.get("href") or "").strip(), re.IGNORECASE):
            del link["href"]
    text = MarkdownConverter(heading_style="ATX", bullets="-", strip=["img"]).convert_soup(page)
    return told(text, **({"title": named} if named else {}))


def _close_open_items(page: Any) -> None:
    """An item, paragraph or cell that was not closed ends where the next begins; the parser would nest them."""
    for tag in page.find_all(list(CLOSED_BY_NEXT)):
        ended, around = CLOSED_BY_NEXT[tag.name]
        above = tag.find_parent([*ended, *around])
        if above is not None and above.name in ended:
            above.insert_after(tag)


def _is_hidden(tag: Any) -> bool:
    return tag.has_attr("hidden") or bool(_Text.HIDDEN.search(str(tag.get("style") or "")[:2000]))


def read_image(file: BinaryIO) -> Answer:
    import warnings

    from PIL import Image

    warnings.simplefilter("error")
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        with Image.open(_whole(file), formats=["PNG", "JPEG", "GIF", "WEBP"]) as image:
            (width, height), kind = image.size, image.format
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refused("too many pixels") from None
    if width * height > MOST_PIXELS:
        raise Refused("too many pixels")
    return {"state": "empty", "text": "", "details": {"width": width, "height": height, "format": kind}}


READERS: dict[str, Callable[[BinaryIO], Answer]] = {
    "text": read_text,
    "html": read_html,
    "pdf": read_pdf,
    "docx": read_docx,
    "image": read_image,
    "article-html": article_of_html,
    "article-pdf": article_of_pdf,
    "article-docx": article_of_docx,
}


def _confine() -> None:
    """What the program may use from here on; the kernel holds it to that."""
    limits = (
        (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 64),
    )  # fmt: skip
    for limit, most in limits:
        resource.setrlimit(limit, (most, most))


def _failed(reason: str, **details: Any) -> Answer:
    return {"state": "failed", "text": "", "details": {"reason": reason, **details}}


def _whole(file: BinaryIO) -> Any:
    import io

    return io.BytesIO(file.read())


def _check_archive(content: BinaryIO) -> None:
    """Refuse an archive that unpacks to too much, and XML that declares anything: Word's own never does."""
    import zipfile

    with zipfile.ZipFile(content) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_ENTRIES:
            raise Refused("too many parts")
        if sum(entry.file_size for entry in entries) > MOST_UNPACKED:
            raise Refused("unpacks to too much")
        for entry in entries:
            if entry.flag_bits & 1:
                raise Refused("encrypted")
            if entry.file_size > SMALL and entry.file_size > MOST_RATIO * max(entry.compress_size, 1):
                raise Refused("unpacks to too much")
        for entry in entries:
            if entry.filename.endswith((".xml", ".rels")):
                _check_xml(archive, entry)


def _check_xml(archive: Any, entry: Any) -> None:
    """Read one part to its end, which checks the size that it declared, and look for declarations."""
    size, before = 0, b""
    with archive.open(entry) as part:
        while piece := part.read(65_536):
            size += len(piece)
            if size > MOST_UNPACKED:
                raise Refused("unpacks to too much")
            before = before[-16:] + piece.replace(b"\x00", b"")  # UTF-16 too
            if b"<!DOCTYPE" in before or b"<!ENTITY" in before:
                raise Refused("declares entities")


class _Text(HTMLParser):
    """Markup as Markdown, as far as it helps reading: headings, items, rows, paragraphs. What is hidden is left out."""

    SKIPPED = frozenset(
        ["script", "style", "template", "noscript", "head", "svg", "iframe", "object", "select", "textarea"]
    )
    VOID = frozenset(
        ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
    )
    BLOCKS = frozenset(["p", "div", "section", "article", "header", "footer", "ul", "ol", "table", "blockquote", "pre"])
    HIDDEN = re.compile(
        r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d])", re.IGNORECASE
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.length = 0
        self._skipping: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.VOID:
            if tag in ("br", "hr"):
                self._add("\n")
            return
        if self._skipping or tag in self.SKIPPED or self._hidden(attrs):
            if len(self._skipping) < MOST_NESTED:
                self._skipping.append(tag)
            return
        if re.fullmatch("h[1-6]", tag):
            self._add(f"\n\n{'#' * int(tag[1])} ")
        elif tag == "li":
            self._add("\n- ")
        elif tag == "tr":
            self._add("\n")
        elif tag in self.BLOCKS:
            self._add("\n\n")

    def handle_endtag(self, tag: str) -> None:
        if self._skipping:
            if tag in self._skipping:
                del self._skipping[len(self._skipping) - 1 - self._skipping[::-1].index(tag) :]
        elif tag in ("td", "th"):
            self._add(" | ")
        elif tag in self.BLOCKS or re.fullmatch("h[1-6]", tag):
            self._add("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self._add(re.sub(r"\s+", " ", data))

    def _hidden(self, attrs: list[tuple[str, str | None]]) -> bool:
        given = dict(attrs)
        return "hidden" in given or bool(self.HIDDEN.search((given.get("style") or "")[:2000]))

    def _add(self, text: str) -> None:
        if self.length <= 2 * LONGEST:
            self.parts.append(text)
            self.length += len(text)


def _html_text(markup: str) -> str:
    reader = _Text()
    for piece in _fed(markup):
        reader.feed(piece)
        if reader.length > 2 * LONGEST:
            break
    return "\n".join(re.sub(r"[ \t]+", " ", line).strip() for line in "".join(reader.parts).split("\n"))


def _fed(markup: str) -> Iterator[str]:
    """In pieces, so that a huge page is left once enough is read."""
    yield from (markup[at : at + 65_536] for at in range(0, len(markup), 65_536))


if __name__ == "__main__":
    main()

"""Files of several kinds to articles: Markdown as it is, HTML, Word and PDF by the confined extractor.

A file is what its bytes say; its name only chooses between kinds of text. It becomes an article whole or not at all: one
that would be cut off is refused, as is one that can't be read.
"""

import asyncio
import io
import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from kbs.articles.reading import ArticleFile, BadArticle, parse
from memory.errors import FileNotTaken
from tools.attachments.extracting import Extracted, extract
from tools.attachments.extractor import LONGEST
from tools.attachments.kinds import DOCX, sniff

TIME_S = 10.0
"""For one file; its reader may use the processor for half of that."""
CONVERTED = {"text/html", "application/pdf", DOCX}
TEXTS = {"text/markdown", "text/plain"}
NAMED_MARKDOWN = (".md", ".markdown")
REASONS = {
    "time": "reading it takes too long", "killed": "reading it takes too much", "memory": "reading it takes too much",
    "encrypted": "it is protected by a password", "unpacks to too much": "it unpacks to too much",
    "too long": f"it is longer than {LONGEST} characters; split it",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds of articles whose files do not say otherwise."""

    category: str = ""
    tags: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()


def tidy_name(name: str | None) -> str:
    """A file's name with the folders that it came with, without what can't be seen or leads elsewhere."""
    visible = "".join(character for character in (name or "")[-1000:] if character.isprintable())
    parts = [part.strip() for part in re.split(r"[\\/]", visible)]
    return "/".join(part for part in parts if part.strip("."))[-200:] or "file"


async def to_article(name: str, content: bytes, defaults: Defaults) -> ArticleFile:
    """The article that a file makes; `name` is tidy. Raises BadArticle, which says what is wrong with the file."""
    try:
        kind = (await asyncio.to_thread(sniff, io.BytesIO(content), name)).media_type
    except FileNotTaken as error:
        raise BadArticle(f"{name}: {error.detail}") from error
    if kind in TEXTS or (kind == "text/html" and name.lower().endswith(NAMED_MARKDOWN)):
        article = await asyncio.to_thread(_of_markdown, name, content)
    elif kind in CONVERTED:
        article = _of_document(name, await _converted(content, kind))
    else:
        raise BadArticle(f"{name}: articles are Markdown, HTML, Word (docx) or PDF")
    return replace(
        article, category=article.category or defaults.category, tags=article.tags or defaults.tags,
        audience=article.audience or defaults.audience,
    )  # fmt: skip


def _of_markdown(name: str, content: bytes) -> ArticleFile:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadArticle(f"{name}: the file is not UTF-8") from error
    if len(text) > LONGEST:
        raise BadArticle(f"{name}: {REASONS['too long']}")
    return parse(text, path=name)


def _of_document(name: str, found: Extracted) -> ArticleFile:
    if found.details.get("truncated"):
        raise BadArticle(f"{name}: {REASONS['too long']}")
    if found.state == "empty":
        raise BadArticle(f"{name}: there is no text in it")
    if found.state != "done":
        reason = REASONS.get(str(found.details.get("reason")), "it can't be read")
        raise BadArticle(f"{name}: {reason}")
    article = parse(f"\n{found.text}", path=name)  # whatever its first line looks like, it is no front matter
    title = str(found.details.get("title") or "")
    return replace(article, title=title) if title else article


async def _converted(content: bytes, kind: str) -> Extracted:
    path = await asyncio.to_thread(_written, content)
    try:
        return await extract(path, kind, time_s=TIME_S, as_article=True)
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)


def _written(content: bytes) -> Path:
    handle, name = tempfile.mkstemp(prefix="helpdesk-import-")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return Path(name)

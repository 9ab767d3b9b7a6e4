"""Reads articles from a folder: Markdown with optional front matter, or lines of JSON with `id`, `title` and `text`.

Front matter: `id, title, version, last_updated, category, tags, audience, supersedes, language, effective_from,
effective_until`, all optional. Without an `id` the path below the folder is the article's id, without a `title` its
first heading is. A file that cannot be read is reported by name, and the others still go in.
"""

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import yaml
from frontmatter.default_handlers import YAMLHandler

from kbs.articles.chunking import heading_words, plain
from kbs.words.language import rank_languages
from memory.errors import Invalid

MAX_BYTES = 2 * 2**20
"""Of one article; a file of JSON lines may hold many."""
MAX_JSONL_BYTES = 256 * 2**20
MARKDOWN = (".md", ".markdown")
JSON_LINES = ".jsonl"
MAX_FRONT_MATTER = 16_384
"""Characters; YAML is read at some 100 KB a second."""
MAX_CATEGORY = 60
MAX_MARKS = 30
"""Combining marks in a row, as the stream-safe format of UAX #15 has it: normalising takes quadratic time in them."""
ENOUGH_TO_TELL = 200
"""Characters of prose below which the language is not guessed."""

_FRONT_MATTER = YAMLHandler()
_REF = re.compile(r"[^\s\x00-\x1f\x7f]{1,200}")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+)$", re.MULTILINE)
_FENCED = re.compile(r"^(`{3,20}|~{3,20}).*?^\1", re.MULTILINE | re.DOTALL)
_NOT_PROSE = re.compile(r"`[^`\n]+`|https?://\S+|<[^>]{1,200}>|[^\w\s]|\d")


class BadArticle(Invalid):
    """One file that cannot become an article; `detail` names it and says why."""

    code = "bad_article"

    @property
    def path(self) -> str:
        return self.detail.split(": ", 1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleFile:
    """An article as its author wrote it."""

    path: str
    """Below the ingested folder; not part of the article."""
    ref: str
    title: str
    body: str
    label: str = ""
    """The author's own name of the version."""
    last_updated: date | None = None
    category: str = ""
    tags: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    """Empty: for everyone."""
    supersedes: tuple[str, ...] = ()
    language: str = "en"
    effective_from: datetime | None = None
    effective_until: datetime | None = None

    @property
    def content_hash(self) -> str:
        """sha256 hex of everything that an edit can change; without a category as it was before there were any."""
        fields = {
            name: value for name, value in asdict(self).items() if name != "path" and (value or name != "category")
        }
        return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()


def read_folder(folder: Path) -> tuple[tuple[ArticleFile, ...], tuple[BadArticle, ...]]:
    """All articles below the folder in order of their paths, and what could not be read."""
    root = folder.resolve()
    if not root.is_dir():
        raise Invalid(f"{folder} is not a folder")
    good: dict[str, ArticleFile] = {}
    bad: list[BadArticle] = []
    for path in _files(root):
        name = path.relative_to(root).as_posix()
        for article in _attempts(root, path, name):
            if isinstance(article, BadArticle):
                bad.append(article)
            elif article.ref in good:
                bad.append(BadArticle(f"{article.path}: the id `{article.ref}` is taken by {good[article.ref].path}"))
            else:
                good[article.ref] = article
    for ref in replacing_each_other(good.values()):
        bad.append(BadArticle(f"{good[ref].path}: `supersedes` leads in a circle back to `{ref}`"))
        del good[ref]
    return tuple(good.values()), tuple(bad)


def replacing_each_other(articles: Iterable[ArticleFile]) -> tuple[str, ...]:
    """Ids that, followed from newer to older, come back to themselves: neither could ever be found."""
    older = {article.ref: article.supersedes for article in articles}

    def reaches_itself(start: str) -> bool:
        seen: set[str] = set()
        ahead = list(older[start])
        while ahead:
            ref = ahead.pop()
            if ref == start:
                return True
            if ref not in seen:
                seen.add(ref)
                ahead += older.get(ref, ())
        return False

    return tuple(ref for ref, names in older.items() if names and reaches_itself(ref))


def parse(text: str, *, path: str) -> ArticleFile:
    """One Markdown file; raises BadArticle."""
    fields, body = _front_matter(tidy(text, path), path)
    if fields.get("id") is None:
        fields["id"] = re.sub(r"\s+", "-", path.rsplit(".", 1)[0])
    if not fields.get("title"):
        heading = _HEADING.search(_FENCED.sub("", body))
        fields["title"] = (
            plain(heading_words(heading.group(1))) if heading else path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        )
    return _article(fields, body, path)


def _front_matter(text: str, path: str) -> tuple[dict[str, Any], str]:
    """Only what stands between rulers at the very top and is a mapping: a ruler further down is just a ruler."""
    if not _FRONT_MATTER.detect(text):
        return {}, text
    try:
        block, body = _FRONT_MATTER.split(text)
    except ValueError:  # one ruler alone
        return {}, text
    if len(block) > MAX_FRONT_MATTER:
        raise BadArticle(f"{path}: the front matter is longer than {MAX_FRONT_MATTER} characters")
    try:
        fields = _FRONT_MATTER.load(block)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadArticle(f"{path}: the front matter is not YAML ({_one_line(error)})") from error
    if not isinstance(fields, dict):
        return {}, text
    return {str(name): value for name, value in fields.items()}, body


def _attempts(root: Path, path: Path, name: str) -> Iterator[ArticleFile | BadArticle]:
    try:
        text = _read(root, path, name)
    except BadArticle as error:
        yield error
        return
    for make, part, place in _parts(text, name):
        try:
            yield make(part, path=place)
        except BadArticle as error:
            yield error


def _parts(text: str, name: str) -> Iterator[tuple[Any, str, str]]:
    if not name.lower().endswith(JSON_LINES):
        yield parse, text, name
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _parse_line, line, f"{name}:{number}"


def _parse_line(line: str, *, path: str) -> ArticleFile:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadArticle(f"{path}: the line is not JSON") from error
    if not isinstance(fields, dict):
        raise BadArticle(f"{path}: the line is not a JSON object")
    ref, body = fields.get("id", fields.get("_id")), fields.get("text", fields.get("body"))
    if not isinstance(body, str) or ref is None:
        raise BadArticle(f"{path}: an article needs `id` and `text`")
    return _article({"title": str(ref), **fields, "id": ref}, tidy(body, path), path)


def _article(fields: Mapping[str, Any], body: str, path: str) -> ArticleFile:
    body = body.strip("\n")
    if not body.strip():
        raise BadArticle(f"{path}: the article has no text")
    known = {name: value for name, value in fields.items() if value is not None}
    ref, title = _words(known["id"], "id", path).strip(), _line(known.get("title", ""), "title", path)
    if not _REF.fullmatch(ref):
        raise BadArticle(f"{path}: the id must be 1 to 200 characters without spaces")
    starts, ends = (_moment(known.get(name), name, path) for name in ("effective_from", "effective_until"))
    if starts and ends and ends <= starts:
        raise BadArticle(f"{path}: effective_until is not after effective_from")
    return ArticleFile(
        path=path, ref=_line(ref, "id", path), title=title, body=body,
        label=_line(known.get("version", ""), "version", path),
        last_updated=_day(known.get("last_updated"), "last_updated", path),
        category=_line(known.get("category", ""), "category", path)[:MAX_CATEGORY],
        tags=_names(known.get("tags"), "tags", path),
        audience=tuple(name.lower() for name in _names(known.get("audience"), "audience", path)),
        supersedes=tuple(name for name in _names(known.get("supersedes"), "supersedes", path) if name != ref),
        language=_line(known["language"], "language", path).lower() if "language" in known else language_of(body),
        effective_from=starts, effective_until=ends,
    )  # fmt: skip


def language_of(text: str) -> str:
    """ISO 639-1 code; English where there is too little prose to tell."""
    prose = _NOT_PROSE.sub(" ", _FENCED.sub(" ", text))
    if len(prose.strip()) < ENOUGH_TO_TELL:
        return "en"
    language, certainty = rank_languages(prose[:4000])[0]
    return language if certainty >= 0.9 else "en"


def _files(root: Path) -> Iterator[Path]:
    """Articles below the root, hidden folders left out, links to folders not followed."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith((*MARKDOWN, JSON_LINES)) and not name.startswith("."):
                yield Path(folder, name)


def _read(root: Path, path: Path, name: str) -> str:
    limit = MAX_JSONL_BYTES if name.lower().endswith(JSON_LINES) else MAX_BYTES
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(root):
            raise BadArticle(f"{name}: the link leads out of the folder")
        if real.stat().st_size > limit:
            raise BadArticle(f"{name}: the file is larger than {limit >> 20} MB")
        return real.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadArticle(f"{name}: the file is not UTF-8") from error
    except OSError as error:
        raise BadArticle(f"{name}: {error.strerror or 'cannot be read'}") from error


def tidy(text: str, path: str) -> str:
    """One form for every text (NFC, line feeds). Raises BadArticle for what Postgres or a browser would choke on."""
    if len(text) > MAX_BYTES:
        raise BadArticle(f"{path}: the article is larger than {MAX_BYTES >> 20} MB")
    if "\0" in text:
        raise BadArticle(f"{path}: the text holds a NUL character")
    if re.search("[\ud800-\udfff]", text):
        raise BadArticle(f"{path}: the text holds half a character (a lone surrogate)")
    if not text.isascii() and _piles_up_marks(text):
        raise BadArticle(f"{path}: more than {MAX_MARKS} accents stand on one letter")
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


def _piles_up_marks(text: str) -> bool:
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > MAX_MARKS:
            return True
    return False


def _words(value: Any, field: str, path: str) -> str:
    """The text of one value; that of a list may be of any length, since YAML's aliases repeat what they name."""
    if not isinstance(value, str | int | float | date):
        raise BadArticle(f"{path}: `{field}` is not one line of text")
    try:
        return str(value)
    except ValueError as error:  # a number of thousands of digits
        raise BadArticle(f"{path}: `{field}` is not one line of text") from error


def _line(value: Any, field: str, path: str) -> str:
    return " ".join(tidy(_words(value, field, path), path).split())[:300]


def _names(value: Any, field: str, path: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if values is None:
        return ()
    if not isinstance(values, list) or not all(isinstance(name, str | int | float) for name in values):
        raise BadArticle(f"{path}: `{field}` is not a list of names")
    return tuple(dict.fromkeys(name for value in values if (name := _line(value, field, path))))


def _day(value: Any, field: str, path: str) -> date | None:
    moment = _moment(value, field, path)
    return moment.date() if moment else None


def in_utc(moment: datetime) -> datetime:
    """The same moment there; one without a zone is meant so. Raises ValueError outside the years 1 to 9999 of UTC: the
    database would keep it, and nobody could read the article again."""
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("is before the year 1 or after 9999 in UTC") from None


def _moment(value: Any, field: str, path: str) -> datetime | None:
    """A date means its first moment in UTC."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip())
        if isinstance(value, datetime):
            return in_utc(value)
    except ValueError as error:
        raise BadArticle(f"{path}: `{field}` is not a date such as 2026-03-31") from error
    if value is None:
        return None
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise BadArticle(f"{path}: `{field}` is not a date such as 2026-03-31")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]

"""Splits a Markdown article into passages along its structure. Pure.

A passage never spans two headings. Inside a section, whole blocks (paragraph, list, table, code) are packed up to a
target length; a block is cut only when it alone is longer than the embedder reads, and then where its kind allows:
a table between rows with its header repeated, code between lines inside its own fence, a list between items.
No text is lost, apart from the headings, which move into the passage's path.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

TARGET = 190
"""Estimated tokens at which a passage is full: about 140 words of prose, which keeps one subject per passage."""
LIMIT = 225
"""Estimated tokens that the embedder still reads: 256, less its own marks, the title and the headings."""
SEPARATOR = " > "

_PARSER = MarkdownIt("commonmark").enable("table")
_TOKEN = re.compile(r"\w+|[^\w\s]")
_RULER = re.compile(r"([^\w\s])\1{3,}")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_OPENS_ITEM = re.compile(r"([-*+]|\d{1,9}[.)])(\s|$)")
_FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})")


_Cut = Callable[[str, int], Iterator[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage of an article before it has an identity."""

    heading: str
    """Path of headings below the title; empty for the opening."""
    text: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class _Block:
    kind: str
    text: str

    @property
    def leads_in(self) -> bool:
        """A paragraph such as "Proceed as follows:" belongs to what it announces."""
        return self.kind == "paragraph" and self.text.endswith(":")


def split(markdown: str, *, title: str = "") -> tuple[Chunk, ...]:
    """The article's passages in order; a first heading equal to the title is not repeated in the paths."""
    found: list[tuple[str, str]] = []
    for heading, blocks in _sections(markdown, title):
        found += [(heading, text) for text in _pack(blocks)]
    return tuple(Chunk(heading=heading, text=text, ordinal=n) for n, (heading, text) in enumerate(found))


def plain(line: str) -> str:
    """A line of Markdown without its marks: `**Alloy:** [events](x)` is "Alloy: events"."""
    children = (child for token in _PARSER.parseInline(line) for child in token.children or ())
    words = "".join(" " if child.type.endswith("break") else child.content for child in children if _reads(child))
    return " ".join(words.split())


def _reads(token: Token) -> bool:
    return token.type in ("text", "text_special", "code_inline", "softbreak", "hardbreak")


def embedded_text(title: str, heading: str, text: str) -> str:
    """What the embedder reads of a passage: its place in the article, then its text without rulers of marks."""
    return _RULER.sub(r"\1\1\1", "\n".join(part for part in (title, heading, text) if part))


def estimated_tokens(text: str) -> int:
    """About what a word-piece tokenizer makes of it: a word is a token per six letters, a mark is one."""
    return sum(1 + (len(token) - 1) // 6 for token in _TOKEN.findall(_RULER.sub(r"\1\1\1", text)))


def _sections(markdown: str, title: str) -> Iterator[tuple[str, list[_Block]]]:
    """Runs of blocks under one path of headings; a heading with nothing below it stands for itself."""
    path: list[tuple[int, str]] = []
    blocks: list[_Block] = []
    for token, text in _top_level(markdown.split("\n")):
        if token.type != "heading_open":
            if text.strip():
                blocks.append(_Block(_kind(token), text.strip("\n")))
            continue
        level, name, rest = int(token.tag[1:]), *_heading(token, text)
        yield _path(path), blocks if blocks or not path or level > path[-1][0] else [_Block("paragraph", path[-1][1])]
        blocks = [_Block("paragraph", rest)] if rest else []
        path = [(depth, above) for depth, above in path if depth < level]
        if name and (level > 1 or name.casefold() != plain(title).casefold()):
            path.append((level, name))
    yield _path(path), blocks if blocks or not path else [_Block("paragraph", path[-1][1])]


def _top_level(lines: list[str]) -> Iterator[tuple[Token, str]]:
    """Each top-level block with its source lines up to the next block, so that nothing between two is lost."""
    tokens = [
        token
        for token in _PARSER.parse("\n".join(lines))
        if token.level == 0 and token.map is not None and token.nesting >= 0
    ]
    starts = [token.map[0] for token in tokens if token.map]
    if not tokens:
        yield Token("html_block", "", 0), "\n".join(lines)
        return
    if any(line.strip() for line in lines[: starts[0]]):
        yield Token("html_block", "", 0), "\n".join(lines[: starts[0]])
    for token, start, end in zip(tokens, starts, [*starts[1:], len(lines)], strict=True):
        yield token, "\n".join(lines[start:end])


def _heading(token: Token, text: str) -> tuple[str, str]:
    """The heading's words, and what follows it without being a block (link definitions, say)."""
    start, end = token.map or (0, 1)
    own, rest = text.split("\n")[: end - start], text.split("\n")[end - start :]
    words = own[0] if token.markup.startswith("#") else " ".join(own[:-1])
    return plain(heading_words(words)), "\n".join(rest).strip("\n")


def heading_words(line: str) -> str:
    """A heading's line without the marks before it and the closing ones after it: `## C# ##` is "C#"."""
    words = re.sub(r"^\s*#{1,6}\s*", "", line).rstrip()
    inner = words.rstrip("#")
    return inner.rstrip() if not inner or inner[-1].isspace() else words


def _path(path: list[tuple[int, str]]) -> str:
    return SEPARATOR.join(name for _, name in path)


def _kind(token: Token) -> str:
    kinds = {"fence": "code", "table_open": "table", "bullet_list_open": "list", "ordered_list_open": "list"}
    return kinds.get(token.type, "paragraph" if token.type == "paragraph_open" else "other")


def _pack(blocks: Iterable[_Block]) -> Iterator[str]:
    """Fill passages up to the target; what leads in moves on with what it announces."""
    held: list[_Block] = []
    for block in _within_limit(blocks):
        size = _size(held)
        full = held and (size >= TARGET or size + estimated_tokens(block.text) > LIMIT)
        if full:
            carried = [held.pop()] if len(held) > 1 and held[-1].leads_in else []
            if _size([*carried, block]) > LIMIT:
                held, carried = held + carried, []
            yield _joined(held)
            held = carried
        held.append(block)
    if held:
        yield _joined(held)


def _joined(blocks: Iterable[_Block]) -> str:
    return "\n\n".join(block.text for block in blocks)


def _size(blocks: Iterable[_Block]) -> int:
    return sum(estimated_tokens(block.text) for block in blocks)


def _within_limit(blocks: Iterable[_Block]) -> Iterator[_Block]:
    for block in blocks:
        if estimated_tokens(block.text) <= LIMIT:
            yield block
        else:
            cut = _CUTS.get(block.kind, _cut_prose)
            yield from (_Block(block.kind, part) for part in cut(block.text, LIMIT))


def _cut_table(text: str, room: int) -> Iterator[str]:
    """Between rows, the header on each part, or a row would no longer say what its cells mean."""
    lines = text.split("\n")
    head = "\n".join(lines[:2])
    for part in _group(lines[2:], _cut_line, joint="\n", room=max(room - estimated_tokens(head), room // 4)):
        yield f"{head}\n{part}"


def _cut_code(text: str, room: int) -> Iterator[str]:
    """Between lines; each part stands in the block's own fence."""
    lines = text.split("\n")
    found = _FENCE.match(lines[0])
    if found is None:
        yield from _cut_prose(text, room)
        return
    closing = found.group(1) + found.group(2)
    closed = len(lines) > 1 and lines[-1].strip().startswith(found.group(2))
    inner = lines[1:-1] if closed else lines[1:]
    for part in _group(inner, _cut_line, joint="\n", room=max(room - 2 * estimated_tokens(lines[0]), room // 4)):
        yield f"{lines[0]}\n{part}\n{closing}"


def _cut_list(text: str, room: int) -> Iterator[str]:
    """Between the outermost items, each with all that is indented below it."""
    items: list[str] = []
    for line in text.split("\n"):
        if items and not _OPENS_ITEM.match(line):
            items[-1] += f"\n{line}"
        else:
            items.append(line)
    return _group(items, _cut_prose, joint="\n", room=room)


def _cut_prose(text: str, room: int) -> Iterator[str]:
    """Between paragraphs or lines, else between sentences, else between words."""
    return _group(text.split("\n"), _cut_line, joint="\n", room=room)


def _cut_line(line: str, room: int) -> Iterator[str]:
    return _group(_SENTENCE_END.split(line), _cut_words, joint=" ", room=room)


def _cut_words(sentence: str, room: int) -> Iterator[str]:
    """Last resort; a "word" beyond the limit (a key, a data URL) is cut by length."""
    words = [word[at : at + room] for word in sentence.split(" ") for at in range(0, max(len(word), 1), room)]
    return _group(words, lambda word, _: iter((word,)), joint=" ", room=room)


def _group(parts: Iterable[str], cut: _Cut, *, joint: str, room: int) -> Iterator[str]:
    """Join neighbours while they fit into `room` tokens; what does not fit alone is cut further."""
    held: list[str] = []
    size = 0
    for part in parts:
        need = estimated_tokens(part)
        if held and size + need > room:
            yield joint.join(held)
            held, size = [], 0
        if need > room:
            yield from cut(part, room)
        else:
            held.append(part)
            size += need
    if any(part.strip() for part in held):
        yield joint.join(held)


_CUTS: dict[str, _Cut] = {"table": _cut_table, "code": _cut_code, "list": _cut_list}

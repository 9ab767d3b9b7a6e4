"""Bodies of the knowledge base: articles and their versions, uploads and jobs, what relied on an article, and gaps."""

import unicodedata
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from api.forms import FormFields
from api.schemas.common import Body, CleanText, Line, Out, Time
from kbs.articles.reading import MAX_MARKS, BadArticle, in_utc, tidy
from tools.articles import writing
from tools.articles.finding import Status
from tools.articles.reliance import Kind, Standing
from tools.gaps.listing import Status as GapStatus
from tools.numbers import Whole


def _article_text(text: str) -> str:
    """As `clean`, for texts of articles: longer, and normalised only where that takes linear time."""
    if len(text) > writing.LONGEST_BODY:
        raise ValueError("is too long")
    if any(unicodedata.category(character) in ("Cs", "Cc") and character not in "\n\r\t" for character in text):
        raise ValueError("must hold no control characters and no broken Unicode")
    if not text.strip():
        raise ValueError("must not be blank")
    try:
        return tidy(text, "body").strip("\n")
    except BadArticle as error:
        raise ValueError(f"must not have more than {MAX_MARKS} accents on one letter") from error


def _distinct(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


ArticleText = Annotated[
    str, StringConstraints(max_length=writing.LONGEST_BODY), AfterValidator(_article_text),
    Field(json_schema_extra={"pattern": r"^[^\S]*[^\s][^\u0000]*$"}),
]  # fmt: skip
Label = Annotated[CleanText, StringConstraints(max_length=60)]
Name = Annotated[Line, StringConstraints(max_length=60)]
Names = Annotated[list[Name], Field(max_length=50), AfterValidator(_distinct)]
Audience = Annotated[
    list[Annotated[Name, AfterValidator(str.lower)]],
    Field(max_length=50, description="only for callers of one of these audiences; empty: for everyone"),
    AfterValidator(_distinct),
]
Ref = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=200)]
Refs = Annotated[list[Annotated[CleanText, StringConstraints(min_length=1, max_length=200)]], Field(max_length=50),
                 AfterValidator(_distinct)]  # fmt: skip
Collection = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=60)]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
Note = Annotated[CleanText, StringConstraints(max_length=500)]
Version = Annotated[
    Whole, Field(ge=1, le=2**31 - 1, description="the newest that you have seen; 409 where there is a newer")
]
Number = Annotated[Whole, Field(ge=1, le=2**31 - 1)]
Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]
NULLABLE = frozenset({"effective_from", "effective_until", "version"})


class ArticleIn(Body):
    title: Line
    body: ArticleText = Field(description="Markdown")
    ref: Ref | None = Field(default=None, description="its stable id, which answers cite; made of the title if missing")
    collection: Collection = "articles"
    category: Label = ""
    tags: Names = []
    audience: Audience = []
    supersedes: Refs = Field(default=[], description="refs of articles that are not found while this one is published")
    language: Language | None = Field(default=None, description="read from the text if missing")
    effective_from: Moment | None = None
    effective_until: Moment | None = None
    label: Label = Field(default="", description="your own name of the version")
    note: Note = Field(default="", description="about the change, for colleagues")
    publish: bool = Field(default=False, description="let answers be made from it at once")


class ArticleChange(Body):
    """What shall be different; what is left out stays."""

    version: Version | None = None
    title: Line | None = None
    body: ArticleText | None = None
    category: Label | None = None
    tags: Names | None = None
    audience: Audience | None = None
    supersedes: Refs | None = None
    language: Language | None = None
    effective_from: Moment | None = None
    effective_until: Moment | None = None
    label: Label | None = None
    note: Note = ""
    publish: bool = Field(default=False, description="let answers be made from it at once; else it waits as a draft")

    @model_validator(mode="after")
    def _no_empty_values(self) -> "ArticleChange":
        if any(getattr(self, name) is None for name in self.model_fields_set - NULLABLE):
            raise ValueError("null is not a value of this field")
        return self

    def changes(self) -> dict[str, Any]:
        """By the names of an article's fields."""
        given = self.model_dump(exclude_unset=True, exclude={"version", "note", "publish"})
        return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


class PublishIn(Body):
    number: Number | None = Field(default=None, description="which version; the draft if missing")
    version: Version | None = None


class VersionIn(Body):
    version: Version | None = None


class ArticleOut(Out):
    """An article without its text."""

    id: UUID
    ref: str
    title: str
    owner: Literal["tenant", "global"] = Field(description="global articles are read-only")
    collection: str
    status: Status
    version: int = Field(description="number of the newest text")
    published_version: int | None = Field(description="of the text that answers are made from")
    draft_version: int | None = Field(description="of the text that waits to be published")
    category: str
    tags: list[str]
    audience: list[str]
    supersedes: list[str]
    language: str
    effective_from: Time | None
    effective_until: Time | None
    path: str = Field(description="its file below the folder that it was ingested from; empty if it has none")
    created_at: Time
    updated_at: Time


class ArticleDetail(ArticleOut):
    """An article with one of its texts."""

    shown_version: int | None = Field(description="of this text; null where the texts were erased")
    body: str
    label: str | None
    author: str | None = Field(description="`user:<id>` or `file`")
    note: str | None
    written_at: Time | None


class VersionOut(Out):
    version: int
    title: str
    label: str
    author: str
    note: str
    length: int = Field(description="of its text, in characters")
    published: bool = Field(description="answers are made from it")
    draft: bool = Field(description="it waits to be published")
    created_at: Time


class LinesOut(Out):
    from_line: int
    to_line: int
    removed: list[str]
    added: list[str]


class FieldChange(Out):
    from_: Any = Field(alias="from", serialization_alias="from")
    to: Any


class ArticleDiffOut(Out):
    from_version: int
    to_version: int
    fields: dict[str, FieldChange]
    changes: list[LinesOut] = Field(description="of the text, line by line, from 1")


class UploadFields(Body, FormFields):
    """The fields of an upload's form beside its files."""

    LISTS = frozenset({"tags", "audience"})

    collection: Collection = "articles"
    category: Label = ""
    tags: Names = []
    audience: Audience = []
    publish: Literal["true", "false"] = "true"


class ImportOut(Out):
    """A job on the knowledge base, and how far it is."""

    id: UUID
    kind: Literal["upload", "index", "rebuild"]
    status: Literal["queued", "running", "done", "failed"]
    total: int = Field(description="files of an upload, else articles")
    done: int
    added: int
    changed: int
    unchanged: int
    failed: int
    waiting: int
    passages: int = Field(description="written by an index or rebuild")
    error: str
    collection: str
    publish: bool
    requested_by: str
    created_at: Time
    ended_at: Time | None


Outcome = Literal["waiting", "added", "changed", "unchanged", "failed"]


class ImportedFileOut(Out):
    name: str
    size: int
    outcome: Outcome
    detail: str = Field(description="why it failed")
    article_id: UUID | None
    version: int | None


class KnowledgeStatus(Out):
    drafts: int
    published: int
    withdrawn: int
    deleted: int
    with_draft: int = Field(description="published or withdrawn, with a newer text that waits")
    stale: int = Field(description="published, and not or not newly indexed; `POST kb/index` does it")
    passages: int
    vectors: int
    revision: int = Field(description="rises with every change of what searches find")
    embedder: str
    dimensions: int
    is_whole: bool = Field(description="every published article is indexed, and every passage has its vector")
    last_job: ImportOut | None


class RelianceCount(Out):
    affected: int
    all: int


class ReliedOut(Out):
    """Something that was made from an article."""

    kind: Kind
    id: UUID = Field(description="of the message, draft, approved reply, example or correction")
    session_id: UUID | None
    ticket_id: UUID | None
    state: str = Field(description="sent | open | active, or how far the sending of a ticket's reply is")
    version: int = Field(description="the newest version of the article that it quoted")
    affected: bool = Field(description="something that it quoted is not in the article's text any more")
    text: str
    quotes: list[str] | None = Field(description="passages that it quoted, of those that are gone")
    says: list[str] = Field(description="sentences that are gone from the article and stand in it word for word")
    written_at: Time


class RelianceOut(Out):
    standing: Standing = Field(description="how the article stands now")
    version: int | None = Field(description="of the text that holds now")
    counts: dict[Kind, RelianceCount]
    items: list[ReliedOut]
    next_cursor: str | None


class GapOut(Out):
    """Questions about one matter that had no good answer."""

    id: UUID
    status: GapStatus
    title: str = Field(description="the question that stands for the others best")
    examples: list[str]
    questions: int
    sessions: int = Field(description="conversations that they are from")
    tickets: int = Field(description="how many are from tickets")
    no_answer: int = Field(description="how many were answered with an honest no")
    clarified: int = Field(description="how many with a question back, and then not at all")
    thumbs_down: int = Field(description="how many with something that the customer did not like")
    handed_over: int = Field(description="how many went to people because there was no answer")
    by_hand: int = Field(description="how many had a draft that found little, and were answered by hand")
    languages: list[str]
    first_seen: Time
    last_seen: Time
    article_id: UUID | None = Field(description="that was drafted for it, or answers it")
    note: str
    decided_at: Time | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> "GapOut":
        title = " ".join((row["examples"] or [""])[0].split())
        return cls.model_validate({**row, "title": title[:120]})


class DismissIn(Body):
    note: Note = ""


class GapResolveIn(Body):
    note: Note = ""
    article_id: UUID | None = Field(default=None, description="that answers it now")


UPLOAD_FORM = {
    "type": "object",
    "required": ["files"],
    "properties": {
        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "collection": {"type": "string"},
        "category": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "audience": {"type": "array", "items": {"type": "string"}},
        "publish": {"type": "string", "enum": ["true", "false"]},
    },
}
"""An upload's form, for the OpenAPI document."""

"""What bodies share: text that Postgres and every client can hold, and lists with a cursor."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    model_validator,
)

T = TypeVar("T")
LONGEST = 8000
"""No text of the API is longer; checked first, because normalising takes quadratic time in combining marks."""
MOST_FIELDS = 100
_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_SPACES = r"[^\S\x0b\x0c\x1c-\x1f\x85]*"


def clean(text: str) -> str:
    if len(text) > LONGEST:
        raise ValueError("is too long")
    if any(unicodedata.category(character) in ("Cs", "Cc") and character not in "\n\r\t" for character in text):
        raise ValueError("must hold no control characters and no broken Unicode")
    return unicodedata.normalize("NFC", text)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text.strip()


CLEAN = f"^[^{_CONTROL}]*$"
CleanText = Annotated[str, AfterValidator(clean), Field(json_schema_extra={"pattern": CLEAN})]
"""Normalised Unicode without NUL, other control characters or lone surrogates."""
_Words = Annotated[
    str, AfterValidator(clean), AfterValidator(_not_blank),
    Field(json_schema_extra={"pattern": rf"^{_SPACES}[^{_CONTROL}\s][^{_CONTROL}]*$"}),
]  # fmt: skip
Line = Annotated[_Words, StringConstraints(max_length=200)]
MessageText = Annotated[_Words, StringConstraints(max_length=LONGEST)]
Password = Annotated[CleanText, StringConstraints(min_length=10, max_length=200)]
Time = Annotated[
    datetime, PlainSerializer(lambda time: time.astimezone(UTC).isoformat().replace("+00:00", "Z"), when_used="json")
]


class Body(BaseModel):
    """A request body: unknown names are refused, so that a misspelt or forbidden field is not silently lost."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few(cls, given: object) -> object:
        """Each unknown name is an error of its own: a hundred thousand of them would cost a second."""
        if isinstance(given, dict) and len(given) > MOST_FIELDS:
            raise ValueError("has too many fields")
        return given


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Page(BaseModel, Generic[T]):
    items: list[T]
    next_cursor: str | None = Field(default=None, description="send it as `cursor` for the next page; null at the end")


Limit = Annotated[int, Query(ge=1, le=100, description="most items of a page")]
Cursor = Annotated[UUID | None, Query(description="`next_cursor` of the page before")]


def page_of(items: list[T], limit: int, last_id: UUID | None) -> Page[T]:
    """A page; the cursor is the last item's id where there may be more."""
    return Page(items=items, next_cursor=str(last_id) if len(items) == limit and last_id else None)

"""What bodies share: text that Postgres and every client can hold, and lists with a cursor."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

T = TypeVar("T")


def _clean(text: str) -> str:
    if any(unicodedata.category(character) in ("Cs", "Cc") and character not in "\n\r\t" for character in text):
        raise ValueError("must hold no control characters and no broken Unicode")
    return unicodedata.normalize("NFC", text)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text.strip()


CleanText = Annotated[str, AfterValidator(_clean)]
"""Normalised Unicode without NUL, other control characters or lone surrogates."""
Line = Annotated[CleanText, AfterValidator(_not_blank), StringConstraints(max_length=200)]
MessageText = Annotated[CleanText, AfterValidator(_not_blank), StringConstraints(max_length=8000)]
Password = Annotated[CleanText, StringConstraints(min_length=10, max_length=200)]
Time = Annotated[
    datetime, PlainSerializer(lambda time: time.astimezone(UTC).isoformat().replace("+00:00", "Z"), when_used="json")
]


class Body(BaseModel):
    """A request body: unknown names are refused, so that a misspelt or forbidden field is not silently lost."""

    model_config = ConfigDict(extra="forbid")


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

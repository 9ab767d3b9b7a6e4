"""Rows of the hot path as their tables' models."""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy.orm import configure_mappers
from sqlmodel import SQLModel

Model = TypeVar("Model", bound=SQLModel)


def to_read(model: type[Model], row: Mapping[str, Any]) -> Model:
    """A whole row as its model, only to be read: no session knows it. The database has checked what a constructor would
    check again, which takes eight times as long, for each of the twenty messages that a turn reads."""
    _prepare(model)
    return cast(Model, model.model_construct(**row))


@cache
def _prepare(model: type[SQLModel]) -> None:
    """Until the first constructor or query of a process, what `model_construct` makes has no attributes to be read."""
    configure_mappers()

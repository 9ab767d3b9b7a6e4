"""Whole numbers as JSON has them."""

from typing import Annotated

from pydantic import BeforeValidator, Field


def whole(number: object) -> object:
    """JSON has one kind of number: 3.0 is an integer, "3" and true are none."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


Whole = Annotated[int, BeforeValidator(whole), Field(strict=True)]

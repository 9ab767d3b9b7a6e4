"""Ids in paths beside words: `/replies/{draft_id}` is not `/replies/pending`, whatever the method.

Without this a word that one method takes would be read as a bad id by the others: 422 where it must be 405.
"""

from starlette.convertors import Convertor, register_url_convertor

WORDS = ("approve", "generate", "pending", "rebuild")


class NoWord(Convertor[str]):
    """One segment that is none of our words; what it must be is for the route to say."""

    regex = rf"(?!(?:{'|'.join(WORDS)})(?:/|$))[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


def segment(name: str) -> str:
    """The part of a path that holds an id."""
    return f"/{{{name}:no_word}}"


register_url_convertor("no_word", NoWord())

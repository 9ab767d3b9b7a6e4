"""What the agent says in its own words, by language: never a fact of the knowledge base, never a promise of time."""

from functools import cache
from pathlib import Path
from typing import Literal, get_args

from memory.yaml_files import read_yaml

Phrase = Literal[
    "greeting", "thanks", "goodbye", "smalltalk", "no_answer", "handed_over", "nobody_there", "already_waiting",
    "refused", "refused_escalated", "model_away", "broken_off", "clarify", "not_known", "ticket_opened",
    "back_in_queue", "waiting_for_nobody", "declined", "offer_human", "offer_ticket", "left_open",
    "not_helped", "tell_more", "colleague_left",
]  # fmt: skip
PHRASES: tuple[Phrase, ...] = get_args(Phrase)


def say(phrase: Phrase, language: str | None, **values: object) -> str:
    """The phrase in the customer's language, else in English."""
    phrases = _phrases()
    text = phrases.get(language or "en", phrases["en"])[phrase]
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return " ".join(text.split())


@cache
def _phrases() -> dict[str, dict[str, str]]:
    loaded: dict[str, dict[str, str]] = read_yaml(Path(__file__).with_name("phrases.yaml"))
    return loaded

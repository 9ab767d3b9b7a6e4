"""What a model may change in a customer's name: only what that customer's own words call for.

Once a stranger's text is in front of a model (an article, a file, a ticket, a fact, what a colleague pasted), nobody can
tell whose wish it passes on. So nothing is changed on a model's word. Each tool that changes something names the wish it
needs, and code finds the wish in what the customer wrote in this turn, before the model is asked:

    ticket   they ask for a ticket, or say yes to our offer of one
    human    they ask for a person or say yes to an offer (then the conversation is handed over before any model is
             asked), or the turn's own judgement of their message speaks for one: `escalation_policy.speaks_for_a_person`
    fact     they tell something about themselves

Without the wish nothing happens: the model is told so, and a ticket or a person is offered instead, in our own words
after the answer; the next message may say yes. What is written is the customer's, too: a ticket and a handoff hold their
messages, a fact is their own sentence. A model's arguments only choose among those words, so that nothing of a stranger
gets into a row from which another turn would read it again.
"""

import re
from dataclasses import dataclass
from typing import Literal

from memory.errors import Conflict
from tools.classification.writer import wants_ticket
from tools.lasting import is_passing

Wish = Literal["ticket", "human", "fact"]
HELD_BACK: dict[Wish, str] = {
    "ticket": "Nothing was opened: the customer has not asked for a ticket. They are asked after your answer whether they "
    "want one; do not speak of it yourself.",
    "human": "Nobody was called: the customer has not asked for a person. They are asked after your answer whether they "
    "want one; do not speak of it yourself.",
    "fact": "Nothing was kept: it is not what the customer says about themselves in this message.",
}
LONGEST = 4000
"""Characters of a ticket that are taken from the conversation; the newest are kept."""
BEFORE = 5
"""Earlier messages that go with it."""
SHORT_WISH = 8
"""Words; a message that asks for a ticket in no more names no matter, and the one before it does."""
LONGEST_SENTENCE = 300

SENTENCE = re.compile(r"[^.!?。！？\n]+(?:[.!?](?!\s|$)[^.!?。！？\n]*)*[.!?。！？]?")
_WORD = re.compile(r"[^\W_]+")
_EMPTY = frozenset({"customer", "client", "user", "they", "their", "have", "that", "this", "with", "kunde", "kundin"})
"""Words by which a model speaks of somebody, and they do not speak of themselves."""
_OF_THEMSELVES = re.compile(
    r"\b(?:i|i'm|i've|my|we|our|ich|wir|mein\w*|unser\w*|je|j'\w+|nous|mon|mes|notre|nos|yo|mis?|nosotr[oa]s|nuestr[oa]s?|"
    r"io|mio|mia|noi|eu|meu|minha|ik|mijn|ja|mój|moja|я|мы|мо[йяеё]|мои|наш\w*|у меня|у нас|ben|benim|biz|bizim)\b|"
    r"我|私|僕|저는|제|أنا",
    re.IGNORECASE,
)
SECRET = re.compile(
    r"\b(?:pass(?:word|wort|code|phrase)|kennwort|mot de passe|contraseña|пароль|pin|secret|token|api key|cvv|iban|"
    r"card number)\b",
    re.IGNORECASE,
)


class NotAsked(Conflict):
    """A tool would change something that the customer did not ask for."""

    code = "not_asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWords:
    """What the customer themselves wrote: the messages that this turn answers, and those before them."""

    now: str = ""
    before: tuple[str, ...] = ()

    @property
    def wishes(self) -> frozenset[Wish]:
        """What this turn's words ask for. A person is not among them: who asks for one meets no model."""
        found: set[Wish] = set()
        if wants_ticket(self.now):
            found.add("ticket")
        if _statements(self.now):
            found.add("fact")
        return frozenset(found)

    @property
    def matter(self) -> str:
        """Their messages as a ticket tells them, newest last."""
        return "\n\n".join([*self.before[-BEFORE:], self.now]).strip()[-LONGEST:]

    def subject(self, wanted: str = "") -> str:
        """A line that names the matter: the wanted one if they used all of its words, else the words they named it with."""
        if (words := _words(wanted)) and words <= _words(self.matter):
            return wanted
        named = [*self.before[-BEFORE:], *([self.now] if len(self.now.split()) > SHORT_WISH else [])]
        return (named or [self.now])[-1]

    def statement(self, wanted: str) -> str:
        """The sentence of this turn in which they say of themselves what is wanted; empty where there is none."""
        words = _words(wanted)
        shared = {each: len(words & _words(each)) for each in _statements(self.now)}
        best = max(shared, key=lambda each: shared[each], default="")
        return best if best and 2 * shared[best] >= len(words) > 0 else ""


def _statements(text: str) -> list[str]:
    """Sentences in which somebody says something of themselves that lasts; never a question, never one with a secret."""
    sentences = [" ".join(found.split()) for found in SENTENCE.findall(text)]
    return [
        each
        for each in sentences
        if len(each) <= LONGEST_SENTENCE
        and not each.endswith(("?", "？"))
        and _OF_THEMSELVES.search(each)
        and not SECRET.search(each)
        and not is_passing(each)
    ]


def _words(text: str) -> set[str]:
    """Words by their first letters, so that endings do not part them."""
    words = _WORD.findall(text.casefold())
    return {
        word[:5] for word in words if (len(word) > 3 or not word.isascii() or word.isdigit()) and word not in _EMPTY
    }

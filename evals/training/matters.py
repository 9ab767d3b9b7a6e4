"""How well a reply of the same matter is told from a neighbour's: `python -m evals.training.matters`.

Of each matter of `learning.yaml` two questions are known with the house's reply, the other four are asked, over several
draws and under subjects that say something, nothing, or either. `right`: a reply of the matter itself is taken over;
`wrong`: a neighbour's; `new`: a neighbour's, were the matter itself not known.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from agent.drafts.lessons import SAME_MATTER, likeness
from agent.drafts.shapes import DraftRequest
from evals.cases import Case, own
from evals.suites.learning import CLOTHES, NAMES, NEEDED
from kbs.embedding.embedder import Embedder
from kbs.embedding.opening import open_embedder
from kbs.index import Vectors
from memory.models import new_id
from tools.learning.lessons import Lesson

DRAWS = 8
KNOWN = 2
EMPTY = (
    "Ticket #4839", "Help!!", "Question", "Help needed", "", "Please help", "Support request", "Urgent",
    "[#993-112] Re: Re:", "hi", "no subject", "???",
)  # fmt: skip
Subject = Callable[[random.Random, Case], str]
SUBJECTS: dict[str, Subject] = {
    "say nothing": lambda chance, matter: chance.choice(EMPTY),
    "name the matter": lambda chance, matter: str(matter["matter"]),
    "either": lambda chance, matter: chance.choice((str(matter["matter"]), chance.choice(EMPTY))),
}


async def measure(embedder: Embedder, matters: Sequence[Case], subject: Subject) -> np.ndarray:
    """The likeness of the best reply of the matter itself, and of the best of another one, for every question."""
    found: list[tuple[float, float]] = []
    for draw in range(DRAWS):
        chance = random.Random(draw)  # noqa: S311  an order, not a secret
        lessons: list[tuple[str, Lesson]] = []
        questions: list[tuple[str, str]] = []
        for matter in matters:
            asks = chance.sample(matter["asks"], len(matter["asks"]))
            for place, ask in enumerate(asks):
                said = chance.choice(CLOTHES).format(ask=ask, name=chance.choice(NAMES))
                title = subject(chance, matter)
                if place < KNOWN:
                    lessons.append((matter["matter"], _lesson(title, said, matter["reply"])))
                else:
                    asked_for = DraftRequest(tenant_id=new_id(), subject=title, content=said).asked
                    questions.append((matter["matter"], asked_for))
        found += await _compared(embedder, lessons, questions)
    return np.array(found)


async def _compared(
    embedder: Embedder, lessons: Sequence[tuple[str, Lesson]], questions: Sequence[tuple[str, str]]
) -> list[tuple[float, float]]:
    texts = [*(one.asked for _, one in lessons), *(one.reply for _, one in lessons), *(asked for _, asked in questions)]
    vectors = await embedder.embed_texts(texts)
    bounds = (0, len(lessons), 2 * len(lessons), len(texts))
    asked, replies, tickets = (vectors[start:end] for start, end in pairwise(bounds))
    matters = np.array([matter for matter, _ in lessons])
    return [
        _best(likeness(asked, replies, ticket), matters == matter)
        for (matter, _), ticket in zip(questions, tickets, strict=True)
    ]


def _best(alike: Vectors, own_matter: np.ndarray) -> tuple[float, float]:
    return float(alike[own_matter].max()), float(alike[~own_matter].max())


def _lesson(subject: str, issue: str, reply: str) -> Lesson:
    return Lesson(id=new_id(), kind="example", version=1, subject=subject, issue=issue, reply=reply, wrong="", notes="")


async def main() -> None:
    matters = own("learning", NEEDED)
    async with open_embedder("minilm", base_url=None, api_key=None, cache=None) as embedder:
        for name, subject in SUBJECTS.items():
            mine, other = (await measure(embedder, matters, subject)).T
            right = np.mean((mine >= SAME_MATTER) & (mine >= other))
            wrong = np.mean((other >= SAME_MATTER) & (other > mine))
            new = np.mean(other >= SAME_MATTER)
            print(f"subjects that {name}: right {right:.1%}, wrong {wrong:.1%}, new {new:.1%} of {len(mine)}")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())

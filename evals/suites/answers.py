"""Whether what is said is what the passages say: the built-in answerer's sentences pass, planted wrong ones do not.

For each question the passages of a turn are retrieved and quoted from, as without a model. Every quoted sentence goes
through the check of citations as it is, and altered in each way of `evals/planting.py`; a sentence of an article that
was not retrieved is planted too. A quoted sentence is supported by construction, a planted one is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from agent.extractive.choosing import quote
from agent.grounding import verify_sentence
from agent.prompting import NumberedPassage, Question
from agent.sentences import split
from evals import metrics
from evals.cases import Case, own
from evals.planting import planted
from evals.public import Public
from evals.results import Findings, Observed, Row, Score, Spread
from evals.suite import Suite
from evals.suites.retrieval import public_cases
from evals.world import World
from kbs.index import Scope
from kbs.passages import Passage
from kbs.retrieval import RetrievalOptions, Retriever

OWN = {"own-hosting": "retrieval_hosting", "own-cyber": "retrieval_cyber"}
MOST_PUBLIC = 150
KINDS = ("number", "negation", "name", "unit", "opposite", "strong", "invented", "foreign")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifies:
    """What is released of an answer's own sentences, and of the planted ones."""

    retriever: Retriever
    scopes: dict[str, Scope]
    options: RetrievalOptions
    strangers: tuple[Passage, ...]
    """Passages to take sentences of other articles from."""

    async def evaluate(self, case: Case) -> Observed:
        scope = self.scopes[case.dataset]
        if audience := case.get("audience"):
            scope = replace(scope, audience=frozenset([audience] if isinstance(audience, str) else audience))
        found = await self.retriever.search(case["question"], scope, self.options)
        passages = tuple(passage for passage in found.passages if passage.source.quotable)
        numbered = [
            NumberedPassage(
                number=number, ref=passage.ref, title=passage.title, heading=passage.heading,
                language=passage.language, similarity=passage.similarity, text=passage.text,
            )
            for number, passage in enumerate(passages, 1)
        ]  # fmt: skip
        quotation = await quote(Question(text=case["question"]), [], numbered)
        sentences = (
            [(number, unit) for number, block in quotation.blocks for unit in split(block.quote(number))]
            if quotation
            else []
        )
        return {"own": self._own(sentences, passages), "planted": list(self._planted(sentences, passages)),
                "cited": sorted({passages[number - 1].ref for number, _ in sentences}), "quoted": bool(sentences)}  # fmt: skip

    def _own(self, sentences: Sequence[tuple[int, str]], passages: Sequence[Passage]) -> list[list[Any]]:
        seen = []
        for number, unit in sentences:
            before = perf_counter()
            support = verify_sentence(unit, passages)
            ms = round((perf_counter() - before) * 1000, 3)
            if support.factual:
                seen.append([support.supported, number in support.passage_numbers, support.reason, ms, unit[:160]])
        return seen

    def _planted(self, sentences: Sequence[tuple[int, str]], passages: Sequence[Passage]):  # type: ignore[no-untyped-def]
        refs = {passage.ref for passage in passages}
        others = [passage for passage in self.strangers if passage.ref not in refs]
        for place, (number, unit) in enumerate(sentences):
            if not verify_sentence(unit, passages).factual or unit.lstrip().startswith(("`", "|")):
                continue
            stranger = others[(len(unit) * 7 + place) % len(others)] if others else None
            foreign = next((each for each in split(stranger.text) if len(each.split()) > 7), None) if stranger else None
            bare = unit.replace(f"[{number}]", "").rstrip()
            for kind, altered in planted(bare, foreign):
                if altered.strip() and altered != bare:
                    support = verify_sentence(f"{altered.rstrip()} [{number}]", passages)
                    yield [kind, not (support.supported and support.factual), support.reason, altered[:160]]


def cases(public: Public) -> list[Case]:
    found = []
    for dataset, file in OWN.items():
        found += own(file, ("question", "article"), dataset=dataset)
    for name in public.names("retrieval"):
        found += [case for case in public_cases(public, name) if case.dataset.removeprefix(f"{name}-") in (name, "en")][
            :MOST_PUBLIC
        ]
    return found


async def prepare(world: World, cases: Sequence[Case]) -> Verifies:
    own_scope = await world.own_scope()
    sets = {case.dataset: case.get("set") for case in cases}
    opened = {name: await world.public_scope(name) for name in dict.fromkeys(sets.values()) if name}
    strangers: dict[str, Passage] = {}
    for question in STRANGE:
        found = await world.retriever.search(question, replace(own_scope, audience=None), world.variant.options, k=20)
        strangers |= {passage.digest: passage for passage in found.passages if passage.language == "en"}
    return Verifies(
        retriever=world.retriever, options=world.variant.options,
        scopes={dataset: opened[name] if name else own_scope for dataset, name in sets.items()},
        strangers=tuple(strangers[digest] for digest in sorted(strangers)),
    )  # fmt: skip


STRANGE = (
    "invoice",
    "mailbox password",
    "DNS record",
    "backup",
    "lab machine",
    "certificate",
    "database",
    "score",
    "malware",
)


def conclude(rows: Sequence[Row]) -> Findings:
    scores: list[Score] = []
    misses: list[tuple[str, str]] = []
    for dataset in dict.fromkeys(row.case.dataset for row in rows):
        scores += _scores(dataset, [row for row in rows if row.case.dataset == dataset])
    own_rows = [row for row in rows if row.case.dataset.startswith("own-")]
    scores += _scores("own", own_rows)
    scores += _by_kind(own_rows)
    for row in own_rows:
        misses += [(str(each[4]), f"withheld: {each[2]}") for each in row.observed["own"] if not each[0]]
        misses += [(str(each[3]), f"released, {each[0]}") for each in row.observed["planted"] if not each[1]]
    ms = [each[3] for row in rows for each in row.observed["own"]]
    return Findings(
        scores=scores, misses=list(dict(misses).items()),
        figures=[Spread(title="Checking one sentence", x="ms", values={"verify": ms})],
    )  # fmt: skip


def _scores(dataset: str, rows: Sequence[Row]) -> list[Score]:
    own_sentences = [each for row in rows for each in row.observed["own"]]
    wrong = [each for row in rows for each in row.observed["planted"]]
    withheld_wrong = sum(bool(each[1]) for each in wrong)
    released = sum(bool(each[0]) for each in own_sentences)
    withheld = withheld_wrong + len(own_sentences) - released
    values = {
        "unsupported: recall": (withheld_wrong / max(len(wrong), 1), len(wrong)),
        "unsupported: precision": (withheld_wrong / max(withheld, 1), withheld),
        "supported: released": (released / max(len(own_sentences), 1), len(own_sentences)),
        "cites the right passage": (
            metrics.mean([float(bool(each[1])) for each in own_sentences if each[0]]),
            released,
        ),
    }
    if any("article" in row.case.fields for row in rows):
        right = [
            float(bool(set(row.observed["cited"]) & set(_articles(row)))) for row in rows if row.observed["quoted"]
        ]
        values["answers from the right article"] = (metrics.mean(right), len(right))
        values["answered"] = (metrics.mean([float(row.observed["quoted"]) for row in rows]), len(rows))
    return [
        Score(suite="answers", dataset=dataset, metric=name, value=value, n=n) for name, (value, n) in values.items()
    ]


def _articles(row: Row) -> list[str]:
    found = row.case["article"]
    return found if isinstance(found, list) else [found]


def _by_kind(rows: Sequence[Row]) -> list[Score]:
    found = []
    for kind in KINDS:
        caught = [float(bool(each[1])) for row in rows for each in row.observed["planted"] if each[0] == kind]
        if caught:
            found.append(
                Score(
                    suite="answers",
                    dataset="own",
                    metric=f"planted {kind}: caught",
                    value=metrics.mean(caught),
                    n=len(caught),
                )
            )
    return found


SUITE = Suite(
    name="answers", about="Is every sentence that reaches the customer supported by a passage, and is little lost by it?",
    cases=cases, prepare=prepare, conclude=conclude,
)  # fmt: skip

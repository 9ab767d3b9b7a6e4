"""Whether it knows what it does not know, and whether its probabilities mean something.

Answerability: our own questions and those of public conversations that have an answer, against our own that have none
(near: our subject, but no article says it; far: another subject), out-of-scope queries of intent sets, and public
questions that people marked unanswerable. Calibration: tenants with habits of their own decide on simulated drafts;
the curve learned from the first decisions is held against the later ones, for several such beginnings. Where decisions
are too few to tell a probability none is told, and there is nothing to be held against.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from agent.scoring.assessment import answerability
from agent.scoring.calibration import Outcome, calibrate
from evals import metrics
from evals.cases import Case, own
from evals.public import Public
from evals.results import Curve, Figure, Findings, Observed, Row, Score, Spread
from evals.suite import Suite
from evals.suites.retrieval import OWN
from evals.world import World
from kbs.index import Scope
from kbs.search.retrieval import RetrievalOptions, Retriever
from tools.rewriting import rewrite
from tools.tenants import TenantOptions

ANSWERED, UNDERSPECIFIED = "answered", "underspecified"
SIMULATED = "simulated decisions"
MARKED = {"ANSWERABLE": ANSWERED, "UNANSWERABLE": "unanswerable", "UNDERSPECIFIED": UNDERSPECIFIED}
COVERAGE = 0.9
HABITS: dict[str, Callable[[float], float]] = {
    "content": lambda score: min(0.97, 0.4 + score / 150),
    "strict": lambda score: score / 400,
    "a step": lambda score: 0.85 if score >= 60 else 0.1,
    "logistic": lambda score: 1 / (1 + math.exp(-(score - 50) / 10)),
    "never": lambda score: 0.02,
    "whatever the score": lambda score: 0.6,
    "two steps": lambda score: 0.2 if score < 40 else 0.5 if score < 65 else 0.8,
}
"""How likely a tenant's people approve a draft of this score unchanged."""
DECISIONS = (10, 30, 50, 100, 200, 400, 1000)
BEGINNINGS = 5
LATER = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """The answerability of a question, or what a tenant's later decisions say of the curve from the first ones."""

    retriever: Retriever
    scopes: Mapping[str, Scope]
    options: RetrievalOptions
    rewrite: bool

    async def evaluate(self, case: Case) -> Observed:
        if case.dataset == SIMULATED:
            return _simulated(case["habit"], case["decisions"], case["beginning"])
        scope = self.scopes[case.get("set", "")]
        if audience := case.get("audience"):
            scope = replace(scope, audience=frozenset([audience] if isinstance(audience, str) else audience))
        earlier = case.get("earlier") or []
        query = rewrite(case["question"], earlier) if self.rewrite else case["question"]
        found = await self.retriever.search(query, scope, self.options)
        quotable = [passage for passage in found.passages if passage.source.quotable]
        top = max((passage.similarity for passage in quotable), default=0.0)
        return {"answerability": answerability(case["question"], quotable), "similarity": top}


def cases(public: Public) -> list[Case]:
    found = [
        replace(case, fields={**case.fields, "kind": ANSWERED}, id=f"answerable-{case.id}", dataset="own")
        for dataset, file in OWN.items()
        for case in own(file, ("question", "article"), dataset=dataset)
    ]
    found += own("unanswerable", ("question", "kind"), dataset="own")
    for name in public.names("intent"):
        found += [
            Case.of("own", {"question": row.text, "kind": f"{name} out of scope"})
            for row in public.out_of_scope(name, "test")
        ]
    for name in public.names("retrieval"):
        for query in public.rows(f"retrieval/{name}/queries.jsonl"):
            if kind := MARKED.get(query.get("answerability", "")):
                earlier = [turn["text"] for turn in query["history"] if turn["role"] == "user"]
                fields = {"question": query["text"], "earlier": earlier, "kind": kind, "set": name}
                found.append(Case.of(name, fields, key=query["_id"]))
    found += [
        Case.of(SIMULATED, {"habit": habit, "decisions": count, "beginning": beginning})
        for habit, count, beginning in product(HABITS, DECISIONS, range(BEGINNINGS))
    ]
    return list({case.id: case for case in found}.values())


async def prepare(world: World, cases: Sequence[Case]) -> Doubts:
    names = dict.fromkeys(case["set"] for case in cases if case.get("set"))
    scopes = {name: await world.public_scope(name) for name in names}
    return Doubts(
        retriever=world.retriever, scopes={**scopes, "": await world.own_scope()}, options=world.variant.options,
        rewrite=world.variant.rewrite,
    )  # fmt: skip


def conclude(rows: Sequence[Row]) -> Findings:
    asked = [row for row in rows if row.case.dataset != SIMULATED]
    scores: list[Score] = []
    figures: list[Figure] = []
    for dataset in dict.fromkeys(row.case.dataset for row in asked):
        by_kind: dict[str, list[float]] = {}
        by_top: dict[str, list[float]] = {}
        for row in asked:
            if row.case.dataset == dataset:
                by_kind.setdefault(row.case["kind"], []).append(row.observed["answerability"])
                by_top.setdefault(row.case["kind"], []).append(row.observed["similarity"])
        scores += _answerable(dataset, by_kind, by_top)
        figures += _figures(dataset, by_kind)
    decided = [row for row in rows if row.case.dataset == SIMULATED]
    scores += _calibrated(decided)
    figures += _reliability(decided)
    options = TenantOptions()
    misses = [
        (f"{row.case['question']} → {row.case['kind']}", f"answerability {row.observed['answerability']:.2f}")
        for row in asked
        if row.case.dataset == "own"
        and (row.observed["answerability"] >= options.clarify_at) != (row.case["kind"] == ANSWERED)
    ]
    return Findings(scores=scores, figures=figures, misses=misses)


def _answerable(
    dataset: str, by_kind: Mapping[str, Sequence[float]], by_top: Mapping[str, Sequence[float]]
) -> list[Score]:
    known = by_kind.get(ANSWERED, [])
    if not known:
        return []
    found = []
    threshold = float(metrics.percentile(known, 100 * (1 - COVERAGE)))
    shipped = TenantOptions().clarify_at
    for kind, values in by_kind.items():
        if kind == ANSWERED:
            share = metrics.share_at(values, shipped)
            found.append(
                Score(suite="confidence", dataset=dataset, metric="answerable let through", value=share, n=len(values))
            )
            continue
        n = len(values)
        found += [
            Score(suite="confidence", dataset=dataset, metric=f"AUROC: {kind}", value=metrics.auroc(known, values), n=n),
            Score(suite="confidence", dataset=dataset, metric=f"AUROC of the top similarity: {kind}",
                  value=metrics.auroc(by_top[ANSWERED], by_top[kind]), n=n),
            Score(suite="confidence", dataset=dataset, metric=f"false answers at 90 % coverage: {kind}",
                  value=metrics.share_at(values, threshold), n=n, lower_is_better=True),
            Score(suite="confidence", dataset=dataset, metric=f"let through: {kind}", value=metrics.share_at(values, shipped),
                  n=n, lower_is_better=True),
        ]  # fmt: skip
    return found


def _figures(dataset: str, by_kind: Mapping[str, Sequence[float]]) -> list[Figure]:
    known = by_kind.get(ANSWERED, [])
    strange = [value for kind, values in by_kind.items() if kind not in (ANSWERED, UNDERSPECIFIED) for value in values]
    if not known or not strange:
        return []
    risk = metrics.risk_coverage([*known, *strange], [*[True] * len(known), *[False] * len(strange)])
    return [
        Curve(title=f"Risk and coverage, {dataset}", x="share of questions answered", y="of these without an answer in the KB",
              lines={"answerability": risk}),
        Spread(title=f"Answerability, {dataset}", x="answerability", values=by_kind),
    ]  # fmt: skip


def _simulated(habit: str, count: int, beginning: int) -> Observed:
    """Probabilities for later drafts and what became of them, from a curve of `count` decisions."""
    chance = random.Random(f"{habit} {count} {beginning}")  # noqa: S311
    truth = HABITS[habit]

    def draw(number: int) -> list[Outcome]:
        scores = [round(min(100.0, max(0.0, chance.gauss(55, 20)))) for _ in range(number)]
        return [Outcome(score=score, approved=chance.random() < truth(score)) for score in scores]

    curve = calibrate(draw(count))
    later = draw(LATER)
    told = [round(curve.at(each.score).probability, 4) for each in later]
    return {"told": told if curve.basis != "prior" else [], "came": [each.approved for each in later]}


def _calibrated(rows: Sequence[Row]) -> list[Score]:
    """Of each number of decisions: whether a probability is told at all, the error of those that are, and the
    overconfidence towards the tenant who has most cause to complain: one tenant's modesty makes up for nobody else."""
    found = []
    for count in DECISIONS:
        of_count = [row for row in rows if row.case["decisions"] == count]
        if not of_count:
            continue
        told = [row for row in of_count if row.observed["told"]]
        values = {"a probability is told": len(told) / len(of_count)}
        if told:
            values["calibration error"] = metrics.mean([
                metrics.calibration_error(row.observed["told"], row.observed["came"]) for row in told
            ])  # fmt: skip
            values["overconfidence, worst tenant"] = max(0.0, *_excess(told).values())
        found += [
            Score(suite="confidence", dataset=SIMULATED, metric=f"{metric} after {count} decisions", value=value,
                  n=len(of_count), lower_is_better=True)
            for metric, value in values.items()
        ]  # fmt: skip
    return found


def _excess(rows: Sequence[Row]) -> dict[str, float]:
    """Of each habit: what was told above what came, on the mean of its beginnings."""
    by_habit: dict[str, list[float]] = {}
    for row in rows:
        came = metrics.mean([float(each) for each in row.observed["came"]])
        by_habit.setdefault(row.case["habit"], []).append(metrics.mean(row.observed["told"]) - came)
    return {habit: metrics.mean(values) for habit, values in by_habit.items()}


def _reliability(rows: Sequence[Row]) -> list[Figure]:
    lines = {}
    for count in DECISIONS:
        of_count = [row.observed for row in rows if row.case["decisions"] == count and row.observed["told"]]
        told = [p for seen in of_count for p in seen["told"]]
        came = [c for seen in of_count for c in seen["came"]]
        if told:
            lines[f"{count} decisions"] = [(said, true) for said, true, _ in metrics.calibration_bins(told, came)]
    if not lines:
        return []
    return [Curve(title="Reliability of the approval probability", x="told", y="came", lines=lines, diagonal=True)]


SUITE = Suite(
    name="confidence", about="Does it know what it does not know, and do its probabilities mean something?", cases=cases,
    prepare=prepare, conclude=conclude,
)  # fmt: skip

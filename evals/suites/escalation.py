"""Whether a person is called when one is needed, for the right reason, once, and not otherwise: through the real graph."""

from collections.abc import Sequence
from dataclasses import dataclass

from evals import metrics
from evals.cases import Case, own
from evals.public import Public
from evals.results import Findings, Matrix, Observed, Row, Score
from evals.suite import Suite
from evals.talk import begin
from evals.world import World

NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsPeople:
    """The reason of the handoff at the end of a conversation."""

    world: World

    async def evaluate(self, case: Case) -> Observed:
        talk = await begin(self.world, case.get("audience"))
        answers = [await talk.say(text) for text in case["turns"]]
        reason = await talk.reason()
        silent = any(not answer["message"].strip() for answer in answers)
        return {
            "reason": reason or NONE, "handoffs": await talk.handoffs(), "silent": silent,
            "told": bool(reason) == bool(answers[-1].get("requires_escalation")),
        }  # fmt: skip


def cases(public: Public) -> list[Case]:
    return own("escalation", ("turns", "reason"))


async def prepare(world: World, cases: Sequence[Case]) -> CallsPeople:
    return CallsPeople(world=world)


def conclude(rows: Sequence[Row]) -> Findings:
    if not rows:
        return Findings()
    truth, told = [row.case["reason"] for row in rows], [row.observed["reason"] for row in rows]
    precision, recall = metrics.precision_recall([each != NONE for each in truth], [each != NONE for each in told])
    values = {
        "precision": precision, "recall": recall, "right reason": metrics.accuracy(truth, told),
        "at most one handoff": metrics.mean([float(row.observed["handoffs"] <= 1) for row in rows]),
        "never silent": metrics.mean([float(not row.observed["silent"]) for row in rows]),
        "the answer says so": metrics.mean([float(row.observed["told"]) for row in rows]),
    }  # fmt: skip
    scores = [
        Score(suite="escalation", dataset="own", metric=name, value=value, n=len(rows))
        for name, value in values.items()
    ]
    labels = sorted(set(truth) | set(told))
    misses = [
        (f"{' | '.join(row.case['turns'])} → {row.case['reason']}", row.observed["reason"])
        for row in rows
        if row.observed["reason"] != row.case["reason"]
    ]
    figures = [Matrix(title="Reasons of handoffs", labels=labels, cells=metrics.confusion(truth, told, labels))]
    return Findings(scores=scores, figures=figures, misses=misses)


SUITE = Suite(
    name="escalation", about="Is a person called when one is needed, for the right reason, once, and not otherwise?",
    cases=cases, prepare=prepare, conclude=conclude,
)  # fmt: skip

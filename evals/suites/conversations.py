"""Conversations of several turns through the real graph, graded on what each answer cites, says and comes to.

A case passes when all of its turns do. Over repeats `pass^k` is the chance that k runs in a row pass, estimated from
those that did.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

from evals import metrics
from evals.cases import Case, own
from evals.public import Public
from evals.results import Findings, Observed, Row, Score, Spread
from evals.suite import Suite
from evals.suites.answers import german_scope
from evals.talk import begin
from evals.world import World
from memory.models import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldsConversations:
    """What was wrong in each turn of a conversation; nothing, where all is well."""

    world: World
    german: Tenant

    async def evaluate(self, case: Case) -> Observed:
        talk = await begin(self.world, case.get("audience"), self.german if case.get("kb") == "german" else None)
        faults, ms = [], []
        for turn in case["turns"]:
            answer = await talk.say(turn["say"])
            ms.append(answer.get("ms", 0.0))
            faults.append(_faults(turn, answer, await talk.outcome()))
        return {"faults": faults, "ms": ms}


def _faults(turn: dict[str, Any], answer: dict[str, Any], outcome: str) -> list[str]:
    text = answer["message"].casefold()
    cited = {source["id"] for source in answer.get("sources") or ()}
    found = []
    if "ends" in turn and turn["ends"] != outcome:
        found.append(f"ends {outcome}, not {turn['ends']}")
    if "cites" in turn and not cited & set(turn["cites"]):
        found.append(f"cites {sorted(cited)}")
    found += [f"lacks {word!r}" for word in turn.get("has", ()) if word.casefold() not in text]
    found += [f"says {word!r}" for word in turn.get("lacks", ()) if word.casefold() in text]
    if not text.strip():
        found.append("is silent")
    return found


def cases(public: Public) -> list[Case]:
    return own("conversations", ("name", "turns"))


async def prepare(world: World, cases: Sequence[Case]) -> HoldsConversations:
    scope = await german_scope(world)
    german = await world.tenant("german")
    assert scope.tenant_id == german.id
    return HoldsConversations(world=world, german=german)


def conclude(rows: Sequence[Row]) -> Findings:
    if not rows:
        return Findings()
    passed = [not any(row.observed["faults"]) for row in rows]
    turns = [not faults for row in rows for faults in row.observed["faults"]]
    scores = [
        Score(
            suite="conversations",
            dataset="own",
            metric="passed",
            value=metrics.mean([float(each) for each in passed]),
            n=len(rows),
        ),
        Score(
            suite="conversations",
            dataset="own",
            metric="turns right",
            value=metrics.mean([float(each) for each in turns]),
            n=len(turns),
        ),
        *_in_a_row(rows),
    ]
    ms = [each for row in rows for each in row.observed["ms"]]
    scores.append(
        Score(suite="conversations", dataset="own", metric="p95 of a turn", value=metrics.percentile(ms, 95), n=len(ms),
              unit="ms", lower_is_better=True)
    )  # fmt: skip
    misses = [
        (f"{row.case['name']}: {turn['say']}", "; ".join(faults))
        for row in rows
        for turn, faults in zip(row.case["turns"], row.observed["faults"], strict=True)
        if faults
    ]
    return Findings(scores=scores, misses=misses, figures=[Spread(title="A whole turn", x="ms", values={"turn": ms})])


def _in_a_row(rows: Sequence[Row]) -> list[Score]:
    repeats = max(row.repeat for row in rows) + 1
    if repeats == 1:
        return []
    by_case: dict[str, list[bool]] = {}
    for row in rows:
        by_case.setdefault(row.case.id, []).append(not any(row.observed["faults"]))
    return [
        Score(suite="conversations", dataset="own", metric=f"pass^{k}", n=len(by_case),
              value=metrics.mean([comb(sum(runs), k) / comb(len(runs), k) for runs in by_case.values() if len(runs) >= k]))
        for k in range(1, repeats + 1)
    ]  # fmt: skip


SUITE = Suite(
    name="conversations", about="Do whole conversations go well, with follow-ups, corrections and changes of topic?",
    cases=cases, prepare=prepare, conclude=conclude,
)  # fmt: skip

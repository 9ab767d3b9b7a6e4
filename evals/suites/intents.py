"""What a message is about: our categories on our own labelled tickets, and intents taught by examples on public sets.

A public set is taught with 5, 10 and 50 examples of each intent, chosen by digest from its training side; its test
side and its out-of-scope queries are then told by each. `known` is the product's own threshold of rejection.

Our own messages are guarded too, for the time that both take once they have the embedding that they share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from evals import metrics
from evals.cases import Case, digest_of, own
from evals.public import Labelled, Public
from evals.results import Curve, Findings, Matrix, Observed, Row, Score, Spread
from evals.suite import Suite
from evals.world import World
from kbs.embedding.embedder import Embedder
from tools.classification import Prototypes, classify
from tools.classification.taught import Example, Taught, teach
from tools.guardrails import GuardRules, check_message
from tools.intents import Pack, load_packs

SHOTS = (5, 10, 50)
NONE = "none"
OWN = "own-tickets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifies:
    """Our categories for our own messages; for a public set's, what each number of examples makes of it."""

    embedder: Embedder
    rules: GuardRules
    prototypes: Prototypes | None
    packs: Mapping[str, Pack]
    taught: Mapping[str, Mapping[int, Taught]]

    async def evaluate(self, case: Case) -> Observed:
        vector = await self.embedder.embed_query(case["text"])
        before = perf_counter()
        if case.dataset == OWN:
            local = vector if self.embedder.id.startswith("minilm") else None
            check_message(case["text"], role="customer", audience=None, rules=self.rules, vector=local)
            guarded = _ms(before)
            found = classify(case["text"], packs=self.packs, embedding=vector, prototypes=self.prototypes)
            told = {"intent": found.intent or NONE, "by words": found.keyword_intent or NONE,
                    "by meaning": found.embedded_intent or NONE}  # fmt: skip
            both = _ms(before)
            return {**told, "language": found.language, "ms": round(both - guarded, 3), "with guard": both}
        told_by = {}
        for shots, taught in self.taught[case["set"]].items():
            seen = taught.recognise(case["text"], vector)
            told_by[str(shots)] = [seen.intent, seen.confidence, seen.known, seen.likeness]
        return {"taught": told_by, "ms": _ms(before)}


def cases(public: Public) -> list[Case]:
    found = own("tickets", ("text", "intent", "severity"), dataset=OWN)
    for name in public.names("intent"):
        for row in public.intents(name, "test"):
            found.append(Case.of(name, {"text": row.text, "intent": row.label, "set": name}))
        for text in _strange(public, name):
            found.append(Case.of(f"{name}-oos", {"text": text, "intent": NONE, "set": name}))
    return list({case.id: case for case in found}.values())


def _strange(public: Public, name: str) -> list[str]:
    """Out-of-scope queries of the set, else those of the others: theirs are about nothing of this one either."""
    own_queries = public.out_of_scope(name, "test")
    if own_queries:
        return [row.text for row in own_queries]
    return [row.text for other in public.names("intent") if other != name for row in public.out_of_scope(other, "test")]


async def prepare(world: World, cases: Sequence[Case]) -> Classifies:
    resources = world.resources
    taught: dict[str, dict[int, Taught]] = {}
    for name in dict.fromkeys(case["set"] for case in cases if case.dataset != OWN):
        train = world.public.intents(name, "train")
        taught[name] = {shots: await teach(resources.embedder, examples(train, shots)) for shots in SHOTS}
    return Classifies(
        embedder=resources.embedder, rules=resources.judges.rules, prototypes=resources.judges.prototypes,
        packs=load_packs(), taught=taught,
    )  # fmt: skip


def examples(rows: Sequence[Labelled], shots: int) -> list[Example]:
    """So many of each intent, always the same ones."""
    by_intent: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: digest_of(row.text)):
        texts = by_intent.setdefault(row.label, [])
        if len(texts) < shots:
            texts.append(row.text)
    return [Example(text=text, intent=intent) for intent, texts in sorted(by_intent.items()) for text in texts]


def conclude(rows: Sequence[Row]) -> Findings:
    own_rows = [row for row in rows if row.case.dataset == OWN]
    scores = _own(own_rows)
    figures: list[Curve | Matrix | Spread] = []
    if own_rows:
        truth, told = [row.case["intent"] for row in own_rows], [row.observed["intent"] for row in own_rows]
        labels = sorted(set(truth) | set(told))
        figures.append(
            Matrix(title="Intents of our own tickets", labels=labels, cells=metrics.confusion(truth, told, labels))
        )
    for name in dict.fromkeys(row.case["set"] for row in rows if row.case.dataset != OWN):
        inside = [row for row in rows if row.case.dataset == name]
        outside = [row for row in rows if row.case.dataset == f"{name}-oos"]
        scores += [score for shots in SHOTS for score in _taught(name, shots, inside, outside)]
        figures.append(_reliability(name, inside))
        if inside and outside:
            figures.append(_rejection(name, inside, outside))
    if own_rows:
        ms = {name: [row.observed[name] for row in own_rows] for name in ("ms", "with guard")}
        scores += [
            Score(suite="intents", dataset=OWN, metric=metric, value=metrics.percentile(ms[name], 95), n=len(own_rows),
                  unit="ms", lower_is_better=True)
            for metric, name in (("p95", "ms"), ("p95 with the guard", "with guard"))
        ]  # fmt: skip
        both = {"classify": ms["ms"], "classify and guard": ms["with guard"]}
        figures.append(Spread(title="Classification and guard, after the embedding", x="ms", values=both))
    misses = [
        (f"{row.case['text']} → {row.case['intent']}", row.observed["intent"])
        for row in own_rows
        if row.observed["intent"] != row.case["intent"]
    ]
    return Findings(scores=scores, figures=figures, misses=misses)


def _own(rows: Sequence[Row]) -> list[Score]:
    if not rows:
        return []
    truth = [row.case["intent"] for row in rows]
    found = []
    for metric, field in (
        ("macro-F1", "intent"),
        ("macro-F1: words only", "by words"),
        ("macro-F1: meaning only", "by meaning"),
    ):
        value = metrics.macro_f1(truth, [row.observed[field] for row in rows])
        found.append(Score(suite="intents", dataset=OWN, metric=metric, value=value, n=len(rows)))
    spoken = [row for row in rows if row.case.get("language")]
    if spoken:
        right = metrics.accuracy([row.case["language"] for row in spoken], [row.observed["language"] for row in spoken])
        found.append(Score(suite="intents", dataset=OWN, metric="language", value=right, n=len(spoken)))
    return found


def _taught(name: str, shots: int, inside: Sequence[Row], outside: Sequence[Row]) -> list[Score]:
    if not inside:
        return []
    told = [row.observed["taught"][str(shots)] for row in inside]
    right = [each[0] == row.case["intent"] for each, row in zip(told, inside, strict=True)]
    confidence = [each[1] for each in told]
    values = {
        "accuracy": metrics.mean([float(each) for each in right]),
        "accepted and right": metrics.mean([float(ok and each[2]) for ok, each in zip(right, told, strict=True)]),
        "calibration error": metrics.calibration_error(confidence, right),
    }
    if outside:
        strange = [_likeness(row, name, shots) for row in outside]
        values["AUROC out of scope"] = metrics.auroc([each[3] for each in told], strange)
        rejected = [float(not row.observed["taught"][str(shots)][2]) for row in outside]
        values["out of scope rejected"] = metrics.mean(rejected)
    return [
        Score(suite="intents", dataset=name, metric=f"{metric}: {shots} examples", value=value, n=len(inside),
              lower_is_better=metric == "calibration error")
        for metric, value in values.items()
    ]  # fmt: skip


def _reliability(name: str, inside: Sequence[Row]) -> Curve:
    lines = {}
    for shots in SHOTS:
        told = [row.observed["taught"][str(shots)] for row in inside]
        right = [each[0] == row.case["intent"] for each, row in zip(told, inside, strict=True)]
        bins = metrics.calibration_bins([each[1] for each in told], right)
        lines[f"{shots} examples"] = [(said, came) for said, came, _ in bins]
    return Curve(title=f"Reliability of the confidence, {name}", x="told", y="came", lines=lines, diagonal=True)


def _likeness(row: Row, name: str, shots: int) -> float:
    return float(row.observed["taught"][str(shots)][3])


def _rejection(name: str, inside: Sequence[Row], outside: Sequence[Row]) -> Curve:
    lines = {}
    for shots in SHOTS:
        strange = [_likeness(row, name, shots) for row in outside]
        known = [_likeness(row, name, shots) for row in inside]
        rates = [n / 50 for n in range(51)]
        lines[f"{shots} examples"] = [
            (rate, metrics.share_at(known, metrics.threshold_at(strange, rate))) for rate in rates
        ]
    return Curve(title=f"Rejection, {name}", x="out-of-scope queries let in", y="in-scope queries let in", lines=lines)


def _ms(before: float) -> float:
    return round((perf_counter() - before) * 1000, 3)


SUITE = Suite(
    name="intents", about="Is it told what a message is about, and when it is about nothing we know?", cases=cases,
    prepare=prepare, conclude=conclude,
)  # fmt: skip

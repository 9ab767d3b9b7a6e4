"""How bad a message is: all four levels on our own tickets, high against low on public ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evals import metrics
from evals.cases import Case, own
from evals.public import Public
from evals.results import Figure, Findings, Matrix, Observed, Row, Score
from evals.suite import Suite
from evals.world import World
from kbs.embedding.embedder import Embedder
from tools.classification import Prototypes, classify
from tools.classification.severity import SEVERITIES
from tools.intents import Pack, load_packs

OWN = "own-tickets"
URGENT = ("HIGH", "CRITICAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighs:
    """The severity of one message, as a turn tells it and by its words alone."""

    embedder: Embedder
    prototypes: Prototypes | None
    packs: Mapping[str, Pack]

    async def evaluate(self, case: Case) -> Observed:
        vector = await self.embedder.embed_query(case["text"])
        found = classify(case["text"], packs=self.packs, embedding=vector, prototypes=self.prototypes)
        words = classify(case["text"], packs=self.packs)
        return {"severity": found.severity, "by words": words.severity, "tier": found.tier}


def cases(public: Public) -> list[Case]:
    found = own("tickets", ("text", "intent", "severity"), dataset=OWN)
    for name in public.files("tickets"):
        for row in public.rows(f"tickets/{name}.jsonl"):
            if row.get("severity"):
                found.append(
                    Case.of(
                        name,
                        {"text": f"{row['subject']}\n{row['body']}", "severity": row["severity"]},
                        key=str(row["id"]),
                    )
                )
    return list({case.id: case for case in found}.values())


async def prepare(world: World, cases: Sequence[Case]) -> Weighs:
    resources = world.resources
    return Weighs(embedder=resources.embedder, prototypes=resources.judges.prototypes, packs=load_packs())


def conclude(rows: Sequence[Row]) -> Findings:
    own_rows = [row for row in rows if row.case.dataset == OWN]
    scores: list[Score] = []
    figures: list[Figure] = []
    if own_rows:
        truth, told = [row.case["severity"] for row in own_rows], [row.observed["severity"] for row in own_rows]
        scores += [*_own(truth, told, ""), *_own(truth, [row.observed["by words"] for row in own_rows], ": words only")]
        cells = metrics.confusion(truth, told, SEVERITIES)
        figures.append(Matrix(title="Severity of our own tickets", labels=SEVERITIES, cells=cells))
    for dataset in dict.fromkeys(row.case.dataset for row in rows if row.case.dataset != OWN):
        of_set = [row for row in rows if row.case.dataset == dataset]
        scores += [
            _high_or_low(dataset, of_set, "severity", ""),
            _high_or_low(dataset, of_set, "by words", ": words only"),
        ]
    misses = [
        (f"{row.case['text']} → {row.case['severity']}", row.observed["severity"])
        for row in own_rows
        if row.observed["severity"] != row.case["severity"]
    ]
    return Findings(scores=scores, figures=figures, misses=misses)


def _own(truth: Sequence[str], told: Sequence[str], variation: str) -> list[Score]:
    precision, recall = metrics.precision_recall([each in URGENT for each in truth], [each in URGENT for each in told])
    values = {
        "accuracy": metrics.accuracy(truth, told), "macro-F1": metrics.macro_f1(truth, told),
        "HIGH or CRITICAL, precision": precision, "HIGH or CRITICAL, recall": recall,
    }  # fmt: skip
    return [
        Score(suite="severity", dataset=OWN, metric=f"{name}{variation}", value=value, n=len(truth))
        for name, value in values.items()
    ]


def _high_or_low(dataset: str, rows: Sequence[Row], field: str, variation: str) -> Score:
    levels: dict[str, list[float]] = {"high": [], "low": []}
    for row in rows:
        levels[row.case["severity"]].append(SEVERITIES.index(row.observed[field]))
    value = metrics.auroc(levels["high"], levels["low"])
    return Score(suite="severity", dataset=dataset, metric=f"AUROC high or low{variation}", value=value, n=len(rows))


SUITE = Suite(
    name="severity", about="Is it told how bad a case is?", cases=cases, prepare=prepare, conclude=conclude,
)  # fmt: skip

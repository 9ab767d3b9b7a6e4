"""Whether the article that answers is found, and what each step of the search is worth.

Our own questions name the article; public sets grade their documents. Each question is searched as it is and with
each step switched off. Ranks are of articles: of one article's passages the first counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evals import metrics
from evals.cases import Case, own
from evals.public import Public
from evals.results import Bars, Curve, Figure, Findings, Observed, Row, Score, Spread
from evals.suite import Suite
from evals.world import World
from kbs.embedding.embedder import Embedder
from kbs.index import Scope
from kbs.search.retrieval import Mode, RetrievalOptions, Retriever
from tools.rewriting import rewrite

OWN = {"own-hosting": "retrieval_hosting", "own-cyber": "retrieval_cyber", "own-typos": "retrieval_typos"}
THREE = ("mtrag_govt", "crucible_sections", "hetzner-en")
DEPTH = 100
AS_IT_IS = "as it is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The search with one thing changed."""

    mode: Mode = "hybrid"
    changes: Mapping[str, object] | None = None
    rewrite: bool = True
    given: str = ""
    """Search for this field of the case instead, where the case has it: a person's rewriting of the question."""


STEPS: dict[str, Step] = {
    AS_IT_IS: Step(),
    "dense only": Step(mode="dense"),
    "lexical only": Step(mode="lexical"),
    "no MMR": Step(changes={"diversity": 0.0}),
    "with rerank": Step(changes={"rerank": True}),
    "no spelling": Step(changes={"spelling": False}),
    "no rewrite": Step(rewrite=False),
    "rewritten by a person": Step(given="rewrite"),
}
CURVE = (1, 2, 3, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindsArticles:
    """Ranks of the relevant articles, for each step."""

    retriever: Retriever
    embedder: Embedder
    scopes: Mapping[str, Scope]
    options: RetrievalOptions
    mode: Mode
    rewrite: bool

    async def evaluate(self, case: Case) -> Observed:
        scope = self.scopes[case.dataset]
        if case.get("audience"):
            given = case["audience"]
            scope = replace(scope, audience=frozenset([given] if isinstance(given, str) else given))
        found: dict[str, dict[str, int]] = {}
        timings: dict[str, float] = {}
        for name, step in STEPS.items():
            text = self._query(case, step)
            if text is None:
                continue
            mode = self.mode if step.mode == "hybrid" else step.mode
            options = replace(self.options, **(step.changes or {}))  # type: ignore[arg-type]
            searched = await self.retriever.search(text, scope, options, mode=mode, k=DEPTH)
            refs = list(dict.fromkeys(passage.ref for passage in searched.passages))
            found[name] = {ref: refs.index(ref) + 1 for ref in case["relevant"] if ref in refs}
            if name == AS_IT_IS:
                timings = dict(searched.timings_ms)
        turn = await self.retriever.search(self._query(case, STEPS[AS_IT_IS]) or "", scope, self.options)
        refs = list(dict.fromkeys(passage.ref for passage in turn.passages))
        in_turn = [refs.index(ref) + 1 for ref in case["relevant"] if ref in refs]
        return {"places": found, "in_turn": in_turn, "first": refs[:1], "ms": sum(turn.timings_ms.values()),
                "timings": timings}  # fmt: skip

    def _query(self, case: Case, step: Step) -> str | None:
        if step.given:
            given: str | None = case.get(step.given)
            return given
        earlier = case.get("earlier") or []
        if not earlier and not step.rewrite:
            return None
        return rewrite(case["question"], earlier) if step.rewrite and self.rewrite else str(case["question"])


def cases(public: Public) -> list[Case]:
    found = []
    for dataset, file in OWN.items():
        for case in own(file, ("question", "article"), dataset=dataset):
            articles = case["article"] if isinstance(case["article"], list) else [case["article"]]
            found.append(replace(case, fields={**case.fields, "relevant": dict.fromkeys(articles, 1)}))
    for name in public.names("retrieval"):
        found += public_cases(public, name)
    return found


def public_cases(public: Public, name: str) -> list[Case]:
    """The queries that have a relevant document; a set in several languages is one dataset for each."""
    qrels = public.qrels(name)
    found = []
    for query in public.rows(f"retrieval/{name}/queries.jsonl"):
        if relevant := qrels.get(query["_id"]):
            language = query.get("language")
            dataset = f"{name}-{language}" if language else name
            earlier = [turn["text"] for turn in query.get("history", ()) if turn["role"] == "user"]
            fields = {"question": query["text"], "earlier": earlier, "relevant": relevant, "set": name}
            if query.get("rewrite"):
                fields["rewrite"] = query["rewrite"]
            found.append(Case.of(dataset, fields, key=query["_id"]))
    return found


async def prepare(world: World, cases: Sequence[Case]) -> FindsArticles:
    own_scope = await world.own_scope()
    sets = {case.dataset: case.get("set") for case in cases}
    opened = {name: await world.public_scope(name) for name in dict.fromkeys(sets.values()) if name}
    return FindsArticles(
        retriever=world.retriever, embedder=world.resources.embedder,
        scopes={dataset: opened[name] if name else own_scope for dataset, name in sets.items()},
        options=world.variant.options, mode=world.variant.mode, rewrite=world.variant.rewrite,
    )  # fmt: skip


def conclude(rows: Sequence[Row]) -> Findings:
    scores: list[Score] = []
    lines: dict[str, list[tuple[float, float]]] = {}
    for dataset in dict.fromkeys(row.case.dataset for row in rows):
        of_set = [row for row in rows if row.case.dataset == dataset]
        for step in STEPS:
            scores += _scores(dataset, step, of_set)
        lines[dataset] = [(float(k), metrics.mean([_recall(row, AS_IT_IS, k) for row in of_set])) for k in CURVE]
    scores += _over_the_better_half(scores)
    scores += _average(scores)
    ms = [row.observed["ms"] for row in rows if row.case.dataset.startswith("own-")]
    if ms:
        scores.append(
            Score(suite="retrieval", dataset="own", metric="p95", value=metrics.percentile(ms, 95), n=len(ms), unit="ms",
                  lower_is_better=True)
        )  # fmt: skip
    misses = [
        (f"{row.case['question']} → {', '.join(row.case['relevant'])}", str(row.observed["first"]))
        for row in rows
        if row.case.dataset.startswith("own-") and not any(place <= 5 for place in row.observed["in_turn"])
    ]
    worth = {
        dataset: {step: score.value for step in STEPS for score in scores
                  if score.dataset == dataset and score.metric == f"nDCG@10{'' if step == AS_IT_IS else f': {step}'}"}
        for dataset in lines
    }  # fmt: skip
    figures: list[Figure] = [
        Bars(title="What each step is worth", x="nDCG@10", values=worth),
        Curve(title="Recall", x="articles looked at", y="share of the relevant ones found", lines=lines),
        Spread(title="Retrieval, own knowledge base", x="ms", values={"search": ms}),
    ]
    return Findings(scores=scores, figures=figures, misses=misses)


def _over_the_better_half(scores: Sequence[Score]) -> list[Score]:
    """What both halves of the search together are ahead of the better one alone; less than nothing is a fault."""
    by_key = {(score.dataset, score.metric): score for score in scores}
    found = []
    for (dataset, metric), score in by_key.items():
        halves = [by_key.get((dataset, f"{metric}: {half}")) for half in ("dense only", "lexical only")]
        values = [half.value for half in halves if half is not None]
        if len(values) == len(halves):
            ahead = score.value - max(values)
            name = f"{metric} over the better half"
            found.append(Score(suite="retrieval", dataset=dataset, metric=name, value=ahead, n=score.n))
    return found


def _average(scores: Sequence[Score]) -> list[Score]:
    """Over the three sets of which the average of half-half fusion is known."""
    of_three = [score for score in scores if score.dataset in THREE and score.metric == "nDCG@10"]
    if len(of_three) < len(THREE):
        return []
    value = metrics.mean([score.value for score in of_three])
    return [Score(suite="retrieval", dataset="three sets", metric="nDCG@10", value=value, n=sum(s.n for s in of_three))]


def _scores(dataset: str, step: str, rows: Sequence[Row]) -> list[Score]:
    having = [row for row in rows if step in row.observed["places"]]
    if not having:
        return []
    own_set = dataset.startswith("own-")
    name = "" if step == AS_IT_IS else f": {step}"
    ndcg = [_ndcg(row, step) for row in having]
    found = [
        Score(suite="retrieval", dataset=dataset, metric=f"nDCG@10{name}", value=metrics.mean(ndcg), n=len(having))
    ]
    recalls = [_recall(row, step, 5) for row in having]
    found.append(
        Score(suite="retrieval", dataset=dataset, metric=f"recall@5{name}", value=metrics.mean(recalls), n=len(having))
    )
    if step == AS_IT_IS and own_set:
        hits = [float(any(place <= 5 for place in row.observed["in_turn"])) for row in having]
        found.append(
            Score(
                suite="retrieval", dataset=dataset, metric="recall@5 of a turn", value=metrics.mean(hits), n=len(having)
            )
        )
    return found


def _ndcg(row: Row, step: str) -> float:
    grades: Mapping[str, int] = row.case["relevant"]
    places = row.observed["places"][step]
    return metrics.ndcg({place: grades[ref] for ref, place in places.items()}, list(grades.values()))


def _recall(row: Row, step: str, k: int) -> float:
    return metrics.recall(list(row.observed["places"][step].values()), len(row.case["relevant"]), k)


SUITE = Suite(
    name="retrieval", about="Is the article that answers the question found, and how far up?", cases=cases,
    prepare=prepare, conclude=conclude,
)  # fmt: skip

"""Whether what is said is what the passages say: the built-in answerer's sentences pass, planted wrong ones do not.

For each question the passages of a turn are retrieved and quoted from, as without a model. Every quoted sentence goes
through the check of citations as it is, and altered in each way of `evals/planting.py`; a sentence of an article that
was not retrieved is planted too. A quoted sentence is supported by construction, a planted one is not. Few sentences
have a condition that can be left out by a rule: `conditions.yaml` holds such sentences with their passages.

What the check costs: the same answer comes from a stub model at a fixed pace, checked and unchecked (`evals/pace.py`).
In a live run the configured model is asked too (`evals/judging.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any
from uuid import UUID

from agent.extractive.choosing import quote
from agent.grounding import verify_sentence
from agent.prompting import NumberedPassage, Question
from agent.sentences import split
from evals import metrics
from evals.cases import Case, own
from evals.judging import answer_live, live_scores
from evals.pace import first_texts
from evals.planting import KINDS, planted
from evals.public import Public
from evals.results import Figure, Findings, Observed, Row, Score, Spread
from evals.suite import Suite
from evals.suites.retrieval import public_cases
from evals.world import World
from kbs.index import Scope
from kbs.passages import Passage, Source
from kbs.search.retrieval import RetrievalOptions, Retriever

OWN = {"own-hosting": "retrieval_hosting", "own-cyber": "retrieval_cyber"}
MOST_PUBLIC = 150
GERMAN = "own-german"
CONDITIONS = "own-conditions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifies:
    """What is released of an answer's own sentences, and of the planted ones."""

    retriever: Retriever
    scopes: dict[str, Scope]
    options: RetrievalOptions
    live: World | None
    """Where a configured model is asked too."""
    strangers: Mapping[str, tuple[Passage, ...]]
    """Passages to take sentences of other articles from, by language."""

    async def evaluate(self, case: Case) -> Observed:
        if case.dataset == CONDITIONS:
            return _of_conditions(case)
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
        ours = case.dataset.startswith("own-")
        live = await answer_live(self.live, case["question"], audience) if self.live and case.dataset in OWN else {}
        return {
            "own": self._own(sentences, passages), "planted": list(self._planted(sentences, passages)),
            "cited": sorted({passages[number - 1].ref for number, _ in sentences}), "quoted": bool(sentences),
            "pace": await first_texts([unit for _, unit in sentences], case["question"], passages) if ours else {},
            "live": live,
        }  # fmt: skip

    def _own(self, sentences: Sequence[tuple[int, str]], passages: Sequence[Passage]) -> list[list[Any]]:
        seen = []
        for number, unit in sentences:
            before = perf_counter()
            support = verify_sentence(unit, passages)
            ms = round((perf_counter() - before) * 1000, 3)
            if support.factual:
                seen.append([support.supported, number in support.passage_numbers, support.reason, ms, unit[:160]])
        return seen

    def _planted(self, sentences: Sequence[tuple[int, str]], passages: Sequence[Passage]) -> Iterator[list[Any]]:
        refs = {passage.ref for passage in passages}
        texts = [passage.text for passage in passages]
        for place, (number, unit) in enumerate(sentences):
            whole = verify_sentence(unit, passages)
            if not whole.factual or unit.lstrip().startswith(("`", "|")):
                continue
            language = "de" if passages[number - 1].language == "de" else "en"
            others = [passage for passage in self.strangers.get(language, ()) if passage.ref not in refs]
            stranger = others[(len(unit) * 7 + place) % len(others)] if others else None
            foreign = next((each for each in split(stranger.text) if len(each.split()) > 7), None) if stranger else None
            bare = unit.replace(f"[{number}]", "").rstrip()
            for kind, altered in planted(bare, foreign, language=language, around=texts):
                if altered.strip() and altered != bare:
                    support = verify_sentence(f"{altered.rstrip()} [{number}]", passages)
                    caught = not (support.supported and support.factual)
                    yield [kind, caught, support.reason, altered[:160], whole.supported]


def _of_conditions(case: Case) -> Observed:
    passage = Passage(
        id=UUID(int=0), source=Source.TENANT_KB, ref="conditions", title="", heading="", text=case["passage"], digest="",
        language=case.get("language", "en"),
    )  # fmt: skip
    told = {text: verify_sentence(f"{text} [1]", [passage]) for text in (*case["kept"], *case["dropped"])}
    return {
        "own": [[told[text].supported, 1 in told[text].passage_numbers, told[text].reason, 0.0, text] for text in case["kept"]],
        "planted": [
            ["condition", not (told[text].supported and told[text].factual), told[text].reason, text, True]
            for text in case["dropped"]
        ],
        "cited": [], "quoted": False, "pace": {},
    }  # fmt: skip


def cases(public: Public) -> list[Case]:
    found = []
    for dataset, file in OWN.items():
        found += own(file, ("question", "article"), dataset=dataset)
    found += [
        Case.of(GERMAN, {"question": each["question"], "article": each["article"]})
        for each in own("german", ("article", "title", "text", "question"), dataset=GERMAN)
    ]
    found += own("conditions", ("passage", "kept", "dropped"), dataset=CONDITIONS)
    for name in public.names("retrieval"):
        found += [case for case in public_cases(public, name) if case.dataset.removeprefix(f"{name}-") in (name, "en")][
            :MOST_PUBLIC
        ]
    return found


async def prepare(world: World, cases: Sequence[Case]) -> Verifies:
    own_scope = await world.own_scope()
    sets = {case.dataset: case.get("set") for case in cases}
    opened = {name: await world.public_scope(name) for name in dict.fromkeys(sets.values()) if name}
    scopes = {dataset: opened[name] if name else own_scope for dataset, name in sets.items()}
    if GERMAN in scopes:
        scopes[GERMAN] = await german_scope(world)
    strangers: dict[str, Passage] = {}
    for question in STRANGE:
        found = await world.retriever.search(question, replace(own_scope, audience=None), world.variant.options, k=20)
        strangers |= {passage.digest: passage for passage in found.passages if passage.language == "en"}
    english = tuple(strangers[digest] for digest in sorted(strangers))
    return Verifies(
        retriever=world.retriever, options=world.variant.options, scopes=scopes, strangers={"en": english},
        live=world if world.live else None,
    )  # fmt: skip


async def german_scope(world: World) -> Scope:
    """The tenant that writes in German."""
    articles = own("german", ("article", "title", "text", "question"), dataset=GERMAN)
    return await world.articles_of("german", [{"id": each["article"], **each.fields} for each in articles])


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
    for dataset in dict.fromkeys(["own", *(row.case.dataset for row in rows)]):
        if dataset in OWN:
            continue  # they are in `own`
        among = own_rows if dataset == "own" else [row for row in rows if row.case.dataset == dataset]
        scores += _by_kind(dataset, among)
    for row in own_rows:
        misses += [(str(each[4]), f"withheld: {each[2]}") for each in row.observed["own"] if not each[0]]
        misses += [(str(each[3]), f"released, {each[0]}") for each in row.observed["planted"] if not each[1]]
    ms = [each[3] for row in rows for each in row.observed["own"] if row.case.dataset != CONDITIONS]
    scores += live_scores("own", own_rows)
    paces, spread = _paces(own_rows)
    return Findings(
        scores=[*scores, *paces], misses=list(dict(misses).items()),
        figures=[Spread(title="Checking one sentence", x="ms", values={"verify": ms}), *spread],
    )  # fmt: skip


def _paces(rows: Sequence[Row]) -> tuple[list[Score], list[Figure]]:
    """Milliseconds until the first text, by what is waited for."""
    seen = [row.observed["pace"] for row in rows if row.observed.get("pace")]
    if not seen:
        return [], []
    values = {name: [each[name] for each in seen] for name in seen[0]}
    scores = [
        Score(suite="answers", dataset="own", metric=f"first text, {name}: {told}", n=len(seen), unit="ms",
              value=metrics.percentile(times, percent), lower_is_better=True)
        for name, times in values.items()
        for told, percent in (("median", 50), ("p95", 95))
    ]  # fmt: skip
    return scores, [Spread(title="First text of an answer at 10 ms a token", x="ms", values=values)]


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
    if known := [row for row in rows if "article" in row.case.fields]:
        right = [
            float(bool(set(row.observed["cited"]) & set(_articles(row)))) for row in known if row.observed["quoted"]
        ]
        values["answers from the right article"] = (metrics.mean(right), len(right))
        values["answered"] = (metrics.mean([float(row.observed["quoted"]) for row in known]), len(known))
    return [
        Score(suite="answers", dataset=dataset, metric=name, value=value, n=n) for name, (value, n) in values.items()
    ]


def _articles(row: Row) -> list[str]:
    found = row.case["article"]
    return found if isinstance(found, list) else [found]


def _by_kind(dataset: str, rows: Sequence[Row]) -> list[Score]:
    """Of each way to make a sentence wrong: how many were withheld, and of what was withheld how many were wrong. The
    right ones that are counted are those that the wrong ones were made of."""
    found = []
    for kind in KINDS:
        seen = [each for row in rows for each in row.observed["planted"] if each[0] == kind]
        caught = sum(bool(each[1]) for each in seen)
        mistaken = sum(not each[4] for each in seen)
        if seen:
            values = {"caught": caught / len(seen), "precision": caught / max(caught + mistaken, 1)}
            found += [
                Score(suite="answers", dataset=dataset, metric=f"planted {kind}: {name}", value=value, n=len(seen))
                for name, value in values.items()
            ]
    return found


SUITE = Suite(
    name="answers", about="Is every sentence that reaches the customer supported by a passage, and is little lost by it?",
    cases=cases, prepare=prepare, conclude=conclude,
)  # fmt: skip

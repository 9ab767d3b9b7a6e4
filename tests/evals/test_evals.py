"""Evaluating: a run over our own cases, its resuming, its report, and what makes it fail."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from agent.settings import Settings
from evals.baselines import Baseline, dropped, fallen, load_baselines, load_measured, record
from evals.cases import BadCases, Case, own, sample
from evals.journal import open_journal
from evals.public import Public, side
from evals.report import summarise, write_html, write_json
from evals.results import Findings, Observed, Row, Score
from evals.runner import Plan, Run, run
from evals.suite import Suite
from evals.suites import SUITES
from evals.variants import DEFAULT, parse_variant
from evals.world import check_live, own_settings, with_variables
from memory.errors import Misconfigured
from tests.conftest import Cluster
from tests.product import settings_for

LIMIT = 2
BY_NAME = {suite.name: suite for suite in SUITES}


@pytest.fixture(scope="module")
def settings(postgres: Cluster, seeded: str) -> Settings:
    return settings_for(postgres.clone(seeded))


@pytest.fixture
def local(tmp_path: Path) -> Settings:
    """Nothing configured."""
    return own_settings(tmp_path, live=False, env_file=None)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ended(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    """Every suite on some of our own cases."""
    yield await run(Plan(suites=SUITES, limit=LIMIT), settings, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def page(ended: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_html(summarise(ended), path)
    return path.read_text("utf-8")


class TestARun:
    async def test_no_case_fails(self, ended: Run) -> None:
        assert ended.errors == []

    @pytest.mark.parametrize("suite", [suite.name for suite in SUITES])
    async def test_every_suite_has_scores(self, ended: Run, suite: str) -> None:
        scores = ended.findings[DEFAULT][suite].scores
        assert scores
        assert all(score.suite == suite and score.value == score.value for score in scores)
        assert len({score.key for score in scores}) == len(scores)

    async def test_the_page_needs_nothing_else_and_names_what_it_is_held_against(self, page: str) -> None:
        assert "goal" in page
        assert "before" in page
        assert not any(f'{name}="http' in page or f'{name}="//' in page for name in ("src", "href"))
        assert "<script" not in page

    @pytest.mark.parametrize(
        "title",
        [
            "Recall", "What each step is worth", "Intents of our own tickets", "Severity of our own tickets",
            "Reasons of handoffs", "Reliability of the approval probability", "Risk and coverage, own",
            "Retrieval, own knowledge base", "Guard, after the embedding", "Classification and guard, after the embedding",
            "First text of an answer at 10 ms a token", "A whole turn",
        ],
    )  # fmt: skip
    async def test_the_page_has_its_plots(self, page: str, title: str) -> None:
        caption = f"<figcaption>{title}</figcaption><svg"
        assert caption in page

    async def test_each_step_is_switched_off(self, page: str) -> None:
        for step in ("dense only", "lexical only", "no MMR", "with rerank"):
            assert f"nDCG@10: {step}" in page

    async def test_a_part_of_the_cases_claims_no_floor(self, page: str) -> None:
        assert "a part of the cases" in page
        assert "every floor held" not in page

    async def test_the_json_holds_every_score(self, ended: Run, tmp_path: Path) -> None:
        write_json(summarise(ended), tmp_path / "report.json")
        told = json.loads((tmp_path / "report.json").read_text())
        assert {suite["suite"] for suite in told["suites"]} == set(BY_NAME)
        assert all(DEFAULT in score["values"] for suite in told["suites"] for score in suite["scores"])


@dataclass(frozen=True)
class Counts:
    """Evaluates and remembers how often."""

    seen: list[str]
    stop_at: int = 1000

    async def evaluate(self, case: Case) -> Observed:
        if len(self.seen) >= self.stop_at:
            raise KeyboardInterrupt
        self.seen.append(case.id)
        return {"right": case["right"]}


def counting(counts: Counts, rights: list[bool]) -> Suite:
    async def prepare(world: Any, cases: Any) -> Counts:
        return counts

    def conclude(rows: Any) -> Findings:
        right = [row.observed["right"] for row in rows]
        return Findings(
            scores=[Score(suite="made", dataset="own", metric="right", value=sum(right) / len(right), n=len(right))]
        )

    cases = [Case.of("own", {"number": number, "right": right}) for number, right in enumerate(rights)]
    return Suite(name="made", about="", cases=lambda public: cases, prepare=prepare, conclude=conclude)


@asynccontextmanager
async def no_world(settings: Any, variant: Any, public: Any, **how: Any) -> AsyncIterator[Any]:
    yield SimpleNamespace(variant=variant, public=public)


async def run_made(plan: Plan, out: Path) -> Run:
    return await run(plan, None, out, opener=no_world)  # type: ignore[arg-type]


def list_rows(out: Path) -> list[Path]:
    return list(out.glob("*/rows.jsonl"))


class TestStopping:
    async def test_a_stopped_run_goes_on_where_it_was(self, tmp_path: Path) -> None:
        first, then = Counts([], stop_at=2), Counts([])
        with pytest.raises(KeyboardInterrupt):
            await run_made(Plan(suites=[counting(first, [True] * 5)]), tmp_path)
        [rows] = list_rows(tmp_path)
        rows.write_bytes(rows.read_bytes() + b'{"key": "default|made|cut o')
        resumed = await run_made(Plan(suites=[counting(then, [True] * 5)]), tmp_path)
        assert (len(first.seen), len(then.seen)) == (2, 3)
        assert resumed.folder == rows.parent
        assert resumed.findings[DEFAULT]["made"].scores[0].n == 5

    async def test_what_raised_is_tried_again(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path, {}, fresh=True)
        journal.add({"key": "a", "error": "", "observed": {}})
        journal.add({"key": "b", "error": "TimeoutError: ", "observed": {}})
        assert set(journal.done()) == {"a"}

    async def test_another_product_is_another_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first, then = Counts([], stop_at=2), Counts([])
        with pytest.raises(KeyboardInterrupt):
            await run_made(Plan(suites=[counting(first, [True] * 3)]), tmp_path)
        monkeypatch.setattr("evals.runner.product_digest", lambda: "after a change of the code")
        await run_made(Plan(suites=[counting(then, [True] * 3)]), tmp_path)
        assert len(then.seen) == 3

    async def test_another_plan_is_another_run(self, tmp_path: Path) -> None:
        counts = Counts([])
        await run_made(Plan(suites=[counting(counts, [True] * 3)]), tmp_path)
        await run_made(Plan(suites=[counting(counts, [True] * 3)], repeat=2), tmp_path)
        assert len(counts.seen) == 3 + 6


class TestComparing:
    async def test_two_versions_are_told_apart(self, settings: Settings, tmp_path: Path) -> None:
        versions = [parse_variant(text) for text in (DEFAULT, "mode=lexical,spelling=false")]
        ended = await run(Plan(suites=[BY_NAME["retrieval"]], variants=versions, limit=3), settings, tmp_path)
        summary = summarise(ended)
        line = next(line for line in summary.sections[0].lines if line.key == ("own-typos", "nDCG@10"))
        assert len(line.values) == 2
        assert line.values[1] < line.values[0]

    @pytest.mark.parametrize(
        "text", ["", "top_k", "top_k=many", "rerank=yes", "sharpness=1", "prompt=/nowhere", "mode=best"]
    )
    def test_what_is_no_version_is_refused(self, text: str) -> None:
        with pytest.raises(Misconfigured):
            parse_variant(text)

    def test_a_prompt_is_known_by_its_words(self, tmp_path: Path) -> None:
        file = tmp_path / "prompt.yaml"
        told = []
        for words in ("Be brief.", "Be kind."):
            file.write_text(f"system_prompt: {words}\n")
            told.append(Plan(suites=[], variants=[parse_variant(f"prompt={file}")]).as_dict())
        assert told[0] != told[1]

    @pytest.mark.parametrize("text", ["chat_model=gpt-x", "fast_model=gpt-x", "embedding_model=text-embedding-3-small"])
    def test_a_model_needs_live(self, local: Settings, text: str) -> None:
        with pytest.raises(Misconfigured, match="give --live"):
            check_live(local, [parse_variant(DEFAULT), parse_variant(text)], live=False)

    def test_live_needs_a_model(self, local: Settings) -> None:
        with pytest.raises(Misconfigured, match="OPENAI_API_KEY"):
            check_live(local, [parse_variant(DEFAULT)], live=True)
        check_live(local, [parse_variant(DEFAULT), parse_variant("chat_model=gpt-x")], live=True)

    @pytest.mark.parametrize("text", ["index=chroma", "embedding_model=text-embedding-3-small"])
    def test_vectors_of_another_kind_have_a_folder_of_their_own(self, local: Settings, text: str) -> None:
        usual = with_variables(local, parse_variant("chat_model=gpt-x").settings).app.data_dir
        other = with_variables(local, parse_variant(text).settings).app.data_dir
        assert usual == local.app.data_dir
        assert other.parent == usual

    def test_weights_are_the_given_ones_and_the_rest_stays(self) -> None:
        weights = parse_variant("example=0").options.weights
        assert weights.example == 0
        assert weights.tenant_kb == pytest.approx(0.30 / 0.65)


class TestBaselines:
    def test_every_baseline_belongs_to_a_suite(self) -> None:
        assert {key.split("/")[0] for key in load_baselines()} <= set(BY_NAME)

    @pytest.mark.parametrize(("value", "lower", "below"), [(0.4, False, True), (0.6, False, False), (0.6, True, True)])
    def test_a_drop_is_on_the_worse_side(self, value: float, lower: bool, below: bool) -> None:
        score = Score(suite="s", dataset="d", metric="m", value=value, n=1, lower_is_better=lower)
        assert dropped(score, Baseline(floor=0.5)) is below

    @pytest.mark.parametrize(
        ("value", "n", "worse"), [(0.95, 200, False), (0.90, 200, True), (0.90, 20, False), (0.80, 20, True)]
    )
    def test_a_score_without_a_floor_may_not_fall_far(self, value: float, n: int, worse: bool) -> None:
        assert fallen(Score(suite="s", dataset="d", metric="m", value=value, n=n), 0.95) is worse
        assert not fallen(Score(suite="s", dataset="d", metric="m", value=value, n=n, unit="ms"), 0.95)

    def test_what_is_recorded_is_what_later_runs_are_held_against(self, tmp_path: Path) -> None:
        path = tmp_path / "measured.yaml"
        record([Score(suite="s", dataset="d", metric="a: b", value=0.5, n=1)], path)
        record([Score(suite="s", dataset="d", metric="c", value=1, n=1)], path)
        assert load_measured(path) == {"s/d/a: b": 0.5, "s/d/c": 1.0}

    def test_every_score_of_our_own_cases_stands_beside_what_it_was(self, ended: Run) -> None:
        lines = [line for section in summarise(ended).sections for line in section.lines]
        assert [line.key for line in lines if line.before is None] == []

    async def test_a_fall_fails_the_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("evals.report.summary.load_measured", lambda: {"made/own/right": 1.0})
        ended = await run_made(Plan(suites=[counting(Counts([]), [True] * 90 + [False] * 10)]), tmp_path)
        assert summarise(ended).failed

    async def test_a_drop_of_a_whole_set_fails_the_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("evals.report.summary.load_baselines", lambda: {"made/own/right": Baseline(floor=0.9)})
        plan = Plan(suites=[counting(Counts([]), [True, False])])
        ended = await run_made(plan, tmp_path)
        assert summarise(ended).failed
        assert not summarise(replace(ended, plan=replace(plan, limit=2))).failed

    async def test_a_case_that_raises_fails_the_run_and_not_the_others(self, tmp_path: Path) -> None:
        suite = counting(Counts([]), [True, True])
        broken = replace(suite, cases=lambda public: [Case.of("own", {"number": 9}), *suite.cases(public)])
        ended = await run_made(Plan(suites=[broken]), tmp_path)
        assert [case for case, _ in ended.errors] == [Case.of("own", {"number": 9}).id]
        assert ended.findings[DEFAULT]["made"].scores[0].n == 2
        assert summarise(ended).failed


class TestCases:
    def test_all_of_our_own_can_be_read(self) -> None:
        assert all(suite.cases(Public(None)) for suite in SUITES)

    def test_a_case_that_lacks_something_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "x.yaml").write_text("- {question: a, article: b}\n- {question: c}\n")
        with pytest.raises(BadCases, match="case 2 has no article"):
            own("x", ("question", "article"), folder=tmp_path)

    def test_a_case_that_stands_there_twice_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.yaml").write_text("- {question: a}\n- {question: a}\n")
        with pytest.raises(BadCases, match="twice"):
            own("x", ("question",), folder=tmp_path)

    def test_a_sample_is_the_same_every_time_and_of_each_set(self) -> None:
        cases = [Case.of(dataset, {"n": n}) for dataset in ("a", "b") for n in range(10)]
        assert sample(cases, 3) == sample(list(reversed(cases)), 3)[::-1]
        assert [case.dataset for case in sample(cases, 3)] == ["a"] * 3 + ["b"] * 3

    def test_a_text_is_on_one_side_however_it_is_written(self) -> None:
        assert side("Reset my  Password") == side(" reset my password")
        shares = [side(f"message {n}") for n in range(2000)]
        assert 0.15 < shares.count("test") / len(shares) < 0.25


class TestRowsOfASuite:
    def test_pass_in_a_row_is_estimated_from_the_repeats(self) -> None:
        case = Case.of("own", {"name": "x", "turns": [{"say": "hi"}]})
        rows = [
            Row(case=case, repeat=n, ms=1, observed={"faults": [[] if n else ["wrong"]], "ms": [1]}) for n in range(4)
        ]
        scores = {score.metric: score.value for score in BY_NAME["conversations"].conclude(rows).scores}
        assert [round(scores[f"pass^{k}"], 2) for k in (1, 2, 3, 4)] == [0.75, 0.5, 0.25, 0.0]

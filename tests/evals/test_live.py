"""A live run asks the configured model through the real graph, and the judge where there is one."""

from dataclasses import replace
from pathlib import Path

from evals.report import summarise, write_html
from evals.runner import Plan, run
from evals.suites import SUITES
from evals.variants import DEFAULT
from tests.conftest import Cluster
from tests.model_server import model_server
from tests.product import settings_for

ANSWERS = next(suite for suite in SUITES if suite.name == "answers")


class TestLive:
    async def test_the_model_answers_and_the_judge_judges(self, postgres: Cluster, seeded: str, tmp_path: Path) -> None:
        one = replace(
            ANSWERS, cases=lambda public: [case for case in ANSWERS.cases(public) if case.dataset == "own-hosting"]
        )
        async with model_server() as server:
            settings = settings_for(
                postgres.clone(seeded), CHAT_MODEL="stub", JUDGE_MODEL="stub-judge", OPENAI_BASE_URL=server.base_url,
                OPENAI_API_KEY="sk-test",
            )  # fmt: skip
            ended = await run(Plan(suites=[one], limit=1, live=True), settings, tmp_path)
            asked = {request.body["model"] for request in server.chats}
        assert ended.errors == []
        scores = {
            score.metric: score.value for score in ended.findings[DEFAULT]["answers"].scores if score.dataset == "own"
        }
        assert scores["live: answered"] == 1
        assert scores["live: judged to be supported"] == 0  # the stub says no to everything
        assert {"stub", "stub-judge"} <= asked
        write_html(summarise(ended), tmp_path / "report.html")
        assert "with stub" in (tmp_path / "report.html").read_text("utf-8")

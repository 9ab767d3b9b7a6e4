"""Sentences made wrong on purpose are wrong, and what they cost is counted on a clock of their own."""

from uuid import UUID

import pytest

from agent.sentences import split
from evals.pace import TOKEN_MS, first_texts
from evals.planting import KINDS, planted
from kbs.passages import Passage, Source

SENTENCE = (
    "If the lab fails, the Range usually keeps every snapshot for 14 days after Monday, and the instructor can not open "
    "`/srv/out` twice before your console."
)
AROUND = ["The Gateway and Portal know `/srv/in` too."]


class TestPlanting:
    def test_every_kind_is_made(self) -> None:
        found = {kind for kind, _ in planted(SENTENCE, "Another article says this.", around=AROUND)}
        assert found == set(KINDS)

    def test_each_is_another_sentence(self) -> None:
        altered = [text for _, text in planted(SENTENCE, around=AROUND)]
        assert len(set(altered)) == len(altered)
        assert SENTENCE not in altered

    @pytest.mark.parametrize(
        ("kind", "wrong"),
        [
            ("quantity", "Der Zugang muss immer benutzt werden."),
            ("negation", "Der Zugang kann nicht immer benutzt werden."),
        ],
    )
    def test_german_has_words_of_its_own(self, kind: str, wrong: str) -> None:
        altered = dict(planted("Der Zugang kann immer benutzt werden.", language="de"))
        assert altered[kind] in (wrong, "Der Zugang kann nie benutzt werden.")

    def test_code_and_addresses_stay(self) -> None:
        altered = dict(planted("Open `cat 12 > all` on https://example.com/7 in the morning now.", around=AROUND))
        assert "number" not in altered


class TestPace:
    async def test_a_check_waits_for_its_sentence(self) -> None:
        text = "Backups are kept for 14 days. They can be restored by yourself at any time."
        source = Passage(
            id=UUID(int=1), source=Source.TENANT_KB, ref="a", title="Backups", heading="", text=text, digest=""
        )
        times = await first_texts([f"{unit} [1]" for unit in split(source.text)], "How long?", [source])
        assert times["token"] == TOKEN_MS < times["sentence"] <= times["end, checked"]
        assert times["checked sentence"] == pytest.approx(times["sentence"], abs=50)

    async def test_no_answer_has_no_pace(self) -> None:
        assert await first_texts([], "How long?", []) == {}

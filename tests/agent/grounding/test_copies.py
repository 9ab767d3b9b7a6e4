"""A sentence that copies a passage's is held to its words; a paraphrase is judged by what it says."""

import hashlib
from uuid import UUID

import pytest

from agent.grounding import verify_sentence
from kbs.passages import Passage, Source


def passage(text: str, title: str, language: str = "en") -> Passage:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Passage(
        id=UUID(int=1), source=Source.TENANT_KB, ref="article", title=title, heading="", text=text, digest=digest,
        language=language,
    )  # fmt: skip


LABS = passage(
    "Select **Reset** on the Machines tab and confirm. A lab can be reset three times a day, and usually takes ten "
    "minutes. The instructor sends the trainee a report every Tuesday. Trainees see answer keys only if the instructor "
    "allows it. A snapshot of up to 20 GB is kept for 14 days, unless the lab was deleted. If you leave the course, your "
    "labs are removed. Copy `report.txt` to `/srv/out`.",
    "Labs",
)
FIRE = passage("A machine can be reset twice a day. The support desk resets Firewall rules on Friday.", "Machines")
TARIF = passage(
    "Der Vertrag wird vom Kunden mindestens vier Wochen vorher gekündigt. Der Support sperrt das Postfach am Montag. "
    "Eine Gebühr wird erstattet, es sei denn, der Fehler lag beim Kunden.",
    "Tarif",
    "de",
)


class TestAltered:
    @pytest.mark.parametrize(
        "claim",
        [
            "A lab can be reset four times a day, and usually takes ten minutes.",
            "A lab must be reset three times a day, and usually takes ten minutes.",
            "A lab can be reset three times a day, and always takes ten minutes.",
            "A lab can be reset three times a day, and usually takes twenty minutes.",
            "A lab can be reset three times a day, and usually takes ten hours.",
            "A lab can not be reset three times a day, and usually takes ten minutes.",
            "The trainee sends the instructor a report every Tuesday.",
            "The instructor sends the trainee a report every Friday.",
            "A snapshot of at least 20 GB is kept for 14 days, unless the lab was deleted.",
            "A snapshot of up to 20 GB is deleted for 14 days, unless the lab was deleted.",
            "Copy `/srv/out` to `report.txt`.",
            "Select **Machines** on the Reset tab and confirm.",
        ],
    )
    def test_a_word_that_a_statement_turns_on(self, claim: str) -> None:
        verdict = verify_sentence(f"{claim} [1]", [LABS, FIRE])
        assert not verdict.supported, verdict

    @pytest.mark.parametrize(
        "claim",
        [
            "Der Vertrag wird vom Kunden höchstens vier Wochen vorher gekündigt.",
            "Der Vertrag wird vom Kunden mindestens fünf Wochen vorher gekündigt.",
            "Der Support sperrt das Postfach am Dienstag.",
            "Das Postfach sperrt der Support nicht am Montag.",
            "Eine Gebühr wird erstattet.",
        ],
    )
    def test_in_german(self, claim: str) -> None:
        assert not verify_sentence(f"{claim} [1]", [TARIF]).supported

    def test_another_passage_does_not_excuse_what_was_copied_wrongly(self) -> None:
        """Machines may be reset twice a day; that says nothing of labs."""
        verdict = verify_sentence("A lab can be reset twice a day, and usually takes ten minutes. [1]", [LABS, FIRE])
        assert not verdict.supported


class TestConditions:
    @pytest.mark.parametrize(
        "claim",
        [
            "Trainees see answer keys.",
            "A snapshot of up to 20 GB is kept for 14 days.",
            "Your labs are removed.",
        ],
    )
    def test_one_that_is_left_out_is_missed(self, claim: str) -> None:
        assert verify_sentence(f"{claim} [1]", [LABS]).reason == "condition"

    def test_one_that_was_asked_about_may_be_left_out(self) -> None:
        said = "What happens to my labs when I leave the course?"
        assert verify_sentence("Your labs are removed. [1]", [LABS], said=said).supported

    def test_an_instruction_stands_without_its_occasion(self) -> None:
        source = passage("If the page stays empty, clear the cache of your browser and sign in again.", "Pages")
        assert verify_sentence("Clear the cache of your browser and sign in again. [1]", [source]).supported


class TestFaithful:
    @pytest.mark.parametrize(
        "claim",
        [
            "A lab can be reset three times a day, and usually takes ten minutes.",
            "A lab may be reset 3 times a day and usually takes 10 minutes.",
            "If you leave the course, your labs are removed.",
            "Your labs are removed if you leave the course.",
            "Every Tuesday, the instructor sends the trainee a report.",
            "The trainee gets a report every Tuesday.",
            "Trainees see answer keys only if the instructor allows it.",
        ],
    )
    def test_the_same_in_other_words_or_another_order(self, claim: str) -> None:
        verdict = verify_sentence(f"{claim} [1]", [LABS, FIRE])
        assert verdict.supported, verdict
        assert verdict.passage_numbers == (1,)

"""Which messages lean on the one before, and what is then searched for."""

import pytest

from tools.rewriting import leans, rewrite

BEFORE = "How do I set up my mailbox on an iPhone?"


class TestLeaning:
    @pytest.mark.parametrize(
        "question",
        [
            "and on Android?", "and the other thing?", "what about the old phone?", "Can my colleague do that herself?",
            "What if it is too large for that?", "And how do I restore it?", "why?", "und auf Android?",
            "no, I meant download one", "I meant the mailbox password", "nein, ich meinte herunterladen",
            "non, je voulais dire le domaine", "no, me refería al dominio", "нет, я имел в виду домен",
        ],
    )  # fmt: skip
    def test_what_can_not_stand_alone_is_led_by_the_question_before(self, question: str) -> None:
        assert leans(question)
        assert rewrite(question, [BEFORE]) == f"{BEFORE} {question}"

    @pytest.mark.parametrize(
        "question",
        [
            "And how do I connect with SFTP?", "How do I start a lab?", "thanks, that was it", "And who was Edwin Hubble?",
            "Sorry, I meant on my iPhone, how do I set up the mail account there?", "What does the mean load tell me?",
            "Is there a limit on the number of recipients that one message of mine may have in total?",
        ],
    )  # fmt: skip
    def test_what_has_a_subject_of_its_own_is_left_alone(self, question: str) -> None:
        assert rewrite(question, [BEFORE]) == question

    def test_of_earlier_messages_the_last_that_stood_alone_leads(self) -> None:
        assert rewrite("and that?", [BEFORE, "and on Android?", "thanks"]) == f"{BEFORE} and that?"
        assert rewrite("and that?", []) == "and that?"

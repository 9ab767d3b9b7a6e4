"""Small talk told apart from questions."""

import pytest

from tools.classification import Classification, classify
from tools.classification.talk import talk_kind
from tools.intents import load_packs

HOSTING = [load_packs()["hosting"]]


def classified(text: str) -> Classification:
    return classify(text, packs=HOSTING)


class TestKind:
    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("hello", "greeting"),
            ("Hi there!", "greeting"),
            ("good morning", "greeting"),
            ("Guten Tag", "greeting"),
            ("hi, can you help me?", "greeting"),
            ("👋", "greeting"),
            ("thanks", "thanks"),
            ("great, thanks for your help", "thanks"),
            ("that worked, thank you", "thanks"),
            ("merci beaucoup", "thanks"),
            ("👍", "thanks"),
            ("thanks, bye", "goodbye"),
            ("have a nice day", "goodbye"),
            ("auf wiedersehen", "goodbye"),
            ("hi, how are you", "smalltalk"),
            ("are you a bot?", "smalltalk"),
            ("what can you do?", "smalltalk"),
            ("tell me a joke", "smalltalk"),
        ],
    )
    def test_small_talk_is_told_apart(self, text: str, kind: str) -> None:
        assert talk_kind(text)[0] == kind

    @pytest.mark.parametrize(
        "text",
        [
            "hello, my site is down",
            "hi, how do I reset my password",
            "thanks but it still fails",
            "thank you, one more question: what is DNS",
            "hallo, meine Seite ist offline",
            "perfect storm of errors",
            "what can you do about my slow site?",
            "is it down?",
            "👍 but the mail still bounces",
            "no",
            "",
            "?",
        ],
    )
    def test_a_question_is_not_swallowed_by_its_greeting(self, text: str) -> None:
        assert talk_kind(text)[0] == "question"

    def test_asking_for_a_person_is_no_small_talk(self) -> None:
        found = classified("hello, agent please")
        assert (found.wants_human, found.kind) == (True, "question")

    def test_the_words_of_small_talk_tell_its_language(self) -> None:
        assert classified("hola").language == "es"
        assert classified("danke schön").language == "de"

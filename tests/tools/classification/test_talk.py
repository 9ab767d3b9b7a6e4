"""Small talk told apart from questions."""

import pytest

from tools.classification import Classification, classify
from tools.classification.talk import complaint_languages, introduction_language, refusal_languages, talk_kind
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


class TestRefusal:
    @pytest.mark.parametrize(
        ("text", "language"),
        [
            ("no", "en"),
            ("No, thank you.", "en"),
            ("nah, I'm good", "en"),
            ("not now", "en"),
            ("ok, no thanks", "en"),
            ("I don't need a colleague", "en"),
            ("sorry, wrong chat", "en"),
            ("Sorry, I'm in the wrong chat", "en"),
            ("nein", "de"),
            ("Nein, danke!", "de"),
            ("im Moment nicht", "de"),
            ("nein, ich brauche keinen Kollegen", "de"),
            ("Entschuldigung, falscher Chat", "de"),
            ("non merci", "fr"),
            ("ce n'est pas la peine", "fr"),
            ("désolé, mauvais chat", "fr"),
            ("no, gracias", "es"),
            ("ahora no", "es"),
            ("нет, спасибо", "ru"),
            ("не надо", "ru"),
        ],
    )
    def test_a_no_and_nothing_else(self, text: str, language: str) -> None:
        assert language in refusal_languages(text)
        assert classified(text).kind == "refusal"

    @pytest.mark.parametrize(
        "text",
        [
            "no, that did not help",
            "No, I need my invoice",
            "no it is still broken",
            "no luck",
            "not good",
            "no, why?",
            "no problem",
            "I don't want to lose it",
            "wrong password",
            "No, I do not want a human, just tell me how to create a database.",
            "nein, das hat nicht geholfen",
            "Das war keine Hilfe",
            "ich brauche mein Passwort nicht",
            "falsche Rechnung",
            "non, ça ne marche pas",
            "ce n'est pas bon",
            "no funciona",
            "no está bien",
            "нет доступа",
            "нет, не помогло",
            "yes",
        ],
    )
    def test_a_no_that_says_more_stays_what_it_is(self, text: str) -> None:
        assert refusal_languages(text) == ()
        assert classified(text).kind != "refusal"

    def test_a_no_that_asks_for_a_person_asks_for_a_person(self) -> None:
        found = classified("No, I want to talk to a person")
        assert (found.wants_human, found.kind) == (True, "question")


class TestIntroduction:
    @pytest.mark.parametrize(
        ("text", "language"),
        [
            ("Hi, I'm Ada", "en"),
            ("My name is Ada", "en"),
            ("my name is ada", "en"),
            ("Hello, my name is Ada Byron. Nice to meet you!", "en"),
            ("Hi there, I'm Jean-Luc from Acme", "en"),
            ("Hallo, mein Name ist Ada von Byron", "de"),
            ("Ich bin Jörg", "de"),
            ("Bonjour, je m'appelle Ada", "fr"),
            ("Hola, me llamo Ada", "es"),
            ("Меня зовут Ада", "ru"),
        ],
    )
    def test_a_name_and_nothing_else(self, text: str, language: str) -> None:
        assert introduction_language(text) == language
        assert classified(text).kind == "introduction"

    @pytest.mark.parametrize(
        "text",
        [
            "I'm locked out",
            "I AM LOCKED OUT",
            "My name is wrong on the invoice",
            "my name is misspelled",
            "My name is Ada, my invoice is wrong",
            "I'm Ada, how do I reset my password?",
            "What is my name",
            "Mein Name ist falsch",
            "ich bin ausgesperrt",
            "je suis bloqué",
            "soy cliente",
        ],
    )
    def test_what_else_somebody_says_of_themselves_is_a_question(self, text: str) -> None:
        assert introduction_language(text) is None
        assert classified(text).kind == "question"


class TestComplaints:
    @pytest.mark.parametrize(
        "text",
        [
            "it doesn't work", "still not working", "that's wrong, it doesn't work that way", "That didn't help!!",
            "this is not what I asked", "das hat nicht geholfen", "funktioniert immer noch nicht", "ça ne marche pas",
            "no funciona", "всё равно не работает", "non funziona", "não ajudou", "لا يعمل", "???", "🤷",
        ],
    )  # fmt: skip
    def test_what_says_only_that_it_does_not_work(self, text: str) -> None:
        assert classified(text).kind == "complaint"

    @pytest.mark.parametrize(
        "text",
        [
            "my mail doesn't work", "it cannot send", "das Postfach funktioniert nicht", "la web no funciona",
            "сайт не работает", "error 503", "why doesn't it work?", "the answer is 42", "SSL still not working", "ok",
            "it does not work in Outlook", "👍", "not now", "that worked, thanks",
        ],
    )  # fmt: skip
    def test_what_names_a_matter_is_none(self, text: str) -> None:
        assert not complaint_languages(text)
        assert classified(text).kind != "complaint"

    @pytest.mark.parametrize("text", ["help", "Hilfe!", "please help me", "aiuto", "помогите"])
    def test_a_call_for_help_is_asked_what_for(self, text: str) -> None:
        assert classified(text).kind == "greeting"

    def test_who_has_found_it_needs_no_more(self) -> None:
        assert refusal_languages("never mind, I found it") == ("en",)
        assert refusal_languages("I found it in the panel but it is grey") == ()

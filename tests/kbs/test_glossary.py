"""A question in another language finds English articles by what things are called there."""

import pytest

from kbs.words.glossary import glossed, is_english_too, translations
from kbs.words.spelling import vocabulary_of

ENGLISH = vocabulary_of(
    ["Reset the password of your mailbox. Download a backup. Pay an invoice. Cancel a plan. Renew your domain and its "
     "certificate. The address for the invoice."]
)  # fmt: skip
GERMAN = vocabulary_of(
    ["Das Passwort des Postfachs setzen Sie im Kundenbereich zurück. Eine Rechnung kann nach dem Umzug bezahlt werden, wenn "
     "oder sobald eine Sicherung nicht da ist; auch einen Tarif werden Sie so los."]
)  # fmt: skip


class TestGlossed:
    @pytest.mark.parametrize(
        ("question", "words"),
        [
            ("Wie setze ich das Passwort meines Postfachs zurück?", {"reset", "password", "mailbox"}),
            ("Wie kann ich eine Sicherung herunterladen?", {"download", "backup"}),
            ("Comment réinitialiser mon mot de passe ?", {"reset", "password"}),
            ("¿Cómo puedo renovar mi dominio?", {"renew", "domain"}),
            ("Come posso reimpostare la password della casella di posta?", {"reset", "password", "mailbox"}),
            ("Como faço para renovar o meu domínio?", {"renew", "domain"}),
            ("Как продлить домен?", {"renew", "domain"}),
            ("كيف أجدد النطاق؟", {"renew", "domain"}),
            ("Hallo zusammen, ich hoffe, es geht Ihnen gut! Wie bezahle ich eine Rechnung?", {"pay", "invoice"}),
            ("Rechnung?", {"invoice"}),
        ],
    )
    def test_words_that_the_articles_have(self, question: str, words: set[str]) -> None:
        assert words <= set(glossed(question, ENGLISH).split())

    def test_what_it_does_not_know_is_not_forgotten(self) -> None:
        assert "kaktus" in glossed("Wie kündige ich meinen Kaktus?", ENGLISH).split()

    @pytest.mark.parametrize(
        "question", ["How do I reset the password of my mailbox?", "hwo do i chnage my plan", "reset", ""]
    )
    def test_english_stays_as_it_is(self, question: str) -> None:
        assert glossed(question, ENGLISH) == question

    def test_greetings_are_no_part_of_the_question(self) -> None:
        words = glossed("Hallo, guten Tag! Wie bezahle ich eine Rechnung?", ENGLISH).lower().split()
        assert not {"hallo", "guten"} & set(words)

    def test_articles_in_both_languages_are_looked_for_in_both(self) -> None:
        question = "Wie bezahle ich eine Rechnung?"
        both = vocabulary_of(["This is what your invoice will have when it comes from us", " ".join(GERMAN.counts)])
        assert glossed(question, both) == question
        assert is_english_too(both)
        assert not is_english_too(GERMAN)
        assert "invoice" in glossed(question, both, among_english=True)

    def test_articles_in_russian_need_none_for_a_russian_question(self) -> None:
        question = "Как продлить домен?"
        assert glossed(question, vocabulary_of(["Продлить домен можно в панели. renew domain"])) == question

    def test_articles_in_the_same_language_need_no_glossary(self) -> None:
        question = "Wie setze ich das Passwort meines Postfachs zurück?"
        assert glossed(question, GERMAN) == question

    @pytest.mark.parametrize(
        ("word", "english"), [("geändert", "change"), ("gekündigt", "cancel"), ("erneuert", "renew")]
    )
    def test_a_participle_is_its_verb(self, word: str, english: str) -> None:
        assert english in translations(word, "de")

    def test_the_parts_of_a_compound_count(self) -> None:
        assert translations("rechnungsadresse", "de") == ("invoice",)
        assert "password" in translations("passwortänderung", "de")

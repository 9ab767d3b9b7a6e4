"""What of a customer's words is kept for later sessions: what lasts, and no trouble of the day."""

import pytest

from tools.consent import OwnWords
from tools.recall import facts_in


class TestWhatLasts:
    @pytest.mark.parametrize(
        "text",
        [
            "My domain is example-bakery.com.",
            "My name is Ada Lovelace",
            "Our plan is Business L",
            "my plan is business",
            "My site is built with WordPress 6.4",
            "Our website runs on Drupal",
            "My server runs Ubuntu 22.04",
            "My site is https://bakery.example",
            "My website is a small online shop",
            "My customer number is 4711",
            "My phone is +49 30 901820",
            "Our server is in Frankfurt",
            "My device is an iPhone 15",
            "I am using Outlook 2019",
            "I'm on Windows 11",
            "We use PHP 8.2",
            "I prefer answers in German",
            "Call me Ada",
            "I work for the city of Bremen",
            "We use PostgreSQL since 2019",
            "Please remember that our invoices go to the head office",
            "I use Outlook, not Thunderbird",
            "Mein Name ist Jürgen Groß",
            "Meine Domain ist baeckerei.example",
            "Unsere Webseite läuft mit Typo3",
            "Ich nutze Thunderbird",
            "Je m'appelle Zoé",
            "Me llamo Íñigo",
            "Меня зовут Анна",
        ],
    )
    def test_is_kept_as_it_was_said(self, text: str) -> None:
        assert facts_in(text) == [text]

    @pytest.mark.parametrize(
        ("text", "kept"),
        [
            ("My name is Ada and my site is down", "My name is Ada"),
            ("I use WordPress 6.4, but the editor crashes", "I use WordPress 6.4"),
            ("My domain is bakery.example and since yesterday it shows an error", "My domain is bakery.example"),
            ("Ich nutze Thunderbird, aber seit heute kommt nichts an", "Ich nutze Thunderbird"),
        ],
    )
    def test_is_taken_from_a_sentence_that_tells_of_trouble_as_well(self, text: str, kept: str) -> None:
        assert facts_in(text) == [kept]


class TestWhatPasses:
    @pytest.mark.parametrize(
        "text",
        [
            "My site is down and shows error 500",
            "My site is down since yesterday",
            "our website is very slow today",
            "My server is offline",
            "My site was hacked",
            "My site is not loading",
            "My site isn't working",
            "our shop is unreachable for an hour",
            "My domain is expired",
            "My site is at risk",
            "My website keeps crashing",
            "our server is giving a 502",
            "My email is not working",
            "My e-mail is important",
            "Our team is waiting",
            "My plan is too small",
            "My plan is full",
            "My phone is ringing",
            "Our site is a mess",
            "I use FTP right now",
            "I'm on hold",
            "I am on the phone",
            "Call me back please",
            "call me when my site is up again",
            "I don't remember my customer number",
            "Remember me does nothing on the sign-in page",
            "Meine Seite ist seit gestern nicht erreichbar",
            "Unser Shop ist langsam",
            "Meine Webseite ist kaputt",
            "Unser Server läuft gerade sehr langsam",
            "Mein Tarif ist zu klein",
            "J'utilise Outlook qui est en panne depuis hier",
            "Mi sitio está caído",
            "Мой сайт упал",
        ],
    )
    def test_is_not_kept(self, text: str) -> None:
        assert facts_in(text) == []

    def test_nor_where_a_model_would_keep_it(self) -> None:
        assert OwnWords(now="My site is down since yesterday.").statement("The customer's site is down") == ""
        assert "fact" not in OwnWords(now="Unsere Seite ist gerade kaputt.").wishes

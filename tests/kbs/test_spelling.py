"""Typing errors are put right by the knowledge base's own words, and nothing else is touched."""

import pytest

from kbs.words.spelling import corrected, unknown_words, vocabulary_of

KNOWN = vocabulary_of(
    ["Reset the password of your mailbox.", "An invoice is sent as PDF.", "Install the certificate.", "DNS propagation"]
)


class TestCorrecting:
    @pytest.mark.parametrize(
        ("typed", "meant"),
        [
            ("pasword of my mailbx", "password of my mailbox"),
            ("were is my invioce", "were is my invoice"),
            ("instal certifcate", "install certificate"),
            ("dns propogation", "dns propagation"),
        ],
    )
    def test_one_slip_is_forgiven(self, typed: str, meant: str) -> None:
        assert corrected(typed, KNOWN) == meant

    @pytest.mark.parametrize(
        "text",
        [
            "my mails and invoices",
            "it wont install",
            "ask bob@pasword.example or pasword.php",
            "пароль почты",
            "the passage of your horse",
            "pw",
            "",
        ],
    )
    def test_the_rest_stays_as_it_is(self, text: str) -> None:
        assert corrected(text, KNOWN) == text

    def test_without_a_knowledge_base_nothing_is_known_better(self) -> None:
        assert corrected("pasword", vocabulary_of([])) == "pasword"

    def test_of_equally_near_words_the_frequent_one(self) -> None:
        assert corrected("domaim", vocabulary_of(["domain domain", "domaiq"])) == "domain"


class TestWhenItIsWanted:
    @pytest.mark.parametrize(
        "text", ["How do I change the password?", "", "12 34", "Ich komme nicht mehr in mein Kundenkonto."]
    )
    def test_everyday_english_and_other_languages_need_no_look(self, text: str) -> None:
        assert not unknown_words(text)

    def test_a_slip_does(self) -> None:
        assert unknown_words("how do i chnage it")

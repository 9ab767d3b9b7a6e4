"""A subject that says nothing is told from one that says what a ticket is about."""

import pytest

from tools.subjects import says_something


@pytest.mark.parametrize(
    "subject",
    ["", "???", "Help!!", "Ticket #4839", "[#993-112] Re: Re:", "Please help me", "Dringend: Hilfe", "Sans objet",
     "Por favor, ayuda", "Срочно!"],
)  # fmt: skip
def test_courtesies_urgency_and_numbers_say_nothing(subject: str) -> None:
    assert not says_something(subject)


@pytest.mark.parametrize(
    "subject", ["SSL", "Login problem", "Help with DNS", "IPv6?", "Hilfe bei E-Mail", "#4839 refund"]
)
def test_one_word_of_the_matter_is_enough(subject: str) -> None:
    assert says_something(subject)

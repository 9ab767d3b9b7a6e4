"""What several messages ask: each question of its own, and none of what only presses."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbs.index import Vectors
from tests.machine import usual
from tools.matters import SEARCHED_AT_MOST, Matter, asks, core_of, in_pieces, is_nudge, matters_of, rest_of, searched

NUDGES = [
    "Did you get my last email?", "Haben Sie meine E-Mail gelesen?", "Have you heard back from support?",
    "hello?", "??", "Any news? I am still waiting.", "Is anybody there?", "please answer me", "thanks!",
    "Just following up on this", "Did you see my message?", "I want to talk to a person", "yes please",
    "Gibt es schon etwas Neues? Ich warte noch immer.", "Hallo, ist da jemand?", "Bitte um Rückmeldung!",
    "Haben Sie meine Nachricht gelesen?", "Vous avez des nouvelles ? J'attends toujours.",
    "¿Alguna novedad? Sigo esperando.", "Есть новости? Я всё ещё жду.",
]  # fmt: skip
MATTERS = [
    "Why do I get no email?", "Is the mail back up?", "Ich bekomme keine Mail", "How do I contact support?",
    "What is your support email?", "how do I back up my mail?", "How do I read email", "Why do I not get my email?",
    "How long do I have to wait for DNS?", "Any update for PHP 8.3?", "password", "How long does a transfer take?",
    "Is the server down?", "Wie lange dauert der Umzug?", "Wann wird die Rechnung fällig?", "What about backups?",
    "Combien de temps dure le transfert ?", "¿Cuánto tarda la migración?", "Сколько стоит домен?", "4711",
]  # fmt: skip


async def by_topic(text: str) -> Vectors:
    """Texts with a word of the same topic point the same way."""
    topics = (("mailbox", "password"), ("invoice",), ("domain",))
    found = np.array([float(any(word in text.lower() for word in words)) for words in topics] + [0.1], np.float32)
    vector: Vectors = found / np.linalg.norm(found)
    return vector


async def texts_of(*messages: str) -> list[str]:
    return [matter.text for matter in await matters_of(messages, by_topic)]


class TestNudges:
    @pytest.mark.parametrize("text", NUDGES)
    def test_what_only_presses_names_no_matter(self, text: str) -> None:
        assert is_nudge(text)

    @pytest.mark.parametrize("text", MATTERS)
    def test_what_names_a_matter_is_none(self, text: str) -> None:
        assert not is_nudge(text)


@pytest.mark.parametrize("text", ["?" * 8000 + "a", "zebra " + "?! " * 2600 + "a", "?" + "-" * 8000, "? " * 4000])
def test_what_asks_nothing_costs_nothing(text: str) -> None:
    began = time.thread_time()
    asks(text)
    is_nudge(text)
    in_pieces([text])
    assert time.thread_time() - began < usual(0.1)


class TestPieces:
    @pytest.mark.parametrize(
        "message",
        [
            "How do I renew my domain?",
            "How do I create a mailbox? Where do I see its password?",
            "Where can I find the invoice? Is it in the control panel?",
            "How do I set up mail on my phone? Which port?",
            "Can you help me? How do I reset my mailbox password?",
            "How do I reset my mailbox password? Thanks! Is anybody there?",
            "Why does https://example.com/?a=1&b=2 show error 500?",
            "What?! Why is this so hard?",
            "How do I renew my second domain? " * (SEARCHED_AT_MOST + 1),
            "? " * 1000,
        ],
    )
    def test_one_question_stays_whole(self, message: str) -> None:
        assert in_pieces([message]) == (message,)

    def test_questions_of_their_own_are_apart_with_what_leads_up_to_each(self) -> None:
        message = (
            "Hi! My hosting plan is the small one.\nHow do I renew my domain? Is it expensive?\n\n"
            "I also forgot something. How do I reset my mailbox password? Regards, Ada"
        )
        assert in_pieces(["first", message]) == (
            "first",
            "Hi! My hosting plan is the small one.\nHow do I renew my domain? Is it expensive?",
            "I also forgot something. How do I reset my mailbox password? Regards, Ada",
        )

    def test_in_other_languages_too(self) -> None:
        assert in_pieces(["Wie verlängere ich meine Domain? Wo finde ich die Rechnung vom Mai?"]) == (
            "Wie verlängere ich meine Domain?",
            "Wo finde ich die Rechnung vom Mai?",
        )
        assert in_pieces(["كيف أدفع الفاتورة؟ كيف أجدد النطاق؟"]) == ("كيف أدفع الفاتورة؟", "كيف أجدد النطاق؟")

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("How do I pay an invoice", "and how do I renew my domain?"),
            ("I need to know how to reset my mailbox password,", "and also how to transfer a domain away."),
            ("Wie setze ich mein Passwort zurück", "und wie kündige ich meinen Vertrag?"),
            ("Comment payer une facture", "et comment renouveler mon domaine ?"),
            ("¿Cómo pago una factura", "y cómo renuevo mi dominio?"),
            ("Come pago una fattura", "e come rinnovo il dominio?"),
            ("Como pago uma fatura", "e como renovo o domínio?"),
            ("Как оплатить счёт", "и как продлить домен?"),
            ("كيف أدفع الفاتورة", "وكيف أجدد النطاق؟"),
        ],
    )
    async def test_two_questions_in_one_sentence_are_two(self, first: str, second: str) -> None:
        assert in_pieces([f"{first} {second}"]) == (first, second)
        assert await texts_of(first, second) == [first, second]

    @pytest.mark.parametrize(
        "message",
        [
            "How do I create a mailbox and how do I connect it to Outlook?",
            "The server is slow and what I see in the logs is an error",
            "How do I find out where and how my domain is registered?",
            "What is DNS and why does it take so long?",
            "I want to know what you sell and what it costs",
            "The shop loads slowly and does not answer to requests",
        ],
    )
    def test_what_leans_on_the_question_before_stays_with_it(self, message: str) -> None:
        assert in_pieces([message]) == (message,)

    async def test_two_that_are_about_the_same_thing_are_put_together_again(self) -> None:
        for message in (
            "How do I create a mailbox and which password has a new mailbox?",
            "Wie erstelle ich ein Postfach und welche Größe hat ein Postfach?",
        ):
            pieces = in_pieces([message])
            assert len(pieces) == 2
            assert await texts_of(*pieces) == ["\n".join(pieces)]

    @given(
        st.lists(
            st.sampled_from(
                [
                    "How do I renew my domain?",
                    "Is it slow?",
                    "I use mail.",
                    "?",
                    "\n",
                    "Why?!",
                    "How do I reset mail and how do I pay bills",
                ]
            )
        )
    )
    def test_no_word_is_lost(self, parts: list[str]) -> None:
        message = " ".join(parts)
        assert " ".join(" ".join(in_pieces([message])).split()) == " ".join(message.split())


class TestCore:
    STORY = "I have been with you for years and lately things get on my nerves. " * 6

    def test_a_long_story_has_one_question(self) -> None:
        core = core_of(f"{self.STORY}How do I set up two-factor authentication? {self.STORY}")
        assert core == Matter(text="How do I set up two-factor authentication?")

    @pytest.mark.parametrize("question", ["How do I solve this?", "How do I pay a bill? Where do I see my domain?", ""])
    def test_which_leans_on_the_story_or_is_not_the_only_one(self, question: str) -> None:
        assert core_of(f"{self.STORY}{question}") is None

    def test_a_short_message_is_searched_for_as_it_stands(self) -> None:
        assert core_of("I moved house. How do I change the address of my domain?") is None


class TestMatters:
    async def test_questions_stand_each_for_itself(self) -> None:
        asked = ["How do I pay an invoice?", "hello?", "How do I renew my domain?", "and a mailbox password?"]
        assert await texts_of(*asked) == [asked[0], asked[2], asked[3]]
        assert (await matters_of(asked, by_topic))[2].earlier == (asked[0], asked[2])

    async def test_a_statement_goes_with_the_question_that_it_explains(self) -> None:
        asked = ["I can't log into my mailbox", "How do I reset the password?"]
        assert await texts_of(*asked) == ["\n".join(asked)]
        assert await texts_of(*reversed(asked)) == ["\n".join(reversed(asked))]

    async def test_a_statement_about_something_else_stands_for_itself(self) -> None:
        asked = ["I can't log into my mailbox", "How do I pay an invoice?"]
        assert await texts_of(*asked) == asked
        assert [matter.asks for matter in await matters_of(asked, by_topic)] == [False, True]

    async def test_pieces_of_one_question_are_one(self) -> None:
        asked = ["I have trouble with my mailbox", "the password", "how do I reset it?"]
        assert await texts_of("hi", *asked) == ["\n".join(asked)]

    async def test_the_same_question_twice_is_one(self) -> None:
        assert await texts_of("How do I pay an invoice?", "how do I pay an invoice?") == ["How do I pay an invoice?"]

    async def test_nothing_but_nudges_is_no_matter(self) -> None:
        assert await texts_of("hello?", "any news?") == []

    async def test_of_many_the_first_and_the_newest_are_searched_for(self) -> None:
        matters = [Matter(text=f"How do I do {n}?") for n in range(7)]
        assert searched(matters) == {0, 4, 5, 6}
        assert len(searched(matters)) == SEARCHED_AT_MOST
        assert searched(matters[:2]) == {0, 1}

    async def test_what_belongs_to_no_matter_is_the_rest(self) -> None:
        asked = ["How do I pay an invoice?", "hello?"]
        assert rest_of(asked, await matters_of(asked, by_topic)) == "hello?"

    @pytest.mark.parametrize(
        "text", ["i'd like to renew my domain", "Hello, can you tell me more", "Wie ändere ich DNS", "Где мои счета"]
    )
    def test_a_request_needs_no_mark(self, text: str) -> None:
        assert asks(text)
        assert not asks("My site is down")

    def test_is_named_in_one_line_without_an_end(self) -> None:
        text = "My shop moved last week.\nHow do I change the address? It is urgent!"
        assert Matter(text=text).title == "How do I change the address"
        assert len(Matter(text="How " + "very " * 60 + "long?").title) < 130
        assert Matter(text="and also what does a llama cost?").title == "what does a llama cost"

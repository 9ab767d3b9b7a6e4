"""The built-in model quotes the passages that answer, with citations, and says so when none does."""

import hashlib
import re
from collections.abc import Sequence
from uuid import UUID

import pytest

from agent.extractive import ExtractiveChat, SentenceScorer
from agent.extractive.blocks import blocks_of
from agent.extractive.chat import QUOTED_AS_IS
from agent.grounding import verify_sentence
from agent.llm import Finished, Text, stream_model
from agent.phrases import say
from agent.prompting import DEFAULT_PROMPT, Turn, build_messages
from agent.sentences import split
from kbs.passages import Passage, Source

LANGUAGES = ["en", "de", "fr", "es", "ru", "it", "pt", "ar"]


def passage(
    ref: str, title: str, text: str, heading: str = "", language: str = "en", similarity: float = 0.0
) -> Passage:
    return Passage(
        id=UUID(int=1), source=Source.TENANT_KB, ref=ref, title=title, heading=heading, text=text, language=language,
        digest=hashlib.sha256(text.encode()).hexdigest(), similarity=similarity,
    )  # fmt: skip


RESET = passage(
    "reset",
    "Reset a mailbox password",
    "A forgotten mailbox password is replaced in the control panel. Proceed like this:\n\n"
    "1. Open Email Accounts.\n2. Select Manage beside the mailbox.\n   Take the right one.\n"
    "3. Run the check:\n   ```bash\n   check-mailbox --all\n   ```\n4. Save.\n\n"
    "Messages and folders are kept. It takes one minute until webmail accepts the new password. "
    "The old password cannot be shown by anyone, because only a fingerprint of it is stored on the mail server.",
)
DEVICES = passage(
    "reset", "Reset a mailbox password", "Phones keep the old password until you replace it there.", "Devices"
)
INVOICES = passage(
    "invoices", "Invoices", "Invoices are sent by email on the first day of the month. They are PDF files."
)
ERRORS = passage(
    "errors",
    "Error codes of the mail server",
    "Each error code has one remedy.\n\n| Code | Meaning | Remedy |\n|---|---|---|\n"
    + "".join(f"| E-{n} | Fault number {n} of the relay | Remedy {n * 3} |\n" for n in range(10, 20)),
)
BACKUP = passage(
    "backup",
    "Command line backup",
    "A backup of a database is made with mysqldump on the command line of your server:\n\n"
    "```bash\nmysqldump shop > shop.sql\n```\n\nKeep the file in a safe place. See the picture ![x](https://e.example/x.png).",
)
ALL = [RESET, DEVICES, INVOICES, ERRORS, BACKUP]


async def ask(
    question: str,
    passages: Sequence[Passage] = ALL,
    *,
    scorer: SentenceScorer | None = None,
    history: Sequence[Turn] = (),
    language: str | None = None,
) -> str:
    messages = build_messages(
        DEFAULT_PROMPT, passages=passages, history=history, question=question, facts=[], summary=None, notes=[],
        language=language,
    )  # fmt: skip
    return await ExtractiveChat(scorer=scorer).answer(messages)


def cited(answer: str) -> set[int]:
    return {int(number) for number in re.findall(r"\[(\d)\]", answer)}


class TestQuoting:
    async def test_a_how_to_is_its_intro_and_all_steps_in_order(self) -> None:
        answer = await ask("How do I reset my mailbox password?")
        steps = (
            "Proceed like this: [1]\n\n1. Open Email Accounts. [1]\n2. Select Manage beside the mailbox.\n"
            "   Take the right one. [1]\n3. Run the check: [1]\n   ```bash\n   check-mailbox --all\n   ```\n4. Save. [1]"
        )
        assert steps in answer

    async def test_a_question_for_a_fact_gets_its_sentence(self) -> None:
        answer = await ask("Can anyone show me the old mailbox password?")
        assert "cannot be shown by anyone" in answer
        assert "1. Open" not in answer

    async def test_the_rows_that_match_are_quoted_with_the_head_of_the_table(self) -> None:
        answer = await ask("What is the remedy for error code E-13?")
        rows = [line for line in answer.splitlines() if line.startswith("|")]
        assert rows[:2] == ["| Code | Meaning | Remedy |", "|---|---|---|"]
        assert rows[2:] == ["| E-13 | Fault number 13 of the relay | Remedy 39 |"]
        assert "\n\n[4]" in answer

    async def test_code_stays_whole_below_its_sentence(self) -> None:
        answer = await ask("How can I make a database backup on the command line?")
        assert "server: [5]\n\n```bash\nmysqldump shop > shop.sql\n```\n\n[5]" in answer
        assert "![" not in answer

    async def test_a_sentence_that_refers_back_brings_the_one_before(self) -> None:
        answer = await ask("Are invoices PDF files?", [INVOICES])
        assert answer == "Invoices are sent by email on the first day of the month. [1] They are PDF files. [1]"

    async def test_articles_are_not_mixed(self) -> None:
        for question in (
            "How do I reset my mailbox password?",
            "When are invoices sent?",
            "mail server error code E-11",
        ):
            numbers = cited(await ask(question))
            assert numbers
            assert len({ALL[number - 1].ref for number in numbers}) == 1

    async def test_another_passage_of_the_article_may_complete_the_answer(self) -> None:
        answer = await ask("Does my phone accept the new mailbox password?")
        assert "Phones keep the old password until you replace it there. [2]" in answer

    async def test_it_stays_short(self) -> None:
        sentences = [
            f"The quota of mailbox {n} is counted in megabytes by the mail server every night." for n in range(40)
        ]
        answer = await ask("How is the mailbox quota counted?", [passage("quota", "Quota", " ".join(sentences))])
        assert 1 <= answer.count("[1]") <= 6

    async def test_stray_citations_of_an_article_are_not_taken_over(self) -> None:
        answer = await ask(
            "When are invoices sent?", [passage("i", "Invoices", "Invoices are sent monthly.[7] See [8].")]
        )
        assert cited(answer) == {1}

    async def test_everything_it_says_stands_up_to_verification(self) -> None:
        questions = [
            "How do I reset my mailbox password?",
            "error code E-13",
            "database backup",
            "When are invoices sent?",
        ]
        for question in [*questions, "Wie setze ich das mailbox password zurück?", "Do you sell pizza?"]:
            for unit in split(await ask(question)):
                assert verify_sentence(unit, ALL).supported, unit


class TestChoosing:
    async def test_the_scorer_finds_what_words_cannot(self) -> None:
        text = (
            "Parcels leave the warehouse on working days, and a message with the tracking number follows. "
            "The courier rings twice, then the box waits at the nearest shop of the courier for seven days in a row. "
            "Gifts can be wrapped in paper with stars on it when the order is placed before the first of December. "
            "Broken goods are exchanged by the seller, who also pays for the way back and for the way there."
        )
        goods = [passage("parcels", "Parcels", text, similarity=0.6)]

        async def scorer(question: str, sentences: list[str]) -> list[float]:
            assert question == "My delivery is damaged"
            return [0.9 if "Broken" in sentence else 0.1 for sentence in sentences]

        assert (await ask("My delivery is damaged", goods, scorer=scorer)).startswith("Broken goods")

    async def test_a_follow_up_is_read_with_the_message_before(self) -> None:
        android = passage("phone", "Mailbox on a phone", "On Android, open Gmail and choose IMAP.", "Android")
        history = [
            Turn(author="customer", text="How do I set up the mailbox on my iPhone?"),
            Turn(author="bot", text="In the settings."),
        ]
        assert "Gmail" in await ask("And on Android?", [INVOICES, android], history=history)

    async def test_similarity_carries_a_question_in_other_words(self) -> None:
        near = passage("reset", "Reset a mailbox password", RESET.text, similarity=0.62)
        assert cited(await ask("I can't remember my secret for Outlook", [near])) == {1}

    def test_a_text_is_cut_into_blocks(self) -> None:
        kinds = [block.kind for block in blocks_of(RESET.text)]
        assert kinds == ["sentence", "sentence", "list", "sentence", "sentence", "sentence"]


class TestHonesty:
    @pytest.mark.parametrize("question", ["What is the capital of France?", "Do you sell pizza?", "", "???"])
    async def test_without_an_answer_it_says_so(self, question: str) -> None:
        assert await ask(question) == say("no_answer", None)

    async def test_without_passages_it_says_so(self) -> None:
        assert await ask("How do I reset my mailbox password?", []) == say("no_answer", "en")

    @pytest.mark.parametrize("language", LANGUAGES)
    async def test_it_says_so_in_the_customers_language(self, language: str) -> None:
        assert await ask("Pizza?", language=language) == say("no_answer", language)

    @pytest.mark.parametrize(
        ("question", "language"),
        [
            ("Wie kann ich mein Mailbox Password zurücksetzen?", "de"),
            ("Comment puis-je changer le mailbox password ?", "fr"),
            ("¿Cómo puedo cambiar el mailbox password?", "es"),
            ("Как мне сменить mailbox password?", "ru"),
        ],
    )
    async def test_a_source_in_another_language_is_announced(self, question: str, language: str) -> None:
        answer = await ask(question)
        assert answer.startswith(f"{QUOTED_AS_IS[language]}\n\n")
        assert cited(answer) == {1}

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_the_announcement_passes_verification(self, language: str) -> None:
        assert verify_sentence(QUOTED_AS_IS[language], []).reason == "no claim"

    async def test_a_source_in_the_same_language_is_not_announced(self) -> None:
        german = passage(
            "pw", "Passwort ändern", "Das Passwort ändern Sie unter E-Mail im Kundenbereich.", language="de"
        )
        answer = await ask("Wie kann ich mein Passwort ändern?", [german])
        assert answer == "Das Passwort ändern Sie unter E-Mail im Kundenbereich. [1]"


class TestAsAChatModel:
    MESSAGES = build_messages(
        DEFAULT_PROMPT, passages=ALL, history=[], question="When are invoices sent?", facts=[], summary=None, notes=[]
    )

    async def test_it_streams_word_groups_and_ends_with_stop_and_usage(self) -> None:
        parts = [part async for part in stream_model(ExtractiveChat(), self.MESSAGES, deadline_s=5)]
        *texts, end = parts
        assert isinstance(end, Finished)
        assert (end.finish, end.tool_calls) == ("stop", ())
        assert end.input_tokens > 100
        assert end.output_tokens > 0
        assert len(texts) > 3
        said = "".join(part.text for part in texts if isinstance(part, Text))
        assert said == await ExtractiveChat().answer(self.MESSAGES)

    async def test_tools_change_nothing(self) -> None:
        tool = {"type": "function", "function": {"name": "t", "description": "", "parameters": {"type": "object"}}}
        plain, tooled = [
            [part async for part in stream_model(ExtractiveChat(), self.MESSAGES, tools=tools, deadline_s=5)]
            for tools in ([], [tool])
        ]
        assert plain == tooled

    async def test_it_answers_at_once_too(self) -> None:
        answer = await ExtractiveChat().ainvoke(self.MESSAGES)
        assert answer.response_metadata["finish_reason"] == "stop"
        assert "[3]" in answer.text

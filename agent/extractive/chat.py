"""The extractive answerer as a chat model: it streams, takes tools and ignores them, needs no key and no network."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from agent.answer.matters import left_open_in_chat
from agent.extractive.blocks import Block
from agent.extractive.choosing import Quotation, SentenceScorer, quote
from agent.grounding.words import guess_language
from agent.phrases import say
from agent.prompting import Question, parse_history, parse_passages, parse_question, parse_several
from tools.rewriting import leans

_GROUP = re.compile(r"(?:\S+\s*){1,4}|\s+")
"""Up to four words go out at once."""
_LETTERS_PER_TOKEN = 4
_STOP = {"finish_reason": "stop"}

QUOTED_AS_IS = {
    "en": "I found this in another language and quote it as it stands:",
    "de": "Das habe ich in einer anderen Sprache gefunden und zitiere es, wie es dasteht:",
    "fr": "J'ai trouvé ceci dans une autre langue et le cite tel quel :",
    "es": "He encontrado esto en otro idioma y lo cito tal cual:",
    "ru": "Я нашёл это на другом языке и привожу дословно:",
    "it": "L'ho trovato in un'altra lingua e lo cito così com'è:",
    "pt": "Encontrei isto noutra língua e cito-o tal como está:",
    "ar": "وجدت هذا بلغة أخرى وأنقله كما هو:",
}


class ExtractiveChat(BaseChatModel):
    """Answers the prompt of `agent.prompting` with sentences, steps, rows and code from its passages."""

    scorer: SentenceScorer | None = None
    """Sharpens the choice of sentences; without it words alone decide."""

    @property
    def _llm_type(self) -> str:
        return "extractive"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> "ExtractiveChat":
        return self

    async def answer(self, messages: Sequence[BaseMessage]) -> str:
        several = parse_several(messages)
        if len(several) > 1:
            return _in_one(several, await self.answer_each(messages))
        question, passages = several[0] if several else parse_question(messages), parse_passages(messages)
        quotation = await quote(question, parse_history(messages), passages, self.scorer)
        language = question.language or guess_language(question.text)
        if quotation is None:
            return say("no_answer", language)
        return _led_in(_render(quotation), language, quotation.language)

    async def answer_each(self, messages: Sequence[BaseMessage]) -> list[str | None]:
        """What answers each of several messages; None where nothing does, empty where another's answer says it."""
        questions, passages = parse_several(messages), parse_passages(messages)
        history, said, answers, led_in = parse_history(messages), set[tuple[int, Block]](), list[str | None](), ""
        for n, question in enumerate(questions, 1):
            own = [passage for passage in passages if not passage.about or n in passage.about]
            before = [each.text for each in questions[: n - 1]] if leans(question.text) else []
            quotation = await quote(question, [*history, *before], own, self.scorer)
            if quotation is None:
                answers.append(None)
                continue
            new = tuple(block for block in quotation.blocks if block not in said)
            said.update(new)
            text = _render(Quotation(new, quotation.language))
            language = question.language or guess_language(question.text)
            answers.append(text if led_in == quotation.language else _led_in(text, language, quotation.language))
            led_in = quotation.language
        return answers

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        text = await self.answer(messages)
        for group in _GROUP.findall(text):
            yield ChatGenerationChunk(message=AIMessageChunk(content=group))
            await asyncio.sleep(0)
        end = AIMessageChunk(
            content="", response_metadata=_STOP, usage_metadata=_usage(messages, text), chunk_position="last"
        )
        yield ChatGenerationChunk(message=end)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text = await self.answer(messages)
        message = AIMessage(text, response_metadata=_STOP, usage_metadata=_usage(messages, text))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return asyncio.run(self._agenerate(messages))


def _in_one(questions: Sequence[Question], answers: Sequence[str | None]) -> str:
    """The answers in the order of their questions, and then honestly what has none."""
    language = questions[0].language or guess_language(questions[0].text)
    found = [answer for answer in answers if answer]
    if not found:
        return say("no_answer", language)
    asked = [question.text for question, answer in zip(questions, answers, strict=True) if answer is None]
    return "\n\n".join([*found, *(left_open_in_chat(text, language) for text in asked)])


def _led_in(text: str, language: str | None, quoted: str) -> str:
    """With a word about it where the quotation is in another language than the question."""
    if text and language and language != quoted:
        return f"{QUOTED_AS_IS.get(language, QUOTED_AS_IS['en'])}\n\n{text}"
    return text


def _render(quotation: Quotation) -> str:
    """Sentences that follow each other share a paragraph; every other block stands alone."""
    return "".join(_joined(quotation)).strip()


def _joined(quotation: Quotation) -> Iterator[str]:
    before = ""
    for number, block in quotation.blocks:
        if before:
            yield " " if before == block.kind == "sentence" else "\n\n"
        yield block.quote(number)
        before = block.kind


def _usage(messages: Sequence[BaseMessage], text: str) -> UsageMetadata:
    """An estimate: nobody is charged for these tokens."""
    sent = sum(len(str(message.text)) for message in messages) // _LETTERS_PER_TOKEN
    made = len(text) // _LETTERS_PER_TOKEN
    return UsageMetadata(input_tokens=sent, output_tokens=made, total_tokens=sent + made)

"""The product as `helpdesk serve` starts it, for the benchmark; `--unverified` shows each piece of the model's as it comes."""

import re
import sys
from collections.abc import Sequence

from agent.answer.answering import Answer
from api.cli import main
from kbs.passages import Passage

NUMBER = re.compile(r"\[(\d+)\]")


async def feed(answer: Answer, text: str, passages: Sequence[Passage]) -> None:
    """Instead of `Answer.feed`: nothing waits for the end of a sentence, and nothing is withheld."""
    answer._let_out(text)
    answer.supported += 1
    if "]" in text:
        for number in map(int, NUMBER.findall(answer.text)):
            if number <= len(passages):
                answer._source(passages[number - 1])
    await answer._send()


if __name__ == "__main__":
    if "--unverified" in sys.argv:
        sys.argv.remove("--unverified")
        Answer.feed = feed  # type: ignore[method-assign]
    main()

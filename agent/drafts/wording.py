"""A draft's text as it is verified: what is kept with its sources, and what is withheld with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.answer.answering import Wording
from agent.drafts.lessons import is_lesson, says_again, tells_what_was_done
from agent.drafts.letter import is_closing
from agent.drafts.shapes import Withheld
from agent.grounding import verify_sentence
from agent.sentences import split
from kbs.passages import Passage


@dataclass(slots=True, kw_only=True)
class DraftWording(Wording):
    """Verifies as a conversation's answer does; besides, a known mistake is not repeated, and what was done for one
    customer is not told another."""

    mistakes: tuple[str, ...] = ()
    left_out: list[Withheld] = field(default_factory=list)

    async def read(self, text: str, passages: Sequence[Passage]) -> None:
        """Verify a whole text."""
        articles = [passage for passage in passages if not is_lesson(passage)]
        for unit in split(text):
            if unit.strip() in self.own:
                self._offer(unit, passages)
            elif says_again(unit, self.mistakes):
                self._leave_out(unit, "mistake")
            elif tells_what_was_done(unit) and not verify_sentence(unit, articles).supported:
                self._leave_out(unit, "done_elsewhere")
            elif is_closing(unit):
                self._lead_up(unit)
            else:
                self._offer(unit, passages)
        await self.settle()

    def _withhold(self, unit: str) -> None:
        self._leave_out(unit, "unsupported")

    def _leave_out(self, unit: str, reason: str) -> None:
        self.withheld += 1
        self.left_out.append(Withheld(text=unit.strip(), reason=reason))
        end = unit[len(unit.rstrip()) :]
        if "\n" in end and self.text.strip():
            self.text = self.text.rstrip() + end  # the paragraph that it ended ends without it

"""What a reader of events makes of them, and what should never have been among them."""

import time
from dataclasses import dataclass, field

from tests.product import Event

TERMINAL = ("turn.completed", "turn.failed", "turn.cancelled")


@dataclass(kw_only=True)
class Account:
    """Of one session, from the event on that comes first; `wrong` holds what should never happen."""

    wrong: list[str] = field(default_factory=list)
    rows: list[tuple[int, str]] = field(default_factory=list)
    """The number and type of each stored event."""
    messages: dict[str, str] = field(default_factory=dict)
    """The words of each message by its id."""
    texts: dict[str, str] = field(default_factory=dict)
    """What was put together from deltas, by turn."""
    ended: dict[str, tuple[str, float]] = field(default_factory=dict)
    """How each turn ended, and when that was seen, in seconds since 1970."""
    last_id: str | None = None

    def take(self, event: Event) -> None:
        turn = event.data.get("turn_id") or ""
        if event.id:
            self.last_id = event.id
        if event.type == "resync":
            self.wrong.append("a resync, although every row is kept")
        elif event.type == "message.delta":
            self._add(turn, event.data["offset"], event.data["text"])
        elif event.id:
            self._row(event, turn)

    def _add(self, turn: str, offset: int, text: str) -> None:
        known = self.texts.get(turn, "")
        if turn in self.ended:
            self.wrong.append("a delta after its turn's end")
        if offset != len(known):
            self.wrong.append(f"a delta at {offset}, {len(known)} characters are known")
        self.texts[turn] = known + text

    def _row(self, event: Event, turn: str) -> None:
        n = int(str(event.id).partition(".")[0])
        if self.rows and n != self.rows[-1][0] + 1:
            self.wrong.append(f"event {n} where {self.rows[-1][0] + 1} was due")
        self.rows.append((n, event.type))
        if event.type in ("message.created", "message.completed"):
            self.messages[event.data["message_id"]] = event.data.get("text", event.data.get("message", ""))
        if event.type == "message.completed" and not event.data["message"].startswith(self.texts.get(turn, "")):
            self.wrong.append("an answer that does not begin with what was streamed of it")
        if event.type in TERMINAL:
            if turn in self.ended:
                self.wrong.append("a turn that ended twice")
            self.ended[turn] = (event.type.removeprefix("turn."), time.time())

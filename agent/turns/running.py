"""Running a turn: outside the request, under a lease, and to exactly one end.

A turn's task belongs to the process, not to whoever asked: a closed tab does not stop it. It renews its lease every
5 s; whoever loses the lease, or whose session a person takes over, finds its next write refused and falls silent. When
it ends, the messages that came in meanwhile become the next turn.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

import structlog

from agent import metrics
from agent.parts import Parts
from agent.state import GraphContext, TurnState
from agent.turns.admission import Admission
from agent.turns.closing import close_broken
from agent.turns.keeping import Keeper
from agent.turns.preparing import prepare
from agent.turns.results import details, references, result
from memory import chats, turns
from memory.cancelling import END_S, end
from memory.errors import HelpdeskError, LeaseLost, TooMany, Unavailable
from memory.events import Journal, journal, journal_once
from memory.idempotency import Key
from memory.models import ChatSession
from memory.tenancy import Principal
from memory.turns import Accepted, Lease
from tools.recall import WINDOW

log = structlog.get_logger()
TURN_S = 32.0
"""A turn that has not ended by then is ended."""
BACK_S = 1.0
"""Between two looks whether the database is back."""
LAPSED_AT_ONCE = 20
EVENTS_OF_A_TURN = 4
TIDY_EVERY = 5 * EVENTS_OF_A_TURN
"""Events after which a long session is tidied: about every fifth turn."""


@dataclass(frozen=True, slots=True)
class _Ran:
    """How a turn of this process ended."""

    outcome: str
    grown: bool = False
    """Its session has become long."""
    waiting: bool = True
    """Another turn waits in the session, or may."""


@dataclass(slots=True)
class Turns:
    """The turns of this process."""

    parts: Parts
    tidy: Callable[[UUID, UUID], Awaitable[None]] | None = None
    """Has a long session tidied in the background."""
    draining: bool = False
    admission: Admission = field(default_factory=Admission)
    _tasks: dict[UUID, asyncio.Task[None]] = field(default_factory=dict)
    _sessions: dict[UUID, UUID] = field(default_factory=dict)
    """Of each of these turns the session."""
    _background: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def running(self) -> int:
        return len(self._tasks)

    @property
    def sessions(self) -> frozenset[UUID]:
        """Sessions that a turn runs in here."""
        return frozenset(self._sessions.values())

    async def begin(
        self, entry: Journal, principal: Principal, session_id: UUID, text: str, *, key: Key | None, message_id: UUID
    ) -> Accepted | None:
        """Store a message of a customer's, or of a server's that speaks for them, and begin its turn at once; call `start`
        with the result. None where there is more to see to, which `accept` does."""
        with suppress(TooMany):  # a person who has the session is not too many
            self.admission.check(principal.tenant_id)
            return await turns.begin(
                entry, session_id, text, owner=self.parts.process, key=key, message_id=message_id,
                customer_id=None if principal.is_server else principal.customer_id,
            )  # fmt: skip
        return None

    async def accept(
        self, entry: Journal, principal: Principal, session: ChatSession, text: str, *, reject_if_busy: bool = False,
        **more: Any,
    ) -> Accepted:  # fmt: skip
        """Store a customer's message in the caller's transaction; call `start` with the result once it has committed.
        `more` as for `memory.turns.accept`. Raises TooMany where its turn would have to wait for too long."""
        assert principal.customer_id is not None  # routes let only customers' messages through here
        if session.mode != "human":
            self.admission.check(session.tenant_id)
        return await turns.accept(
            entry, session, text, author_id=principal.customer_id, owner=self.parts.process,
            reject_if_busy=reject_if_busy, **more,
        )  # fmt: skip

    def start(self, lease: Lease | None) -> None:
        """Run a turn that this process holds, as a task of its own."""
        if lease is None:
            return
        task = asyncio.create_task(self._run(lease), name=f"turn:{lease.turn_id}")
        self._tasks[lease.turn_id] = task
        self._sessions[lease.turn_id] = lease.session_id
        metrics.turns_running.set(len(self._tasks))
        task.add_done_callback(lambda ended: self._forget(lease.turn_id, ended))

    def interrupt(self, turn_id: UUID) -> None:
        """Stop this process's work on a turn that was ended elsewhere; its rows are settled already."""
        if task := self._tasks.get(turn_id):
            task.cancel()

    def _forget(self, turn_id: UUID, ended: "asyncio.Task[None]") -> None:
        if self._tasks.get(turn_id) is ended:  # a turn that lapsed here may run here again
            del self._tasks[turn_id]
            del self._sessions[turn_id]
        metrics.turns_running.set(len(self._tasks))

    async def cancel(self, tenant_id: UUID, session: ChatSession, *, reason: str) -> bool:
        """Stop the running turn of a session, wherever it runs; what was said stays and is marked."""
        async with self._journal(tenant_id) as entry:
            await chats.get_session(entry.connection, session.id, lock=True)
            stopped = await turns.stop(entry, session.id, status="cancelled", reason=reason)
        if stopped is None:
            return False
        metrics.turns_total.labels("cancelled", reason).inc()
        self.interrupt(stopped.id)
        await self._next(tenant_id, session.id)
        return True

    async def _run(self, lease: Lease) -> None:
        started = time.perf_counter()
        ran = _Ran("completed")
        keeper = Keeper(self.parts.database, lease, asyncio.current_task())
        try:
            async with self.admission.turn(lease.tenant_id) as begun, asyncio.timeout(TURN_S):
                ran = await self._answer(lease, begun)
        except LeaseLost:
            ran = _Ran("lost")
            return
        except asyncio.CancelledError:
            ran = _Ran("cancelled")
            if self.draining:
                await asyncio.shield(self._give_back(lease))
            else:  # whoever ended this turn may be another process, which does not know what waits here
                self._in_background(self._next(lease.tenant_id, lease.session_id))
            raise
        except Unavailable as error:
            log.warning("turn interrupted", turn_id=str(lease.turn_id), error=error.detail)
            ran = _Ran("interrupted")
            keeper.stop()
            await self._again(lease)
        except Exception:
            log.exception("turn failed", turn_id=str(lease.turn_id))
            ran = _Ran("failed")
            await self._fail(lease, "internal_error")
        finally:
            keeper.stop()
            metrics.chat_message_duration_seconds.labels(ran.outcome).observe(time.perf_counter() - started)
        if ran.waiting:
            await self._next(lease.tenant_id, lease.session_id)
        if ran.grown:
            await self._tidy(lease)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _answer(self, lease: Lease, begun: Callable[[], None]) -> "_Ran":
        """Run the graph and store its answer; `begun` is told when the model has the question."""
        context, thread = await prepare(self.parts, lease, begun)
        output = await self.parts.graph.ainvoke(
            TurnState(last_turn=str(lease.turn_id)), thread.config, context=context, durability="exit"
        )
        state = cast(TurnState, output)
        answer = context.answer
        failed = state.get("outcome") == "model_failed"
        words = state["by_words"]
        changed = words.language_told and words.language != context.session.language
        async with journal_once(self.parts.database, self.parts.streams, lease.tenant_id) as entry:
            ended = await turns.finish(
                entry, lease, content=answer.text, complete=not answer.incomplete, answer=result(state, answer),
                details=details(state, context), prompt_version_id=_prompt_id(context), references=references(answer),
                status="failed" if failed else "completed", reason="model_unavailable" if failed else None,
                language=words.language if changed else None, checkpoint=thread.left,
            )  # fmt: skip
        metrics.chat_messages_total.labels("bot").inc()
        metrics.turns_total.labels("failed" if failed else "completed", state.get("outcome", "")).inc()
        if answer.first_text_s is not None:
            metrics.time_to_first_text_seconds.observe(answer.first_text_s)
        grown = len(context.history) >= WINDOW and context.session.last_n % TIDY_EVERY < EVENTS_OF_A_TURN
        return _Ran("failed" if failed else "completed", grown=grown, waiting=ended.waiting)

    async def _tidy(self, lease: Lease) -> None:
        """Have a session that has grown long tidied, now that its customer has the answer."""
        if self.tidy:
            try:
                await self.tidy(lease.tenant_id, lease.session_id)
            except Exception:
                log.exception("a session was not tidied")

    async def _fail(self, lease: Lease, reason: str) -> None:
        """End a turn that broke: the text so far is kept and marked, the customer is told, a person is asked for."""
        with suppress(HelpdeskError):
            async with self._journal(lease.tenant_id) as entry:
                session = await chats.get_session(entry.connection, lease.session_id, lock=True)
                await turns.hold(entry.connection, lease)
                await close_broken(entry, session, reason, self.parts.process)
            metrics.turns_total.labels("failed", reason).inc()

    async def _again(self, lease: Lease) -> None:
        """The database went away in the middle. Once it is back, a turn that nobody saw anything of runs again, and one
        that somebody did is closed; where it stays away for longer than the lease, whoever looks for lapsed turns does so."""
        until = time.monotonic() + turns.LEASE_S
        while True:
            try:
                async with self.parts.database.connection(lease.tenant_id) as connection:
                    await turns.give_back(connection, lease)
                await self._take_up(lease.tenant_id, lease.session_id, lease.turn_id)
                return
            except HelpdeskError:
                if self.draining or time.monotonic() > until:
                    return
            await asyncio.sleep(BACK_S)

    async def _give_back(self, lease: Lease) -> None:
        """Let another process take the turn at once instead of after the lease."""
        with suppress(HelpdeskError):
            async with self.parts.database.connection(lease.tenant_id) as connection:
                await turns.give_back(connection, lease)

    async def _next(self, tenant_id: UUID, session_id: UUID) -> None:
        """Start the turn that waits in this session, if there is one."""
        if self.draining:
            return
        with suppress(HelpdeskError):
            async with self._journal(tenant_id) as entry:
                await chats.get_session(entry.connection, session_id, lock=True)
                waiting = await turns.queued_turn(entry.connection, session_id)
                lease = await turns.claim(entry, waiting, owner=self.parts.process) if waiting else None
            self.start(lease)

    async def recover(self) -> int:
        """Take up turns whose process went silent: run again what nobody saw, close honestly what somebody did."""
        taken = 0
        while not self.draining:
            async with self.parts.database.lookup() as connection:
                rows = await (await connection.execute("select * from lapsed_turns(%s)", (LAPSED_AT_ONCE,))).fetchall()
            found = 0
            for row in rows:
                try:
                    found += await self._take_up(row["tenant_id"], row["session_id"], row["turn_id"])
                except Exception:  # one that can't be taken up must not hide the others
                    log.exception("a lapsed turn could not be taken up", turn_id=str(row["turn_id"]))
            taken += found
            if found == 0 or len(rows) < LAPSED_AT_ONCE:
                break
        return taken

    async def _take_up(self, tenant_id: UUID, session_id: UUID, turn_id: UUID) -> bool:
        """One lapsed turn; False when somebody else has it."""
        if self.draining:
            return False
        async with self._journal(tenant_id) as entry:
            session = await chats.get_session(entry.connection, session_id, lock=True)
            lease = await turns.claim(entry, turn_id, owner=self.parts.process)
            if lease is None:
                return False
            turn = await turns.get_turn(entry.connection, turn_id)
            seen = bool(turn and turn.partial) or await turns.had_effects(entry.connection, turn_id)
            broken = seen or lease.attempts > turns.MAX_ATTEMPTS
            if broken:
                await close_broken(entry, session, "interrupted", self.parts.process)
        metrics.turns_lapsed_total.inc()
        if broken:
            metrics.turns_total.labels("failed", "interrupted").inc()
            await self._next(tenant_id, session_id)
        else:
            self.start(lease)
        return True

    async def watch_for_lapsed(self, every_s: float = 5.0) -> None:
        """Look for lapsed leases for as long as this task lives."""
        while True:
            try:
                await self.recover()
            except HelpdeskError as error:
                log.warning("could not look for lapsed turns", error=error.code)
            except Exception:  # the watch must outlive whatever it meets
                log.exception("could not look for lapsed turns")
            await asyncio.sleep(every_s)

    async def drain(self, within_s: float) -> None:
        """Let running turns end; what has not by then is given back for another process to take up."""
        self.draining = True
        until = time.monotonic() + within_s
        while self._tasks and time.monotonic() < until:
            await asyncio.wait(set(self._tasks.values()), timeout=until - time.monotonic())
        await end(*self._tasks.values())
        if self._background:
            await asyncio.wait(self._background, timeout=END_S)

    def _journal(self, tenant_id: UUID) -> AbstractAsyncContextManager[Journal]:
        return journal(self.parts.database, self.parts.streams, tenant_id)


def _prompt_id(context: GraphContext) -> UUID | None:
    with suppress(ValueError):
        return UUID(context.prompt.version_id)
    return None

"""Every way in which a model provider fails, twice in a row in one conversation, and then it is well again."""

from collections.abc import Awaitable, Callable

from agent.phrases import say
from tests.faults.client import QUESTION, Client
from tests.faults.processes import Process
from tests.faults.stage import TURN_S, Stage

HONEST = (say("model_away", "en"), say("broken_off", "en"))
PARTIAL = ("cut", "no_finish", "length", "broken_json")
"""Faults after which there may be words of an answer."""


def failing(case: str) -> Callable[[Stage], Awaitable[None]]:
    """Two failing turns, the second of which asks for a person, and one that is answered."""

    async def run(stage: Stage) -> None:
        api = _where(stage, case)
        async with stage.customers(1, prefers=api) as clients:
            [client] = clients
            await _fail_once(stage, client, case, _moment(stage, case))
            await _well(stage, api, case)
            again = case if stage.patient or case != "silence" else "refused"
            await _fail_once(stage, client, again, _moment(stage, case), last=True)
            await _well(stage, api, case)
            await _nothing_was_done_by_halves(stage, client, case)

    return run


def _where(stage: Stage, case: str) -> Process:
    """In a short run the silence goes on beside the other faults, at a process of its own with a breaker of its own."""
    here, there = stage.cluster.apis
    return stage.rng.choice((here, there)) if stage.patient else there if case == "silence" else here


def _moment(stage: Stage, case: str) -> int | None:
    """Any; in a short run silence falls after the first words, where it lasts 10 s and is not tried again."""
    return None if stage.patient or case != "silence" else 3


async def _fail_once(stage: Stage, client: Client, case: str, moment: int | None, *, last: bool = False) -> None:
    promise = await client.say(case, moment)
    await stage.ended(client, promise)
    [turn] = [turn for turn in await stage.turns_of(client) if str(turn["id"]) == promise.turn_id]
    stage.note("turn s", (turn["ended_at"] - turn["created_at"]).total_seconds(), TURN_S)
    said = await stage.cluster.rows(
        "select content, status, author from chat_messages where turn_id = %s and author <> 'customer' order by n",
        turn["id"],
    )
    words = " ".join(message["content"] for message in said)
    stage.expect(any(honest in words for honest in HONEST), f"{case}: not an honest word in {words!r}")
    stage.expect(all(message["status"] == "incomplete" for message in said if message["author"] == "bot"),
                 f"{case}: a broken answer is not marked")  # fmt: skip
    stage.expect(words.startswith(turn["partial"]), f"{case}: what was streamed is not kept")
    opened = await stage.cluster.rows(
        "select number from tickets k join tool_effects e on e.result ->> 'ticket_id' = k.id::text where e.turn_id = %s",
        turn["id"],
    )
    stage.expect(all(f"#{ticket['number']}" in words for ticket in opened), f"{case}: a ticket was opened in secret")
    if last:
        asked = await stage.cluster.rows("select status from handoffs where session_id = %s", client.session_id)
        stage.expect(len(asked) == 1, f"{case}: {len(asked)} handoffs after two failures")


async def _well(stage: Stage, api: Process, case: str) -> None:
    """A customer elsewhere is answered at once: one conversation's bad luck is not another's. It also keeps the
    breaker of the provider closed, under which nobody would meet the fault."""
    other = stage.client(api)
    await other.open()
    try:
        answer, _ = await other.answer_now("quick")
        well = answer.status_code == 200 and answer.json()["status"] == "complete"
        stage.expect(well, f"{case}: others are not answered")
    finally:
        await other.leave()


async def _nothing_was_done_by_halves(stage: Stage, client: Client, case: str) -> None:
    """A tool has run with whole arguments, or not at all; its ticket holds what the customer said."""
    tickets = await stage.cluster.rows(
        "select content from tickets where session_id = %s and opened_by = 'model'", client.session_id
    )
    stage.expect(all(QUESTION in ticket["content"] for ticket in tickets), f"{case}: a ticket holds something else")
    if case == "truncated_arguments":
        stage.expect(not tickets, "a tool ran with arguments that were cut off")

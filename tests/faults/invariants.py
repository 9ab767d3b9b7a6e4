"""What must hold whatever happened, read from the database as nobody's tenant and from what clients wrote down.

accepted    a message whose 2xx a client saw stands in the history, once
ended       every turn has exactly one end, within 60 s of the fault's; no session is busy
effects     at most one effect per (turn, ordinal), one ticket per turn, and every ticket of the model's has its effect
history     nothing was sent to the model that a provider would refuse
events      numbered without gap or repeat; what the client put together is what is stored, also of a broken answer;
            a message's own stream says the same
secrets     none in a log
probes      `/livez` is 200, `/readyz` tells the truth within 5 s
"""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.faults.client import Client
from tests.faults.cluster import Cluster

END_WITHIN = timedelta(seconds=60)


async def violations(cluster: Cluster, clients: list[Client], fault_ended: Any) -> list[str]:
    """Everything that does not hold for these clients' sessions; `fault_ended` is the database's time."""
    sessions = [client.session_id for client in clients]
    turns = await cluster.rows("select * from turns where session_id = any(%s::uuid[])", sessions)
    events = await cluster.rows(
        "select session_id, n, type, data from session_events where session_id = any(%s::uuid[]) order by n", sessions
    )
    found = [*endings(turns, events, fault_ended), *await effects(cluster, sessions)]
    messages = await cluster.rows(
        "select id, session_id, author, content from chat_messages where session_id = any(%s::uuid[])", sessions
    )
    for client in clients:
        own = [event for event in events if str(event["session_id"]) == client.session_id]
        said = [message for message in messages if str(message["session_id"]) == client.session_id]
        found += [*seen_by(client, own, said), *streamed_to(client), *client.wrong, *client.refusals]
        client.wrong.clear()
        client.refusals.clear()
    found += [f"the model was sent {wrong}" for wrong in cluster.model.refusable]
    cluster.model.refusable.clear()
    return found


def endings(turns: list[dict[str, Any]], events: list[dict[str, Any]], fault_ended: Any) -> list[str]:
    ends = Counter(event["data"]["turn_id"] for event in events if event["type"].startswith("turn.") and _ends(event))
    found = []
    for turn in turns:
        if turn["status"] not in ("completed", "failed", "cancelled"):
            found.append(f"turn {turn['id']} is still {turn['status']}")
        elif turn["ended_at"] > max(fault_ended, turn["created_at"]) + END_WITHIN:
            found.append(f"turn {turn['id']} ended {turn['ended_at'] - fault_ended} after the fault")
        elif ends[str(turn["id"])] != 1:
            found.append(f"turn {turn['id']} has {ends[str(turn['id'])]} ends")
    return found


def _ends(event: dict[str, Any]) -> bool:
    return event["type"] in ("turn.completed", "turn.failed", "turn.cancelled")


async def effects(cluster: Cluster, sessions: list[str]) -> list[str]:
    """The ledger's key forbids two rows; so it is held against the tickets that were really made, and the model asks for
    one in a turn."""
    rows = await cluster.rows(EFFECTS, sessions, sessions, sessions)
    return [f"{row['kind']} {row['id']}: {row['n']}" for row in rows]


def seen_by(client: Client, events: list[dict[str, Any]], messages: list[dict[str, Any]]) -> list[str]:
    """Where the client's account and the rows differ."""
    found = []
    stored = Counter(str(message["id"]) for message in messages)
    found += [
        f"message {promise.message_id} was accepted and is stored {stored[promise.message_id]} times"
        for promise in client.promises
        if stored[promise.message_id] != 1
    ]
    numbers = [event["n"] for event in events]
    if numbers != list(range(1, len(numbers) + 1)):
        found.append(f"events are numbered {numbers}")
    if client.rows != [(event["n"], event["type"]) for event in events]:
        missing = sorted({event["n"] for event in events} - {n for n, _ in client.rows})
        found.append(f"the client has other events than are stored; it lacks {missing}")
    if client.messages != {str(message["id"]): message["content"] for message in messages}:
        found.append("the client has other messages than are stored")
    said = [message["content"] for message in messages if message["author"] == "bot"]
    found += [
        f"the text of turn {turn} was streamed and is not kept: {text[:80]!r}"
        for turn, text in client.texts.items()
        if text and not any(words.startswith(text) for words in said)
    ]
    return found


def streamed_to(client: Client) -> list[str]:
    """Where what a `POST` streamed is not what the session's events say of the same turn."""
    found = []
    for turn, accounts in client.streamed.items():
        for account in accounts:
            found += [f"in the stream of a message: {wrong}" for wrong in account.wrong]
            if not set(account.rows) <= set(client.rows) or not account.messages.items() <= client.messages.items():
                found.append("the stream of a message has other events than the session")
            answer = account.texts.get(turn, "")
            if answer and not any(words.startswith(answer) for words in client.messages.values()):
                found.append(f"the stream of a message told what is not kept: {answer[:80]!r}")
        if turn in client.ended and accounts[-1].ended.get(turn, ("",))[0] != client.ended[turn][0]:
            found.append(
                f"the stream of turn {turn} ended {accounts[-1].ended.get(turn)}, the turn {client.ended[turn]}"
            )
    return found


def secrets_in(log: Path, hidden: list[str], offset: int) -> tuple[list[str], int]:
    """Secrets that a log has held since `offset`, and where it ends now."""
    if not log.exists():
        return [], 0
    with log.open("rb") as lines:
        lines.seek(offset)
        text = lines.read().decode(errors="replace")
    return [f"{log.name} holds a secret" for secret in hidden if secret in text], offset + len(text.encode())


EFFECTS = """
select 'effects of one ordinal' as kind, e.turn_id::text || '.' || e.ordinal as id, count(*) as n
from tool_effects e join turns t on t.id = e.turn_id where t.session_id = any(%s::uuid[])
group by e.turn_id, e.ordinal having count(*) > 1
union all
select 'tickets of one turn', e.turn_id::text, count(*) as n
from tool_effects e join turns t on t.id = e.turn_id
where t.session_id = any(%s::uuid[]) and e.tool = 'open_ticket' group by e.turn_id having count(*) > 1
union all
select 'effects of one ticket', k.id::text, count(e.turn_id) as n
from tickets k left join tool_effects e on e.result ->> 'ticket_id' = k.id::text and e.tool = 'open_ticket'
where k.session_id = any(%s::uuid[]) and k.opened_by = 'model' group by k.id having count(e.turn_id) <> 1
"""

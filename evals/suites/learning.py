"""Whether drafts get better by being approved: a stream of tickets, with learning and without.

A house answers 30 matters in its own way, which the shipped articles do not know and partly contradict. Six customers
each ask for one in their own words, twice over in other clothes: 360 tickets in an order that is drawn once. A
simulated colleague sends a draft as it is if it holds what the house says and nothing that it does not; else the house's
reply goes out. Tickets, drafts, approvals and lessons are the product's own rows; nothing is called that people don't.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlmodel import select

from evals import metrics
from evals.cases import Case, own
from evals.public import Public
from evals.results import Curve, Figure, Findings, Observed, Row, Score
from evals.suite import Suite
from evals.world import World
from kbs.index import KINDS, remove
from kbs.passages import Source
from memory.models import Tenant, User, new_id
from memory.tenancy import Principal, Role
from tools.drafts.deciding import Approval
from tools.drafts.reading import read_draft
from tools.learning.indexing import index_lesson
from tools.tickets import open_ticket

NEEDED = ("matter", "reply", "needs", "asks")
SEED = "spring"
PARTS = 6
"""Of the stream, over which the curve is drawn."""
CLOTHES = (
    "{ask}",
    "Hi there,\n\n{ask}\n\nThanks\n{name}",
    "Hello support team, I hope you are well.\n\n{ask}\n\nBest wishes, {name}",
    "{ask} I need this today, please hurry.",
    "We have been your customers for six years and were always happy.\n\n{ask}\n\nRegards, {name}",
    "this is the second time that i write. {ask}",
)
NAMES = ("Ada Lovelace", "Bo Nilsson", "Chidi Okafor", "Dana Petrov", "Elif Kaya", "Finn Sommer")
SUBJECTS = ("Question", "Help needed", "", "Please help", "Support request")
ON, OFF = "learning", "no learning"
DATASET = "own stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Works the stream off, ticket by ticket: what is learned from one is there for the next."""

    world: World
    first: str
    """Id of the case before which everything is forgotten; a run that goes on finds what it had learned."""
    tenants: Mapping[str, Tenant]
    people: Mapping[UUID, Principal]

    async def evaluate(self, case: Case) -> Observed:
        found = {}
        for mode, tenant in self.tenants.items():
            if case.id == self.first:
                await self._forget(tenant)
            found[mode] = await self._work(tenant, case, teach=mode == ON)
        return found

    async def _work(self, tenant: Tenant, wished: Case, *, teach: bool) -> dict[str, Any]:
        resources, by = self.world.resources, self.people[tenant.id]
        async with resources.database.connection(tenant.id) as connection:
            customer = await (await connection.execute(CUSTOMER, (new_id(), tenant.id, wished["name"]))).fetchone()
            assert customer
            ticket = await open_ticket(
                connection, tenant_id=tenant.id, customer_id=customer["id"], subject=wished["subject"],
                content=wished["content"], opened_by="api", actor="evals",
            )  # fmt: skip
        draft_id = await resources.desk.generate(by, ticket.id)
        async with resources.database.connection(tenant.id) as connection:
            draft = await read_draft(connection, draft_id)
        sent = decide(draft["content"], wished)
        approval = Approval(
            draft_id=draft_id, version=draft["version"], content=sent if sent != draft["content"] else None, teach=teach
        )
        approved = await resources.desk.approve(by, approval)
        if approved.lesson_id:
            await index_lesson(
                resources.database, resources.knowledge, resources.index, resources.embedder, tenant.id,
                approved.lesson_id,
            )  # fmt: skip
        async with resources.database.connection(tenant.id) as connection:
            reply = (await read_draft(connection, draft_id))["similarity"]
        return {
            "distance": round(1 - reply, 4),
            "unchanged": sent == draft["content"],
            "mistake": any(words in draft["content"] for words in wished["wrong"]),
            "warned": bool(draft["warnings"].get("corrections")),
            "score": draft["score"],
        }

    async def _forget(self, tenant: Tenant) -> None:
        """What an earlier run left."""
        resources = self.world.resources
        async with resources.database.connection(tenant.id) as connection:
            rows = await (await connection.execute("delete from learned_replies returning id, kind")).fetchall()
            await connection.execute("delete from tickets")
        for source in (Source.EXAMPLE, Source.CORRECTION):
            refs = [str(row["id"]) for row in rows]
            await remove(resources.index, resources.knowledge, tenant.id, KINDS[source], refs)


def stream_of(matters: Sequence[Case], seed: str) -> list[Case]:
    """Every question twice, in other clothes, in an order that depends on the seed alone."""
    chance = random.Random(seed)  # noqa: S311  an order, not a secret
    stream = []
    for matter in matters:
        for ask in matter["asks"]:
            for clothes in chance.sample(CLOTHES, 2):
                name = chance.choice(NAMES)
                content = clothes.format(ask=ask, name=name)
                told = {
                    "matter": matter["matter"],
                    "name": name,
                    "subject": chance.choice(SUBJECTS),
                    "content": content,
                }
                house = {"reply": matter["reply"], "needs": matter["needs"], "wrong": matter.get("wrong", [])}
                stream.append(Case.of(DATASET, {**told, **house}))
    chance.shuffle(stream)
    return stream


def decide(draft: str, wished: Case) -> str:
    """What the colleague sends."""
    said = " ".join(draft.split())
    if all(words in said for words in wished["needs"]) and not any(words in said for words in wished["wrong"]):
        return draft
    return f"Hello {wished['name']},\n\n{wished['reply']}\n\nKind regards"


def cases(public: Public) -> list[Case]:
    return list({case.id: case for case in stream_of(own("learning", NEEDED), SEED)}.values())


async def prepare(world: World, cases: Sequence[Case]) -> Desk:
    tenants = {OFF: await world.tenant("learning-off"), ON: await world.tenant("learning-on")}
    people = {tenant.id: await _colleague(world, tenant) for tenant in tenants.values()}
    return Desk(world=world, first=cases[0].id, tenants=tenants, people=people)


async def _colleague(world: World, tenant: Tenant) -> Principal:
    """Who approves, in every run."""
    email = f"{tenant.slug}@example.com"
    async with world.owner.transaction(tenant.id) as session:
        user = (await session.exec(select(User).where(User.email == email))).first()
        if user is None:
            user = User(email=email, role="agent", password_hash="-")  # noqa: S106  nobody signs in
            session.add(user)
    return Principal(tenant_id=tenant.id, role=Role.AGENT, user_id=user.id)


def conclude(rows: Sequence[Row]) -> Findings:
    if not rows:
        return Findings()
    scores: list[Score] = []
    for mode in (OFF, ON):
        told = [row.observed[mode] for row in _part(rows, PARTS - 1)]
        scores += [
            _score(f"edit distance at the end, {mode}", [one["distance"] for one in told], less=True),
            _score(f"sent unchanged at the end, {mode}", [float(one["unchanged"]) for one in told]),
        ]
    for mode in (OFF, ON):
        again = [float(one["mistake"]) for one in _after_first(rows, mode)]
        scores.append(_score(f"a mistake comes back, {mode}", again, less=True))
    warned = [float(one["warned"]) for one in _after_first(rows, ON)]
    scores.append(_score("warned of a mistake that was made before", warned))
    return Findings(scores=scores, figures=[_curve(rows, "distance"), _curve(rows, "unchanged")])


def _score(metric: str, values: Sequence[float], *, less: bool = False) -> Score:
    return Score(
        suite="learning",
        dataset=DATASET,
        metric=metric,
        value=metrics.mean(values),
        n=len(values),
        lower_is_better=less,
    )


def _part(rows: Sequence[Row], part: int) -> Sequence[Row]:
    """One of the equal parts of the stream."""
    return rows[len(rows) * part // PARTS : len(rows) * (part + 1) // PARTS]


def _after_first(rows: Sequence[Row], mode: str) -> list[dict[str, Any]]:
    """Tickets in matters in which the mistake was made once already, and put right."""
    made: set[str] = set()
    found = []
    for row in rows:
        matter, one = row.case["matter"], row.observed[mode]
        if matter in made:
            found.append(one)
        if one["mistake"]:
            made.add(matter)
    return found


def _curve(rows: Sequence[Row], name: str) -> Figure:
    title = {"distance": "Mean edit distance", "unchanged": "Share of drafts sent unchanged"}[name]
    lines = {
        mode: [
            ((part + 1) / PARTS, metrics.mean([float(row.observed[mode][name]) for row in _part(rows, part)]))
            for part in range(PARTS)
        ]
        for mode in (OFF, ON)
    }
    return Curve(title=f"{title} over the stream", x="share of the stream", y=title.lower(), lines=lines)


CUSTOMER = """
insert into customers (id, tenant_id, email_verified, name, visitor_epoch) values (%s, %s, false, %s, 0) returning id
"""
SUITE = Suite(
    name="learning", about="Do drafts get better by being approved, and do mistakes stay away?", cases=cases,
    prepare=prepare, conclude=conclude,
)  # fmt: skip

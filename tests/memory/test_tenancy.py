"""The walls between tenants: the query layer's, and row-level security's where that one is switched off."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel, select, update

from memory.database import Database, open_database
from memory.embedded import EmbeddedUrls
from memory.errors import NoTenant
from memory.models import (
    GLOBAL_TENANT,
    ApprovedReply,
    Article,
    ArticleVersion,
    Attachment,
    ChatMessage,
    ChatSession,
    Customer,
    Draft,
    Fact,
    Feedback,
    Gap,
    GapQuestion,
    GuardrailEvent,
    Handoff,
    ImportedFile,
    KnowledgeImport,
    LearnedReply,
    PromptVersion,
    Reference,
    Replay,
    ReplayCase,
    SessionEvent,
    Ticket,
    TicketEvent,
    ToolEffect,
    Turn,
    User,
    WebhookDelivery,
    WebhookEndpoint,
    new_id,
)

MakeTenant = Callable[..., Awaitable[UUID]]


async def add_user(database: Database, tenant_id: UUID) -> UUID:
    async with database.transaction(tenant_id) as session:
        user = User(email=f"{new_id().hex}@example.com", role="agent", password_hash="-")
        session.add(user)
    return user.id


class TestQueryLayer:
    async def test_sees_and_changes_own_rows_only(self, database: Database, tenant: MakeTenant) -> None:
        mine, theirs = await tenant(), await tenant()
        own, foreign = await add_user(database, mine), await add_user(database, theirs)
        async with database.transaction(mine) as session:
            assert {user.id for user in await session.exec(select(User))} == {own}
            assert (await session.exec(select(User).where(User.id == foreign))).first() is None
            await session.exec(update(User).values(name="changed"))
        async with database.transaction(theirs) as session:
            assert (await session.exec(select(User).where(User.id == foreign))).one().name == ""

    async def test_stamps_new_rows_and_refuses_foreign_ones(self, database: Database, tenant: MakeTenant) -> None:
        mine, theirs = await tenant(), await tenant()
        async with database.transaction(mine) as session:
            customer = Customer()
            session.add(customer)
            await session.flush()
            assert customer.tenant_id == mine
        with pytest.raises(NoTenant):
            async with database.transaction(mine) as session:
                session.add(Customer(tenant_id=theirs))

    async def test_refuses_to_run_without_a_tenant(self, database: Database) -> None:
        async with database._sessions() as session:
            with pytest.raises(NoTenant):
                await session.exec(select(User))

    async def test_global_rows_are_readable_and_not_writable(
        self, database: Database, database_urls: EmbeddedUrls, tenant: MakeTenant
    ) -> None:
        owner = Database(database_urls.owner, pool_size=2)
        async with owner.transaction(GLOBAL_TENANT) as session:
            prompt = PromptVersion(name=new_id().hex, version=1)
            session.add(prompt)
        await owner.engine.dispose()
        async with database.transaction(await tenant()) as session:
            found = (await session.exec(select(PromptVersion).where(PromptVersion.id == prompt.id))).one()
            assert found.tenant_id == GLOBAL_TENANT
            changed = await session.exec(update(PromptVersion).where(PromptVersion.id == prompt.id).values(name="x"))
            assert changed.rowcount == 0


class TestRowLevelSecurity:
    """The query layer's filter is off here: Postgres alone keeps the wall."""

    @pytest.fixture
    async def unfiltered(self, database_urls: EmbeddedUrls):  # type: ignore[no-untyped-def]
        async with open_database(database_urls.app, pool_size=4, tenant_filter=False) as database:
            yield database

    async def test_no_foreign_row_is_read_or_changed(self, unfiltered: Database, tenant: MakeTenant) -> None:
        mine, theirs = await tenant(), await tenant()
        own, foreign = await add_user(unfiltered, mine), await add_user(unfiltered, theirs)
        async with unfiltered.transaction(mine) as session:
            assert {user.id for user in await session.exec(select(User))} == {own}
            changed = await session.exec(update(User).where(User.id == foreign).values(name="changed"))
            assert changed.rowcount == 0

    async def test_no_foreign_row_is_written(self, unfiltered: Database, tenant: MakeTenant) -> None:
        mine, theirs = await tenant(), await tenant()
        async with unfiltered.connection(mine) as connection:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(
                    "insert into customers (id, tenant_id, email_verified, name, visitor_epoch) values (%s, %s, false, '', 0)",
                    (new_id(), theirs),
                )

    async def test_without_a_tenant_there_is_nothing(self, unfiltered: Database, tenant: MakeTenant) -> None:
        await add_user(unfiltered, await tenant())
        async with unfiltered.lookup() as connection:
            for table in ("users", "customers", "chat_messages", "facts", "tickets"):
                row = await (await connection.execute(f"select count(*) as n from {table}")).fetchone()
                assert row == {"n": 0}, table

    async def test_the_tenant_does_not_stay_on_the_connection(self, unfiltered: Database, tenant: MakeTenant) -> None:
        tenant_id = await tenant()
        await add_user(unfiltered, tenant_id)
        for _ in range(8):
            async with unfiltered.connection(tenant_id):
                pass
            async with unfiltered.lookup() as connection:
                row = await (await connection.execute("select count(*) as n from users")).fetchone()
                assert row == {"n": 0}

    async def test_one_that_a_function_entered_does_not_stay_either(
        self, unfiltered: Database, tenant: MakeTenant
    ) -> None:
        mine, theirs = await tenant(), await tenant()
        async with unfiltered.pool.connection() as connection:
            entered = await (await connection.execute("select enter_tenant(%s) as is_in", (mine,))).fetchone()
            left = await (await connection.execute("select current_tenant() as tenant")).fetchone()
        assert entered == {"is_in": True}
        assert left == {"tenant": None}
        async with unfiltered.connection(mine) as connection:
            other = await (await connection.execute("select enter_tenant(%s) as is_in", (theirs,))).fetchone()
            still = await (await connection.execute("select current_tenant() as tenant")).fetchone()
        assert other == {"is_in": False}
        assert still == {"tenant": mine}

    async def test_every_table_with_a_tenant_is_walled(self, unfiltered: Database) -> None:
        query = """
            select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
            join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
            where c.relkind in ('r', 'p') and not (c.relrowsecurity and exists (
                select 1 from pg_policy p where p.polrelid = c.oid))
        """
        async with unfiltered.lookup() as connection:
            open_tables = await (await connection.execute(query)).fetchall()
        assert open_tables == []

    async def test_lookup_functions_give_ids_only(self, unfiltered: Database) -> None:
        """SECURITY DEFINER runs past every wall, so what such a function returns is counted here."""
        query = """
            select p.proname, pg_get_function_result(p.oid) as result from pg_proc p
            join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'public' and p.prosecdef
        """
        async with unfiltered.lookup() as connection:
            rows = await (await connection.execute(query)).fetchall()
        assert rows
        for row in rows:
            if row["proname"] == "stored_embedders":  # names of models, the same for all
                continue
            words = set(row["result"].replace("TABLE(", "").replace(")", "").replace(",", "").split())
            assert words <= {"uuid", "boolean", "SETOF", "id"} | {word for word in words if word.endswith("_id")}


def person() -> dict[str, Any]:
    return {"email": f"{new_id().hex}@example.com", "role": "agent", "password_hash": "-"}


def reference() -> dict[str, Any]:
    return {
        "ref": "a",
        "title": "A",
        "version": 1,
        "passage_digest": "-",
        "quoted": "",
        "rank": 1,
        "score": 1.0,
        "source": "article",
    }


def file_of() -> dict[str, Any]:
    return {"uploaded_by": "-", "name": "-", "media_type": "text/plain", "size": 1, "sha256": "-"}


def asked() -> dict[str, Any]:
    return {"id": new_id(), "reason": "no_answer"}


def approval() -> dict[str, Any]:
    return {"approved_by": new_id(), "similarity": 1.0}


def case_of() -> dict[str, Any]:
    return {"ordinal": 1, "answer_id": new_id()}


HANGS_ON: dict[tuple[type[SQLModel], str], tuple[type[SQLModel], Callable[[], dict[str, Any]]]] = {
    (Customer, "user_id"): (User, dict),
    (Customer, "merged_into"): (Customer, dict),
    (ChatSession, "customer_id"): (Customer, dict),
    (ChatMessage, "session_id"): (ChatSession, lambda: {"n": 2, "author": "bot"}),
    (SessionEvent, "session_id"): (ChatSession, lambda: {"n": 1, "type": "step"}),
    (Fact, "customer_id"): (Customer, lambda: {"digest": "-"}),
    (Turn, "session_id"): (ChatSession, lambda: {"status": "completed"}),
    (ToolEffect, "turn_id"): (Turn, lambda: {"ordinal": 1, "tool": "x"}),
    (Ticket, "customer_id"): (Customer, lambda: {"number": 2, "subject": "-"}),
    (Ticket, "session_id"): (ChatSession, lambda: {"number": 2, "subject": "-"}),
    (TicketEvent, "ticket_id"): (Ticket, lambda: {"type": "x", "actor": "bot"}),
    (Handoff, "session_id"): (ChatSession, lambda: {"reason": "x"}),
    (Handoff, "ticket_id"): (Ticket, lambda: {"reason": "x"}),
    (Ticket, "assignee_id"): (User, lambda: {"number": 2, "subject": "-"}),
    (Ticket, "merged_into"): (Ticket, lambda: {"number": 2, "subject": "-"}),
    (Ticket, "duplicate_of"): (Ticket, lambda: {"number": 2, "subject": "-"}),
    (Handoff, "claimed_by"): (User, lambda: {"reason": "x"}),
    (Handoff, "assigned_to"): (User, lambda: {"reason": "x"}),
    (Attachment, "customer_id"): (Customer, file_of),
    (Attachment, "session_id"): (ChatSession, file_of),
    (Attachment, "ticket_id"): (Ticket, file_of),
    (Attachment, "message_id"): (ChatMessage, file_of),
    (Feedback, "session_id"): (ChatSession, lambda: {"kind": "csat", "value": 5}),
    (Feedback, "message_id"): (ChatMessage, lambda: {"kind": "thumb", "value": 1}),
    (WebhookDelivery, "endpoint_id"): (WebhookEndpoint, lambda: {"event_type": "x"}),
    (Reference, "message_id"): (ChatMessage, reference),
    (Reference, "draft_id"): (Draft, reference),
    (Draft, "ticket_id"): (Ticket, lambda: {"status": "rejected"}),
    (ApprovedReply, "draft_id"): (Draft, approval),
    (ApprovedReply, "ticket_id"): (Ticket, approval),
    (LearnedReply, "approved_reply_id"): (ApprovedReply, lambda: {"kind": "example", "title": "-"}),
    (LearnedReply, "ticket_id"): (Ticket, lambda: {"kind": "example", "title": "-"}),
    (LearnedReply, "customer_id"): (Customer, lambda: {"kind": "example", "title": "-"}),
    (ReplayCase, "replay_id"): (Replay, case_of),
    (ReplayCase, "session_id"): (ChatSession, case_of),
    (ReplayCase, "ticket_id"): (Ticket, case_of),
    (GuardrailEvent, "session_id"): (
        ChatSession, lambda: {"action": "x", "category": "x", "rule": "x", "reason": "x"}
    ),
    (ImportedFile, "import_id"): (KnowledgeImport, lambda: {"position": 1, "name": "-"}),
    (GapQuestion, "gap_id"): (Gap, asked),
    (GapQuestion, "session_id"): (ChatSession, asked),
    (GapQuestion, "turn_id"): (Turn, asked),
    (GapQuestion, "draft_id"): (Draft, asked),
    (ArticleVersion, "article_id"): (Article, lambda: {"version": 1, "title": "-", "content_hash": "-"}),
}  # fmt: skip
"""Every column that names another row of the tenant, that row's table, and what else the row needs."""


async def one_of_each(database: Database, tenant_id: UUID) -> dict[type[SQLModel], UUID]:
    """A row of every table that others refer to."""
    customer, user = Customer(), User(**person())
    session = ChatSession(customer_id=customer.id)
    ticket = Ticket(customer_id=customer.id, number=1, subject="-")
    draft, spare = Draft(ticket_id=ticket.id), Draft(ticket_id=ticket.id, status="rejected")
    rows = [
        user, customer, session, ChatMessage(session_id=session.id, n=1, author="bot"), Turn(session_id=session.id),
        ticket, spare, draft, ApprovedReply(draft_id=spare.id, ticket_id=ticket.id, **approval()),
        Article(ref="a", collection="", title="A", content_hash="-"),
        KnowledgeImport(kind="upload", requested_by="-"), Gap(embedder="-", centroid=b""),
        WebhookEndpoint(url="-", secret="-"), Replay(),
    ]  # fmt: skip
    async with database.transaction(tenant_id) as transaction:
        for row in rows:
            transaction.add(row)
            await transaction.flush()
    return {type(row): row.id for row in rows}


class TestForeignKeys:
    """Postgres checks them past row-level security, so the key itself holds the wall."""

    @pytest.mark.parametrize(
        ("model", "column"), HANGS_ON, ids=[f"{model.__name__}.{column}" for model, column in HANGS_ON]
    )
    async def test_nothing_hangs_on_another_tenants_row(
        self, database: Database, tenant: MakeTenant, model: type[SQLModel], column: str
    ) -> None:
        mine, theirs = await tenant(), await tenant()
        own, foreign = await one_of_each(database, mine), await one_of_each(database, theirs)
        referred, values = HANGS_ON[model, column]
        needed = {
            name: own[table] for (owner, name), (table, _) in HANGS_ON.items()
            if owner is model and not model.__table__.c[name].nullable
        }  # fmt: skip

        async def insert(rows: dict[type[SQLModel], UUID]) -> None:
            async with database.transaction(mine) as session:
                session.add(model(**{**needed, **values(), column: rows[referred]}))

        with pytest.raises(IntegrityError, match="foreign key"):
            await insert(foreign)
        await insert(own)

    async def test_the_table_above_names_every_reference_and_each_carries_the_tenant(self, database: Database) -> None:
        query = """
            select k.conrelid::regclass::text as name,
                   array(select attname::text from pg_attribute where attrelid = k.conrelid and attnum = any(k.conkey)
                         order by array_position(k.conkey, attnum)) as columns
            from pg_constraint k where k.contype = 'f' and k.confrelid <> 'tenants'::regclass
            and k.connamespace = 'public'::regnamespace and k.conrelid::regclass::text not like 'procrastinate%'
        """
        async with database.lookup() as connection:
            rows = await (await connection.execute(query)).fetchall()
        assert {(row["name"], *row["columns"]) for row in rows} == {
            (model.__tablename__, "tenant_id", column) for model, column in HANGS_ON
        }

    async def test_a_row_outlives_what_it_may_do_without(self, database: Database, tenant: MakeTenant) -> None:
        """`set null` clears the reference and leaves the tenant."""
        mine = await tenant()
        rows = await one_of_each(database, mine)
        async with database.transaction(mine) as session:
            ticket = Ticket(customer_id=rows[Customer], session_id=rows[ChatSession], number=2, subject="-")
            session.add(ticket)
        async with database.connection(mine) as connection:
            await connection.execute("delete from chat_sessions where id = %s", (rows[ChatSession],))
            left = await (await connection.execute("select * from tickets where id = %s", (ticket.id,))).fetchone()
            messages = await (await connection.execute("select count(*) as n from chat_messages")).fetchone()
        assert left
        assert (left["tenant_id"], left["session_id"]) == (mine, None)
        assert messages == {"n": 0}

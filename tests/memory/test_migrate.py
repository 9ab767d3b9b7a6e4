"""Setting a database up: many processes at once, and under which roles."""

import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from memory.database import Database, open_database
from memory.embedded import APP, EmbeddedUrls
from memory.errors import Misconfigured
from memory.migrate import HEAD, migrate, sqlalchemy_url
from memory.models import ChatSession, Customer, SessionEvent
from memory.upgrade import config
from tests.conftest import Cluster

MakeTenant = Callable[..., Awaitable[UUID]]
SCRIPT = "import sys; from memory.migrate import migrate; migrate(sys.argv[1], sys.argv[2])"


@pytest.fixture
def empty(postgres: Cluster) -> EmbeddedUrls:
    """A database with the extension and nothing else."""
    name = f"e_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.named("postgres", postgres.urls.superuser), autocommit=True) as connection:
        connection.execute(f"create database {name} owner helpdesk_owner")  # type: ignore[call-overload]
    urls = EmbeddedUrls(
        app=postgres.named(name, postgres.urls.app),
        owner=postgres.named(name, postgres.urls.owner),
        superuser=postgres.named(name, postgres.urls.superuser),
    )
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute("create extension vector")
    return urls


class TestMigrate:
    async def test_eight_processes_at_once_all_come_up(self, empty: EmbeddedUrls) -> None:
        async def start() -> int:
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", SCRIPT, empty.owner, APP)
            return await asyncio.wait_for(process.wait(), 60)

        assert await asyncio.gather(*(start() for _ in range(8))) == [0] * 8
        async with open_database(empty.app) as database, database.lookup() as connection:
            row = await (await connection.execute("select revision from schema_ready")).fetchone()
        assert row is not None

    def test_a_second_run_changes_nothing(self, empty: EmbeddedUrls) -> None:
        assert migrate(empty.owner, APP) is True
        assert migrate(empty.owner, APP) is False

    def test_a_database_of_the_first_schema_keeps_its_rows(self, empty: EmbeddedUrls) -> None:
        engine = sa.create_engine(sqlalchemy_url(empty.owner), poolclass=sa.NullPool)
        with engine.connect() as connection:
            command.upgrade(config(connection), "0001")
            connection.commit()
        tenant, customer, ticket = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
        with psycopg.connect(empty.owner) as rows:
            rows.execute(
                "insert into tenants (id, slug, name, status, widget_key) values (%s, 'a', 'A', 'active', 'k')",
                [tenant],
            )
            rows.execute(
                "insert into customers (id, tenant_id, email_verified, name, visitor_epoch) values (%s, %s, false, '', 0)",
                [customer, tenant],
            )
            rows.execute(
                "insert into tickets (id, tenant_id, number, customer_id, subject, content, department, status, severity,"
                " tier, opened_by) values (%s, %s, 1, %s, 'Old', 'words', '', 'open', 'LOW', 1, 'customer')",
                [ticket, tenant, customer],
            )
        assert migrate(empty.owner, APP) is True
        with psycopg.connect(empty.owner) as rows:
            found = rows.execute("select subject, priority, version, tsv::text from tickets").fetchall()
        assert found == [("Old", "normal", 1, "'old':1 'word':2")]

    @pytest.mark.parametrize("stood_in", ["0008", "0009"])
    def test_wherever_it_stopped_it_gets_the_functions_of_a_turn(self, empty: EmbeddedUrls, stood_in: str) -> None:
        """For some hours the functions of 0009 stood in 0008."""
        engine = sa.create_engine(sqlalchemy_url(empty.owner), poolclass=sa.NullPool)
        with engine.connect() as connection:
            command.upgrade(config(connection), stood_in)
            connection.execute(sa.text("update alembic_version set version_num = '0008'"))
            connection.commit()
        assert migrate(empty.owner, APP) is True
        with psycopg.connect(empty.app) as connection:
            visitors = connection.execute(
                "select * from visitor_of_token(%s, %s, 0)", (uuid.uuid4(), uuid.uuid4())
            ).fetchall()
            held = connection.execute(
                "select release_text(%s, %s, 1, 0, 'words')", (uuid.uuid4(), uuid.uuid4())
            ).fetchone()
        assert visitors == []
        assert held == (False,)

    def test_models_and_migrations_agree(self, database_urls: EmbeddedUrls) -> None:
        engine = sa.create_engine(sqlalchemy_url(database_urls.superuser), poolclass=sa.NullPool)
        with engine.connect() as connection:
            command.check(config(connection))
        assert ScriptDirectory.from_config(config()).get_current_head() == HEAD


class TestRoles:
    async def test_a_role_that_bypasses_row_level_security_is_refused(self, database_urls: EmbeddedUrls) -> None:
        for url in (database_urls.superuser, database_urls.owner):
            with pytest.raises(Misconfigured, match="bypasses row-level security"):
                async with open_database(url):
                    pass

    @pytest.mark.parametrize("grant", ["", " with inherit false"])
    async def test_a_member_of_the_owner_is_refused_too(self, database_urls: EmbeddedUrls, grant: str) -> None:
        """It may do what the owner may, at once or after `set role`."""
        name = f"member_{uuid.uuid4().hex}"
        with psycopg.connect(database_urls.superuser, autocommit=True) as connection:
            connection.execute(f"create role {name} login")
            connection.execute(f"grant helpdesk_owner to {name}{grant}")
        with pytest.raises(Misconfigured, match="bypasses row-level security"):
            async with open_database(database_urls.app.replace(APP, name, 1)):
                pass

    async def test_the_application_cannot_change_the_structure(self, database: Database) -> None:
        async with database.lookup() as connection:
            for statement in (
                "create table x (a int)",
                "drop table users",
                "alter table users disable row level security",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await connection.execute(statement)

    async def test_histories_only_grow(self, database: Database) -> None:
        async with database.lookup() as connection:
            for table in ("audit_log", "session_events", "kb_article_versions"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await connection.execute(f"update {table} set created_at = now()")
            for table in ("audit_log", "session_events"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await connection.execute(f"delete from {table}")

    async def test_a_history_ends_with_its_session(self, database: Database, tenant: MakeTenant) -> None:
        """Postgres carries `on delete cascade` out as the tables' owner."""
        tenant_id = await tenant()
        async with database.transaction(tenant_id) as rows:
            customer = Customer()
            rows.add(customer)
            await rows.flush()
            session = ChatSession(customer_id=customer.id)
            rows.add(session)
            await rows.flush()
            rows.add(SessionEvent(session_id=session.id, n=1, type="step"))
        async with database.connection(tenant_id) as connection:
            await connection.execute("delete from chat_sessions where id = %s", (session.id,))
            left = await (await connection.execute("select count(*) as n from session_events")).fetchone()
        assert left == {"n": 0}

"""The walls between tenants: the query layer's, and row-level security's where that one is switched off."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import psycopg
import pytest
from sqlmodel import select, update

from memory.database import Database, open_database
from memory.embedded import EmbeddedUrls
from memory.errors import NoTenant
from memory.models import GLOBAL_TENANT, Customer, PromptVersion, User, new_id

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
            assert words <= {"uuid", "boolean", "SETOF", "id", "tenant_id", "session_id", "turn_id"}, row["proname"]

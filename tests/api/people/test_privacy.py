"""A customer's data in one archive, and gone: a word planted wherever a customer leaves something, then looked for
in every row of every table and in every file."""

import asyncio
import json
import secrets
import zipfile
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent.replays.running import run_replay
from kbs.articles.passage_making import Document, cut, with_vectors
from kbs.index import replace
from memory.checkpoints import thread_id
from memory.errors import Conflict, NotFound
from memory.models import Fact, LearnedReply, Tenant, WebhookEndpoint, new_id
from memory.tenancy import Principal, Role
from tests.product import Product, Visitor
from tests.reply_desk import work
from tools.privacy.belongings import find_customer
from tools.privacy.erasing import Stores, erase_customer
from tools.privacy.exporting import export_customer

Headers = dict[str, str]


async def left_behind(product: Product, tenant: Tenant, visitor: Visitor, colleague: Headers, word: str) -> UUID:
    """Everything that a customer can leave, each with the word in it; the customer's id."""
    http, headers = product.http, visitor.headers
    [row] = await product.rows(tenant, "select customer_id from chat_sessions where id = %s", visitor.session_id)
    customer: UUID = row["customer_id"]
    form = [("message", (None, f"How do I reset the mailbox password of {word}?")),
            ("attachments", (f"{word}.txt", f"my log says {word}".encode()))]  # fmt: skip
    sent = await http.post(f"{visitor.url}/messages", files=form, headers={**headers, "Idempotency-Key": word})
    assert sent.status_code == 200, sent.text
    await http.patch(visitor.url, headers=headers, json={"attributes": {"plan": word}})
    judged = {"message_id": sent.json()["message_id"], "kind": "thumb", "value": -1, "comment": word}
    answer = await http.post(f"{visitor.url}/feedback", headers=headers, json=judged)
    assert answer.status_code == 201, answer.text
    asked = await http.post(f"{visitor.url}/escalate", headers=headers, json={"reason": f"{word} is angry"})
    handoff, ticket = asked.json()["handoff_id"], asked.json()["ticket_id"]
    for what, said in (("messages", f"Dear {word}"), ("notes", f"{word} is a regular")):
        done = await http.post(f"/api/v1/handoffs/{handoff}/{what}", headers=colleague, json={"message": said})
        assert done.status_code == 201, done.text
    body = {"subject": f"About {word}", "content": word, "session_id": visitor.session_id}
    opened = await http.post("/api/v1/tickets", headers={**headers, "Idempotency-Key": word}, json=body)
    assert opened.status_code == 201, opened.text
    await worked_on(product, tenant, [ticket, opened.json()["id"]], word)
    learned = LearnedReply(
        kind="example", title=word, text=f"{word} asked", ticket_id=UUID(ticket), customer_id=customer
    )
    async with product.resources.database.transaction(tenant.id) as session:
        session.add(Fact(customer_id=customer, text=f"is called {word}", digest=word))
        session.add(learned)
    document = Document(kind="example", collection="", ref=str(learned.id), title=word, body=learned.text)
    rows, _ = await with_vectors(cut(document), product.resources.embedder, {})
    await replace(product.resources.index, product.resources.database, tenant.id, "example", document.ref, rows)
    return customer


async def worked_on(product: Product, tenant: Tenant, tickets: list[str], word: str) -> None:
    """What colleagues make of a customer's words, each with the word in it: drafts, a lesson, a gap, a replay, a trial."""
    http, parts = product.http, product.resources
    admin = await product.staff(tenant, Role.ADMIN)

    async def post(path: str, **body: Any) -> dict[str, Any]:
        answer = await http.post(f"/api/v1{path}", headers={**admin, "Idempotency-Key": new_id().hex}, json=body)
        assert answer.status_code < 300, answer.text
        found: dict[str, Any] = answer.json()
        return found

    draft = await post("/replies/generate", ticket_id=tickets[0], instruction=f"Greet {word}")
    approval = {
        "draft_id": draft["id"],
        "version": 1,
        "content": f"Dear {word}, as you said: {word}.",
        "edit_notes": word,
    }
    await post("/replies/approve", **approval, even_though_outdated=True)
    draft = await post("/replies/generate", ticket_id=tickets[1])
    await post(f"/replies/{draft['id']}/reject", reason=f"{word} knows that")
    await work(product, tenant)
    gaps = await http.get("/api/v1/kb/gaps?min_size=1", headers=admin)
    assert word in gaps.text
    replay = await post("/replays")
    await run_replay(parts, tenant.id, UUID(replay["id"]))
    await post("/playground", message=f"How do I reset the password of {word}?")
    await post("/playground", ticket={"subject": "Mail", "content": f"How do I reset the password of {word}?"})


async def tables_with(product: Product, word: str) -> set[str]:
    """Every table of the database, the libraries' too, with a row that holds the word, as text or as bytes."""
    found = set()
    async with product.owner.lookup() as connection:
        tables = await connection.execute(
            "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
        )
        for (name,) in [tuple(row.values()) for row in await tables.fetchall()]:
            query = f'select 1 from "{name}" x where x::text ilike any(%s) limit 1'
            if await (await connection.execute(query, ([f"%{word}%", f"%{word.encode().hex()}%"],))).fetchone():
                found.add(name)
    return found


def files_with(product: Product, tenant: Tenant, word: str) -> list[Path]:
    folder = product.resources.files.folder / str(tenant.id)
    return [path for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


@pytest.fixture
def word() -> str:
    return f"zz{secrets.token_hex(6)}"


@pytest.fixture
def stores(product: Product) -> Stores:
    resources = product.resources
    return Stores(
        database=resources.database, knowledge=resources.knowledge, index=resources.index, files=resources.files
    )


def admin_of(tenant: Tenant) -> Principal:
    return Principal(tenant_id=tenant.id, role=Role.ADMIN)


WAITS = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
BEGIN = """
insert into chat_sessions
select (jsonb_populate_record(s, jsonb_build_object('id', %(id)s::text))).* from chat_sessions s
where tenant_id = current_tenant()
"""
REMEMBER = """
insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata)
select %(thread)s, checkpoint_ns, checkpoint_id, checkpoint, metadata from checkpoints limit 1
"""


class TestErasing:
    async def test_nothing_of_them_is_left_and_nobody_else_loses_a_word(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor, stores: Stores, word: str
    ) -> None:
        async with product.resources.database.transaction(tenant.id) as session:
            session.add(WebhookEndpoint(url="https://hooks.invalid/", events=["*"], secret="-"))
        other = await product.visitor(tenant)
        others = word[::-1]
        customer_id = await left_behind(product, tenant, customer, ada, word)
        await left_behind(product, tenant, other, ada, others)
        before = await tables_with(product, word)
        assert {"chat_messages", "attachments", "facts", "feedback", "handoffs", "learned_replies", "tickets",
                "ticket_events", "webhook_deliveries", "session_events", "drafts", "approved_replies", "replay_cases"
                } <= before  # fmt: skip
        assert "audit_log" not in before  # which nobody may change
        assert await product.rows(tenant, "select 1 from kb_gap_questions")
        assert any(name.startswith("passages_p") for name in before)
        assert files_with(product, tenant, word)
        kept = await tables_with(product, others)

        rows = await erase_customer(stores, admin_of(tenant), customer_id)
        assert rows > 10
        assert await tables_with(product, word) == set()
        assert files_with(product, tenant, word) == []
        assert await tables_with(product, others) == kept
        assert files_with(product, tenant, others)
        assert (await product.http.get(customer.url, headers=customer.headers)).status_code == 401
        threads = await product.rows(
            tenant, "select 1 from checkpoints where thread_id like %s", f"%{customer.session_id}"
        )
        assert threads == []
        [told] = await product.rows(tenant, "select object_id, changes from audit_log where action = 'customer.erased'")
        assert (told["object_id"], told["changes"]["customers"]) == (str(customer_id), 1)
        with pytest.raises(NotFound):
            await erase_customer(stores, admin_of(tenant), customer_id)

    async def test_in_mid_answer_the_answer_ends_too(
        self, product: Product, tenant: Tenant, customer: Visitor, stores: Stores
    ) -> None:
        [row] = await product.rows(tenant, "select customer_id from chat_sessions")
        await product.http.post(
            f"{customer.url}/messages", json={"message": "How do I reset my mailbox password?"},
            headers={**customer.headers, "Prefer": "respond-async"},
        )  # fmt: skip
        await erase_customer(stores, admin_of(tenant), row["customer_id"])
        async with asyncio.timeout(10):  # not by `drain`, after which this process takes up no turn of any test
            while product.resources.turns.running:
                await asyncio.sleep(0.02)
        for table in ("customers", "chat_sessions", "chat_messages", "turns", "facts"):
            assert await product.rows(tenant, f"select 1 from {table}") == []

    async def test_a_conversation_that_begins_meanwhile_goes_too(
        self, product: Product, tenant: Tenant, customer: Visitor, stores: Stores
    ) -> None:
        await customer.ask("How do I reset my mailbox password?")
        [row] = await product.rows(tenant, "select customer_id from chat_sessions")
        begun, database = new_id(), product.resources.database
        async with product.owner.connection(tenant.id) as owner:
            await owner.execute("select 1 from customers where id = %s for share", (row["customer_id"],))
            erasing = asyncio.create_task(erase_customer(stores, admin_of(tenant), row["customer_id"]))
            async with asyncio.timeout(10), database.lookup() as connection:
                while not await (await connection.execute(WAITS)).fetchone():
                    await asyncio.sleep(0.02)
            await owner.execute(BEGIN, {"id": str(begun)})
            await owner.execute(REMEMBER, {"thread": thread_id(tenant.id, begun)})
        await erasing
        assert await product.rows(tenant, "select 1 from chat_sessions") == []
        assert await product.rows(tenant, "select 1 from checkpoints where thread_id like %s", f"{tenant.id}%") == []

    async def test_who_has_an_account_loses_it(self, product: Product, tenant: Tenant, stores: Stores) -> None:
        body = {"email": "eve@example.com", "password": "correct horse battery", "name": "Eve"}
        made = await product.http.post("/api/v1/auth/register", json=body, headers={"X-Widget-Key": tenant.widget_key})
        assert made.status_code == 201, made.text
        [user] = await product.rows(tenant, "select id from users where email = %s", body["email"])
        [row] = await product.rows(tenant, "select id from customers where user_id = %s", user["id"])
        await erase_customer(stores, admin_of(tenant), row["id"])
        assert await product.rows(tenant, "select 1 from users where email = %s", body["email"]) == []


class TestExporting:
    async def test_everything_of_theirs_and_nothing_of_others_or_of_colleagues_among_themselves(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor, word: str, tmp_path: Path
    ) -> None:
        other = await product.visitor(tenant)
        others = word[::-1]
        customer_id = await left_behind(product, tenant, customer, ada, word)
        await left_behind(product, tenant, other, ada, others)
        path = tmp_path / "theirs.zip"
        resources = product.resources
        await export_customer(resources.database, resources.files, tenant.id, customer_id, path)
        with zipfile.ZipFile(path) as archive:
            document: dict[str, list[dict[str, Any]]] = json.loads(archive.read("customer.json"))
            [file] = [name for name in archive.namelist() if name.startswith("files/")]
            assert archive.read(file).decode() == f"my log says {word}"
        assert {"customers", "chat_sessions", "chat_messages", "tickets", "ticket_events", "facts", "attachments",
                "feedback", "handoffs", "learned_replies", "drafts", "approved_replies", "replay_cases",
                "kb_gap_questions"} <= set(document)  # fmt: skip
        said = json.dumps(document)
        assert f"How do I reset the mailbox password of {word}?" in said
        for absent in (others, f"{word} is a regular", "password_hash", str(tenant.id)):
            assert absent not in said
        with pytest.raises(FileExistsError):
            await export_customer(resources.database, resources.files, tenant.id, customer_id, path)

    async def test_another_tenants_customer_is_not_found(
        self, product: Product, tenant: Tenant, customer: Visitor, tmp_path: Path
    ) -> None:
        [row] = await product.rows(tenant, "select customer_id from chat_sessions")
        abroad = await product.tenant()
        with pytest.raises(NotFound):
            await export_customer(
                product.resources.database, product.resources.files, abroad.id, row["customer_id"], tmp_path / "x.zip"
            )
        assert not (tmp_path / "x.zip").exists()


class TestFinding:
    async def test_by_id_address_or_the_sites_own_id(self, product: Product, tenant: Tenant) -> None:
        async with product.resources.database.connection(tenant.id) as connection:
            for email, external in (("a@example.com", "c-1"), ("b@example.com", "c-2"), ("b@example.com", "c-3")):
                await connection.execute(
                    "insert into customers (id, tenant_id, email, external_id, email_verified, name, visitor_epoch)"
                    " values (gen_random_uuid(), %s, %s, %s, true, '', 0)", (tenant.id, email, external),
                )  # fmt: skip
            first = await find_customer(connection, "A@example.com")
            assert await find_customer(connection, "c-1") == first == await find_customer(connection, str(first))
            with pytest.raises(Conflict, match="more than one customer"):
                await find_customer(connection, "b@example.com")
            with pytest.raises(NotFound):
                await find_customer(connection, "nobody")

"""What every knowledge index must do, tried on each of them as the application's role."""

import asyncio
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest
import pytest_asyncio

from kbs.articles.passage_making import digest_of
from kbs.index import Candidate, KnowledgeIndex, Postgres, Row, Scope, Validity, remove, replace, replacing
from kbs.indexes.chroma import ChromaIndex
from kbs.indexes.chroma_store import open_chroma_folder, open_chroma_server
from kbs.indexes.pgvector import PgvectorIndex
from kbs.passages import Source
from memory.database import Database, open_owner
from memory.embedded import EmbeddedUrls
from memory.errors import Misconfigured, Unavailable
from memory.models import GLOBAL_TENANT, new_id
from tests.kbs.words import WordEmbedder

NewTenant = Callable[..., Awaitable[UUID]]
CHROMA = Path(sys.executable).with_name("chroma")


@pytest.fixture(scope="session")
def chroma_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    if not CHROMA.exists():
        pytest.skip("no chroma server in this environment")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("chroma-server")
    command = [CHROMA, "run", "--path", folder, "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield "127.0.0.1", port
    finally:
        server.terminate()
        server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["pgvector", "chroma folder", "chroma server"])
async def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """What Chroma keeps its collections in; None with pgvector."""
    if request.param == "pgvector":
        yield None
    elif request.param == "chroma folder":
        async with open_chroma_folder(tmp_path_factory.mktemp("chroma")) as opened:
            yield opened
    else:
        async with open_chroma_server(*request.getfixturevalue("chroma_address")) as opened:
            yield opened


@pytest.fixture
def index(database: Database, store: Any, embedder: WordEmbedder) -> KnowledgeIndex:
    named = {"embedder": embedder.id, "dimensions": embedder.dimensions}
    if store is None:
        return PgvectorIndex(database, **named)
    return ChromaIndex(database, store, **named, name=f"t{time.time_ns()}")


@dataclass
class Shelf:
    """Puts passages in and looks for them, in one line each."""

    index: KnowledgeIndex
    database: Database
    embedder: WordEmbedder
    tenant_id: UUID
    owner_url: str

    def rows(self, ref: str, texts: Sequence[str], **fields: Any) -> list[Row]:
        kind = fields.pop("kind", "article")
        return [
            Row(
                id=new_id(), kind=kind, collection=fields.get("collection", "house"), ref=ref, article_id=None, version=1,
                ordinal=n, title=ref, heading="", text=text, digest=digest_of(text), vector=self.embedder._vector(text),
                **{name: value for name, value in fields.items() if name != "collection"},
            )
            for n, text in enumerate(texts)
        ]  # fmt: skip

    async def put(self, ref: str, *texts: str, **fields: Any) -> None:
        rows = self.rows(ref, texts, **fields)
        await replace(self.index, self.database, self.tenant_id, fields.get("kind", "article"), ref, rows)

    async def put_global(self, ref: str, *texts: str, **fields: Any) -> None:
        async with self.owner() as owner:
            await replace(self.index, owner, GLOBAL_TENANT, "article", ref, self.rows(ref, texts, **fields))

    @asynccontextmanager
    async def owner(self) -> AsyncIterator[Postgres]:
        async with open_owner(self.owner_url) as owner:
            yield owner

    async def search(
        self, text: str, *, dense: bool = True, lexical: bool = True, k: int = 10, **scope: Any
    ) -> tuple[Candidate, ...]:
        return await self.index.candidates(
            Scope(**{"tenant_id": self.tenant_id, **scope}),
            vector=self.embedder._vector(text) if dense else None, text=text if lexical else None, k=k,
        )  # fmt: skip

    async def refs(self, text: str, **how: Any) -> set[str]:
        return {each.passage.ref for each in await self.search(text, **how)}


@pytest_asyncio.fixture(loop_scope="session")
async def shelf(
    index: KnowledgeIndex, database: Database, embedder: WordEmbedder, tenant: NewTenant, database_urls: EmbeddedUrls
) -> Shelf:
    return Shelf(index, database, embedder, await tenant(), database_urls.owner)


class TestFinding:
    async def test_each_half_finds_by_itself(self, shelf: Shelf) -> None:
        await shelf.put("mail", "reset the mailbox password")
        await shelf.put("dns", "edit a record of the zone")
        question = shelf.embedder._vector("mailbox password")
        found = await shelf.search("mailbox password", lexical=False)
        near = max(found, key=lambda each: float(each.vector @ question))
        assert near.passage.ref == "mail"
        assert await shelf.refs("mailbox password", dense=False) == {"mail"}

    async def test_a_candidate_is_the_whole_passage(self, shelf: Shelf) -> None:
        await shelf.put("mail", "reset the mailbox password", audience=("operator",), language="en")
        (found,) = await shelf.search("mailbox", audience=frozenset({"operator"}))
        passage = found.passage
        assert (passage.source, passage.ref, passage.title) == (Source.TENANT_KB, "mail", "mail")
        assert (passage.text, passage.digest) == ("reset the mailbox password", digest_of("reset the mailbox password"))
        assert np.allclose(found.vector, shelf.embedder._vector("reset the mailbox password"), atol=1e-3)
        assert 0 < found.lexical <= 1

    async def test_the_vector_comes_also_with_what_only_the_words_found(self, shelf: Shelf) -> None:
        await shelf.put("mail", "reset the mailbox password")
        (found,) = await shelf.search("mailbox", dense=False)
        assert np.allclose(found.vector, shelf.embedder._vector("reset the mailbox password"), atol=1e-3)

    async def test_k_limits_each_half_of_each_source(self, shelf: Shelf) -> None:
        await shelf.put("mail", *(f"mailbox number {n}" for n in range(9)))
        await shelf.put("reply", *(f"mailbox reply {n}" for n in range(9)), kind="example")
        found = await shelf.search("mailbox", lexical=False, k=3)
        assert [each.passage.source for each in found].count(Source.TENANT_KB) == 3
        assert [each.passage.source for each in found].count(Source.EXAMPLE) == 3

    async def test_nothing_stored_nothing_found(self, shelf: Shelf) -> None:
        assert await shelf.search("mailbox") == ()
        assert await shelf.index.count(shelf.tenant_id) == 0


class TestWords:
    async def test_are_alternatives_and_stemmed(self, shelf: Shelf) -> None:
        await shelf.put("mail", "the mailboxes were reset")
        assert await shelf.refs("how can I reset a mailbox of a discontinued reseller?", dense=False) == {"mail"}

    async def test_a_rare_word_counts_more_than_a_common_one(self, shelf: Shelf) -> None:
        for n in range(12):
            await shelf.put(f"common-{n}", "restart the server and wait")
        await shelf.put("rare", "the quota of the server")
        found = await shelf.search("server quota", dense=False)
        assert max(found, key=lambda each: each.lexical).passage.ref == "rare"

    async def test_parts_of_names_are_found(self, shelf: Shelf) -> None:
        await shelf.put("codes", "ENV-104 means that wp-config.php at mail.example.com is missing")
        for text in ("ENV 104", "env-104", "wp-config", "mail.example.com", "example"):
            assert await shelf.refs(text, dense=False) == {"codes"}, text

    async def test_a_passage_is_read_in_its_own_language(self, shelf: Shelf) -> None:
        await shelf.put("de", "Die Postfächer werden zurückgesetzt", language="de")
        await shelf.put("pl", "Skrzynki pocztowe", language="pl")
        assert await shelf.refs("Postfach zurücksetzen", dense=False) == {"de"}
        assert await shelf.refs("skrzynki", dense=False) == {"pl"}

    @pytest.mark.parametrize("text", ["'", "a' | b:* & !c", "\\", "<->", "()", "the", "🦊", "x" * 50_000, "a " * 5000])
    async def test_no_text_is_an_error(self, shelf: Shelf, text: str) -> None:
        await shelf.put("mail", "reset the mailbox password")
        assert await shelf.refs(text, dense=False) <= {"mail"}


class TestWalls:
    async def test_another_tenants_passages_are_never_found(self, shelf: Shelf, tenant: NewTenant) -> None:
        await shelf.put("secret", "the mailbox password of the other tenant")
        shelf.tenant_id = await tenant()
        assert await shelf.refs("the mailbox password of the other tenant") == set()

    async def test_the_four_sources_stay_apart(self, shelf: Shelf) -> None:
        for kind in ("article", "example", "correction"):
            await shelf.put(f"the-{kind}", "mailbox password", kind=kind)
        await shelf.put_global("the-global", "mailbox password", collection="walls")
        sources = {
            Source.GLOBAL_KB: "the-global", Source.TENANT_KB: "the-article",
            Source.EXAMPLE: "the-example", Source.CORRECTION: "the-correction",
        }  # fmt: skip
        for source, ref in sources.items():
            assert await shelf.refs("mailbox", sources=frozenset({source}), collections=("walls",)) == {ref}
        assert await shelf.refs("mailbox", collections=("walls",)) == set(sources.values())

    async def test_a_global_collection_is_found_where_it_is_enabled(self, shelf: Shelf) -> None:
        await shelf.put_global("hosting-dns", "edit the zone", collection="zones")
        assert await shelf.refs("zone", collections=("zones",)) == {"hosting-dns"}
        assert await shelf.refs("zone", collections=("others",)) == set()
        assert await shelf.refs("zone") == set()

    async def test_an_audience_sees_its_own_and_everyones(self, shelf: Shelf) -> None:
        await shelf.put("all", "reset the machine")
        await shelf.put("instructors", "reset the machine of a trainee", audience=("instructor", "operator"))
        assert await shelf.refs("reset machine") == {"all"}
        assert await shelf.refs("reset machine", audience=frozenset({"trainee"})) == {"all"}
        assert await shelf.refs("reset machine", audience=frozenset({"instructor", "x"})) == {"all", "instructors"}
        assert await shelf.refs("reset machine", audience=None) == {"all", "instructors"}

    async def test_dates_hold(self, shelf: Shelf) -> None:
        now = datetime.now(UTC)
        await shelf.put("past", "refund policy", effective_until=now - timedelta(hours=1))
        await shelf.put("now", "refund policy", effective_from=now - timedelta(hours=1))
        await shelf.put("later", "refund policy", effective_from=now + timedelta(hours=1))
        assert await shelf.refs("refund policy", audience=None) == {"now"}

    async def test_what_may_not_be_seen_takes_no_places(self, shelf: Shelf) -> None:
        for n in range(30):
            await shelf.put(
                f"hidden-{n}", "mailbox password", active=n % 2 == 0, audience=("staff",) if n % 2 == 0 else ()
            )
        await shelf.put("seen", "mailbox settings")
        assert await shelf.refs("mailbox password", k=3) == {"seen"}

    async def test_the_application_cannot_write_global_passages(self, shelf: Shelf) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await replace(shelf.index, shelf.database, GLOBAL_TENANT, "article", "x", shelf.rows("x", ["text"]))


class TestWriting:
    async def test_replace_leaves_nothing_of_the_old_passages(self, shelf: Shelf) -> None:
        await shelf.put("mail", "one mailbox", "two mailboxes", "three mailboxes")
        await shelf.put("mail", "webmail only")
        assert [each.passage.text for each in await shelf.search("mailbox webmail")] == ["webmail only"]
        assert await shelf.index.count(shelf.tenant_id) == 1

    async def test_replace_and_remove_touch_nothing_else(self, shelf: Shelf) -> None:
        await shelf.put("mail", "mailbox")
        await shelf.put("mail", "mailbox example", kind="example")
        await shelf.put("dns", "zone")
        await remove(shelf.index, shelf.database, shelf.tenant_id, "article", ["mail"])
        assert await shelf.refs("mailbox zone") == {"mail", "dns"}
        assert await shelf.index.count(shelf.tenant_id) == 2
        assert await shelf.refs("mailbox", sources=frozenset({Source.TENANT_KB})) == {"dns"}

    async def test_switching_off_and_on(self, shelf: Shelf) -> None:
        await shelf.put("old", "refund policy")

        async def switch(validity: Validity) -> set[str]:
            async with shelf.database.connection(shelf.tenant_id) as connection:
                await shelf.index.switch(connection, shelf.tenant_id, {"old": validity, "unknown": Validity()})
            await shelf.index.settle(shelf.tenant_id, "article", ["old"])
            return await shelf.refs("refund")

        assert await switch(Validity(active=False)) == set()
        assert await switch(Validity(active=True)) == {"old"}
        assert await switch(Validity(until=datetime(2020, 1, 1, tzinfo=UTC))) == set()
        assert await switch(Validity()) == {"old"}

    async def test_a_transaction_that_fails_changes_nothing(self, shelf: Shelf) -> None:
        await shelf.put("mail", "mailbox as it was")
        with pytest.raises(RuntimeError, match="the article could not be saved"):
            async with replacing(
                shelf.index, shelf.database, shelf.tenant_id, "article", "mail", shelf.rows("mail", ["mailbox changed"])
            ):
                raise RuntimeError("the article could not be saved")
        assert [each.passage.text for each in await shelf.search("mailbox")] == ["mailbox as it was"]
        await shelf.put("mail", "mailbox at last")
        assert await shelf.index.count(shelf.tenant_id) == 1

    async def test_a_write_bumps_the_revision_and_another_tenants_stays(self, shelf: Shelf, tenant: NewTenant) -> None:
        async def revision(tenant_id: UUID) -> int:
            async with shelf.database.connection(tenant_id) as connection:
                cursor = await connection.execute(
                    "select coalesce(max(revision), 0) as n from knowledge_revisions where tenant_id = %s", (tenant_id,)
                )
                row = await cursor.fetchone()
            return int(row["n"]) if row else 0

        other = await tenant()
        before = await revision(shelf.tenant_id)
        await shelf.put("mail", "mailbox")
        after = await revision(shelf.tenant_id)
        await remove(shelf.index, shelf.database, shelf.tenant_id, "article", ["mail"])
        assert before < after < await revision(shelf.tenant_id)
        assert await revision(other) == 0

    async def test_stored_vectors_are_given_back_by_text(self, shelf: Shelf) -> None:
        await shelf.put("mail", "one", "two")
        found = await shelf.index.vectors(shelf.tenant_id, "article", "mail")
        assert set(found) == {("mail", "", "one"), ("mail", "", "two")}
        assert np.allclose(found["mail", "", "two"], shelf.embedder._vector("two"), atol=1e-3)
        assert await shelf.index.vectors(shelf.tenant_id, "example", "mail") == {}

    async def test_clear_empties_one_tenant(self, shelf: Shelf, tenant: NewTenant) -> None:
        await shelf.put("mail", "mailbox")
        here, shelf.tenant_id = shelf.tenant_id, await tenant()
        await shelf.put("mail", "mailbox")
        async with shelf.database.connection(here) as connection:
            await shelf.index.clear(connection, here)
        assert await shelf.index.count(here) == 0
        assert await shelf.index.count(shelf.tenant_id) == 1
        shelf.tenant_id = here
        await shelf.put("mail", "mailbox again")
        assert await shelf.refs("mailbox") == {"mail"}

    async def test_searches_during_writes_see_the_old_or_the_new(self, shelf: Shelf) -> None:
        await shelf.put("mail", "mailbox 0")

        async def write() -> None:
            for n in range(1, 8):
                await shelf.put("mail", f"mailbox {n}")

        async def look() -> list[int]:
            return [len(await shelf.search("mailbox")) for _ in range(12)]

        _, seen = await asyncio.gather(write(), look())
        assert set(seen) == {1}


ANOTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from kbs.indexes.chroma_store import open_chroma_folder

async def main():
    async with open_chroma_folder(Path(sys.argv[1])):
        print("opened")

asyncio.run(main())
"""


async def test_a_folder_of_chroma_is_held_by_one_process(tmp_path: Path) -> None:
    async def another() -> tuple[str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ANOTHER_PROCESS, tmp_path / "chroma", stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        return out.decode(), err.decode()

    async with open_chroma_folder(tmp_path / "chroma"):
        _, refusal = await another()
        assert "another process holds the knowledge index" in refusal
    opened, _ = await another()
    assert opened == "opened\n"


async def test_a_missing_chroma_server_is_named() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        async with open_chroma_server("127.0.0.1", 9):
            pass


async def test_an_embedder_without_a_table_is_a_misconfiguration(database: Database) -> None:
    with pytest.raises(Misconfigured, match="768"):
        PgvectorIndex(database, embedder="x", dimensions=768)

"""A folder becomes a collection, and stays one: by checksum, in versions, with what replaces what."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from kbs.articles.global_content import global_collections, open_global_content
from kbs.articles.ingest import Report, ingest_folder
from kbs.articles.publishing import Library, embedded, make_edition, publishing, withdrawing
from kbs.articles.reindex import check_embedder, reindex
from kbs.articles.rows import add_draft, article_text, keep_article, set_state, stored_articles
from kbs.index import Scope
from kbs.indexes.pgvector import PgvectorIndex
from kbs.passages import Source
from memory.database import Database
from memory.errors import Misconfigured, NotFound
from memory.models import GLOBAL_TENANT
from tests.kbs.words import WordEmbedder


class Desk:
    """One tenant with a folder, ingested and searched as the application does it."""

    def __init__(self, database: Database, index: PgvectorIndex, embedder: WordEmbedder, tenant_id: UUID, folder: Path):
        self.database, self.index, self.embedder, self.tenant_id, self.folder = (
            database,
            index,
            embedder,
            tenant_id,
            folder,
        )

    def put(self, ref: str, body: str, name: str = "", **fields: object) -> None:
        matter = "".join(f"{key}: {value}\n" for key, value in {"id": ref, "title": ref, **fields}.items())
        (self.folder / (name or f"{ref}.md")).write_text(f"---\n{matter}---\n{body}")

    async def ingest(self, collection: str = "house") -> Report:
        return await ingest_folder(
            self.database, self.index, self.embedder, self.folder, tenant_id=self.tenant_id, collection=collection
        )

    async def found(self, question: str, collections: tuple[str, ...] = ()) -> set[str]:
        scope = Scope(tenant_id=self.tenant_id, collections=collections)
        found = await self.index.candidates(
            scope, vector=await self.embedder.embed_query(question), text=question, k=20
        )
        return {each.passage.ref for each in found}

    @property
    def library(self) -> Library:
        return Library(database=self.database, index=self.index, embedder=self.embedder)

    async def edit(self, ref: str, body: str, *, publish: bool = True) -> None:
        """What a person does to an article by hand."""
        async with self.database.connection(self.tenant_id) as connection:
            [stored] = (await stored_articles(connection, self.tenant_id, [ref])).values()
            text = await article_text(connection, self.tenant_id, stored.id, stored.newest)
        assert text
        article = replace(text, body=body, path=stored.path)
        if not publish:
            async with self.database.connection(self.tenant_id) as connection:
                await add_draft(connection, self.tenant_id, stored, article, author="user:1")
            return
        cut = await make_edition(article, "house", article_id=stored.id, version=stored.latest + 1)
        [edition], _ = await embedded(self.library, self.tenant_id, [cut], [ref])
        async with publishing(self.library, self.tenant_id, edition) as connection:
            await keep_article(
                connection, self.tenant_id, "house", article, article_id=stored.id, version=edition.version,
                author="user:1", file_hash=stored.file_hash,
            )  # fmt: skip

    async def take_back(self, ref: str, status: str = "withdrawn") -> None:
        async with withdrawing(self.library, self.tenant_id, ref) as connection:
            await set_state(connection, self.tenant_id, ref, status=status)

    async def texts(self) -> list[str]:
        return [
            str(row["text"]) for row in await self.rows("select text from passages where tenant_id = %s order by 1")
        ]

    async def rows(self, statement: str) -> list[dict[str, object]]:
        async with self.database.connection(self.tenant_id) as connection:
            return await (await connection.execute(statement, (self.tenant_id,))).fetchall()


@pytest_asyncio.fixture(loop_scope="session")
async def desk(
    database: Database,
    index: PgvectorIndex,
    embedder: WordEmbedder,
    tenant: Callable[..., Awaitable[UUID]],
    tmp_path: Path,
) -> Desk:
    return Desk(database, index, embedder, await tenant(), tmp_path)


class TestByChecksum:
    async def test_what_is_new_goes_in(self, desk: Desk) -> None:
        desk.put("mail", "Open the webmail page.")
        desk.put("dns", "Edit the zone.")
        report = await desk.ingest()
        assert report == Report(added=2, embedded_passages=2)
        assert await desk.found("webmail") == {"mail", "dns"}

    async def test_a_second_time_nothing_happens(self, desk: Desk) -> None:
        desk.put("mail", "Open the webmail page.")
        await desk.ingest()
        desk.embedder.embedded.clear()
        assert await desk.ingest() == Report(unchanged=1)
        assert desk.embedder.embedded == []

    async def test_only_the_changed_passage_is_embedded_again(self, desk: Desk) -> None:
        desk.put("mail", "## Phones\n\nTap settings.\n\n## Desktop\n\nClick accounts.")
        await desk.ingest()
        desk.embedder.embedded.clear()
        desk.put("mail", "## Phones\n\nTap settings.\n\n## Desktop\n\nClick identities.")
        assert await desk.ingest() == Report(changed=1, embedded_passages=1)
        assert desk.embedder.embedded == ["mail\nDesktop\nClick identities."]
        texts = {row["text"] for row in await desk.rows("select text from passages where tenant_id = %s")}
        assert texts == {"Tap settings.", "Click identities."}

    async def test_every_text_stays_as_a_version(self, desk: Desk) -> None:
        for body in ("First.", "Second."):
            desk.put("mail", body, version=body.lower())
            await desk.ingest()
        versions = await desk.rows(
            "select version, label, body from kb_article_versions where tenant_id = %s order by version"
        )
        assert [tuple(row.values()) for row in versions] == [(1, "first.", "First."), (2, "second.", "Second.")]
        (passage,) = await desk.rows("select version from passages where tenant_id = %s")
        assert passage["version"] == 2

    async def test_progress_is_told(self, desk: Desk) -> None:
        desk.put("mail", "Text.")
        desk.put("dns", "Text.")
        told: list[tuple[int, int]] = []
        await ingest_folder(
            desk.database, desk.index, desk.embedder, desk.folder, tenant_id=desk.tenant_id, collection="house",
            progress=lambda done, total: told.append((done, total)),
        )  # fmt: skip
        assert told[0] == (0, 2)
        assert told[-1] == (2, 2)


class TestWhatVanished:
    async def test_is_not_found_any_more_and_its_versions_stay(self, desk: Desk) -> None:
        desk.put("mail", "Open the webmail page.")
        desk.put("dns", "Edit the zone.")
        await desk.ingest()
        (desk.folder / "mail.md").unlink()
        assert await desk.ingest() == Report(unchanged=1, removed=1)
        assert await desk.found("webmail page") == {"dns"}
        assert len(await desk.rows("select 1 from kb_article_versions where tenant_id = %s")) == 2

    async def test_comes_back_as_it_was(self, desk: Desk) -> None:
        desk.put("mail", "Open the webmail page.")
        await desk.ingest()
        (desk.folder / "mail.md").unlink()
        await desk.ingest()
        desk.put("mail", "Open the webmail page.")
        assert (await desk.ingest()).added == 1
        assert await desk.found("webmail") == {"mail"}
        (article,) = await desk.rows("select version, status from kb_articles where tenant_id = %s")
        assert article == {"version": 1, "status": "published"}

    async def test_a_file_that_cannot_be_read_leaves_its_article_as_it_was(self, desk: Desk) -> None:
        desk.put("mail", "Open the webmail page.")
        await desk.ingest()
        (desk.folder / "mail.md").write_text("---\nid: [\n---\nOpen")
        report = await desk.ingest()
        assert report.removed == 0
        assert [error.path for error in report.failed] == ["mail.md"]
        assert await desk.found("webmail") == {"mail"}

    async def test_another_collection_is_left_alone(self, desk: Desk) -> None:
        desk.put("mail", "Open the webmail page.")
        await desk.ingest("house")
        (desk.folder / "mail.md").unlink()
        desk.put("dns", "Edit the zone.")
        assert await desk.ingest("other") == Report(added=1, embedded_passages=1)
        assert await desk.found("webmail zone") == {"mail", "dns"}

    async def test_an_id_of_another_collection_is_refused(self, desk: Desk) -> None:
        desk.put("mail", "Open the webmail page.")
        await desk.ingest("house")
        report = await desk.ingest("other")
        assert "is taken by an article of the collection `house`" in report.failed[0].detail
        assert await desk.found("webmail") == {"mail"}


class TestSuperseding:
    async def test_the_older_article_is_not_found(self, desk: Desk) -> None:
        desk.put("refunds-2024", "Refunds within 30 days.")
        desk.put("refunds", "Refunds within 45 days.", supersedes="[refunds-2024]")
        await desk.ingest()
        assert await desk.found("refunds within days") == {"refunds"}

    async def test_whichever_comes_first(self, desk: Desk) -> None:
        desk.put("refunds", "Refunds within 45 days.", supersedes="[refunds-2024]")
        await desk.ingest()
        desk.put("refunds-2024", "Refunds within 30 days.")
        await desk.ingest()
        assert await desk.found("refunds within days") == {"refunds"}

    async def test_an_edit_of_the_older_one_does_not_bring_it_back(self, desk: Desk) -> None:
        desk.put("refunds-2024", "Refunds within 30 days.")
        desk.put("refunds", "Refunds within 45 days.", supersedes="[refunds-2024]")
        await desk.ingest()
        desk.put("refunds-2024", "Refunds within 31 days.")
        await desk.ingest()
        assert await desk.found("refunds within days") == {"refunds"}

    @pytest.mark.parametrize("how", ["removed", "named no more"])
    async def test_the_older_one_is_back_when_the_newer_goes(self, desk: Desk, how: str) -> None:
        desk.put("refunds-2024", "Refunds within 30 days.")
        desk.put("refunds", "Refunds within 45 days.", supersedes="[refunds-2024]")
        await desk.ingest()
        if how == "removed":
            (desk.folder / "refunds.md").unlink()
        else:
            desk.put("refunds", "Refunds within 45 days.")
        await desk.ingest()
        assert "refunds-2024" in await desk.found("refunds within days")

    async def test_an_article_that_takes_effect_later_replaces_later(self, desk: Desk) -> None:
        desk.put("old", "Refunds within 30 days.")
        desk.put("new", "Refunds within 45 days.", supersedes="[old]", effective_from="2999-01-01")
        await desk.ingest()
        assert await desk.found("refunds") == {"old"}
        desk.put("new", "Refunds within 45 days.", supersedes="[old]", effective_from="2020-01-01")
        await desk.ingest()
        assert await desk.found("refunds") == {"new"}

    async def test_an_articles_own_dates_hold(self, desk: Desk) -> None:
        desk.put("past", "Refunds within 30 days.", effective_until="2020-01-01")
        desk.put("now", "Refunds within 45 days.", effective_from="2020-01-01", effective_until="2999-01-01")
        await desk.ingest()
        assert await desk.found("refunds") == {"now"}


class TestGlobalCollections:
    async def test_ship_with_the_product(self) -> None:
        assert global_collections() == ("cyber-training", "hosting")
        with pytest.raises(NotFound), open_global_content("../.."):
            pass

    async def test_are_written_by_the_owner_and_read_where_enabled(self, desk: Desk, owner: Database) -> None:
        desk.put("dns-zone", "Edit the zone of the domain.")
        mine, desk.database, desk.tenant_id = (desk.database, desk.tenant_id), owner, GLOBAL_TENANT
        await desk.ingest("hosting")
        desk.database, desk.tenant_id = mine
        assert await desk.found("zone of the domain", ("hosting",)) == {"dns-zone"}
        assert await desk.found("zone of the domain", ("cyber-training",)) == set()
        assert await desk.found("zone of the domain") == set()

    @pytest.mark.parametrize("how", ["names it", "bears its id"])
    async def test_a_tenants_article_replaces_a_global_one_for_itself_alone(
        self, desk: Desk, owner: Database, tenant: Callable[..., Awaitable[UUID]], how: str
    ) -> None:
        shared = f"policy-{how[:5].strip()}"
        desk.put(shared, "Refunds of everyone within 10 days.")
        mine, desk.database, desk.tenant_id = (desk.database, desk.tenant_id), owner, GLOBAL_TENANT
        await desk.ingest(f"policies {how}")
        desk.database, desk.tenant_id = mine
        (desk.folder / f"{shared}.md").unlink()
        if how == "names it":
            desk.put("our-policy", "Refunds of ours within 60 days.", supersedes=f"[{shared}]")
        else:
            desk.put(shared, "Refunds of ours within 60 days.")
        await desk.ingest()
        scope = Scope(tenant_id=desk.tenant_id, collections=(f"policies {how}",))
        other = Scope(tenant_id=await tenant(), collections=(f"policies {how}",))
        vector = await desk.embedder.embed_query("refunds")
        ours = await desk.index.candidates(scope, vector=vector, text="refunds", k=5)
        assert {each.passage.source for each in ours} == {Source.TENANT_KB}
        theirs = await desk.index.candidates(other, vector=vector, text="refunds", k=5)
        assert {each.passage.ref for each in theirs} == {shared}


class TestByHand:
    """A person's work is never lost to a file."""

    async def test_an_edit_holds_as_long_as_the_file_stays(self, desk: Desk) -> None:
        desk.put("mail", "The file says one.")
        await desk.ingest()
        await desk.edit("mail", "A person says two.")
        assert await desk.ingest() == Report(unchanged=1)
        assert await desk.texts() == ["A person says two."]

    @pytest.mark.parametrize("publish", [True, False], ids=["published", "draft"])
    async def test_both_changed_keeps_both_and_says_so(self, desk: Desk, publish: bool) -> None:
        desk.put("mail", "The file says one.")
        await desk.ingest()
        await desk.edit("mail", "A person says two.", publish=publish)
        desk.put("mail", "The file says three.")
        report = await desk.ingest()
        assert (report.changed, report.unchanged, report.failed) == (0, 1, ())
        assert [error.detail for error in report.conflicts] == [
            "mail.md: changed here and by hand; the file's text waits as draft version 3"
        ]
        assert await desk.texts() == ["A person says two." if publish else "The file says one."]
        (article,) = await desk.rows("select status, version, latest, draft from kb_articles where tenant_id = %s")
        assert article == {"status": "published", "version": 2 if publish else 1, "latest": 3, "draft": 3}
        versions = await desk.rows("select body, author from kb_article_versions where tenant_id = %s order by version")
        assert [tuple(row.values()) for row in versions] == [
            ("The file says one.", "file"), ("A person says two.", "user:1"), ("The file says three.", "file"),
        ]  # fmt: skip
        assert await desk.ingest() == Report(unchanged=1)

    async def test_after_the_person_took_the_files_text_it_governs_again(self, desk: Desk) -> None:
        desk.put("mail", "The file says one.")
        await desk.ingest()
        await desk.edit("mail", "A person says two.")
        desk.put("mail", "Both say three.")
        await desk.ingest()
        await desk.edit("mail", "Both say three.")
        desk.put("mail", "The file says four.")
        assert (await desk.ingest()).changed == 1
        assert await desk.texts() == ["The file says four."]

    async def test_what_a_person_withdrew_stays_withdrawn(self, desk: Desk) -> None:
        desk.put("mail", "The file says one.")
        await desk.ingest()
        await desk.take_back("mail")
        assert await desk.ingest() == Report(unchanged=1)
        desk.put("mail", "The file says two.")
        assert len((await desk.ingest()).conflicts) == 1
        assert await desk.texts() == []

    async def test_what_a_person_deleted_stays_deleted(self, desk: Desk) -> None:
        desk.put("mail", "The file says one.")
        await desk.ingest()
        await desk.take_back("mail", "deleted")
        assert await desk.ingest() == Report(unchanged=1)
        desk.put("mail", "The file says two.")
        report = await desk.ingest()
        assert "was deleted by hand" in report.conflicts[0].detail
        assert await desk.texts() == []

    async def test_when_the_file_goes_the_edited_article_stays(self, desk: Desk) -> None:
        desk.put("mail", "The file says one.")
        await desk.ingest()
        await desk.edit("mail", "A person says two.")
        (desk.folder / "mail.md").unlink()
        report = await desk.ingest()
        assert (report.removed, len(report.conflicts)) == (0, 1)
        assert await desk.texts() == ["A person says two."]
        assert await desk.ingest() == Report()

    async def test_an_edit_during_the_ingest_wins(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        desk.put("mail", "The file says one.")
        await desk.ingest()
        desk.put("mail", "The file says two.")
        embed = desk.embedder.embed_texts

        async def meanwhile(texts: Sequence[str]) -> NDArray[np.float32]:
            monkeypatch.setattr(desk.embedder, "embed_texts", embed)
            await desk.edit("mail", "A person says three.")
            return await embed(texts)

        monkeypatch.setattr(desk.embedder, "embed_texts", meanwhile)
        report = await desk.ingest()
        assert "by hand while this ran" in report.conflicts[0].detail
        assert await desk.texts() == ["A person says three."]

    async def test_a_rebuild_does_not_bring_an_older_text_back(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.put("mail", "The file says one.")
        await desk.ingest()
        embed = desk.embedder.embed_texts

        async def meanwhile(texts: Sequence[str]) -> NDArray[np.float32]:
            monkeypatch.setattr(desk.embedder, "embed_texts", embed)
            await desk.edit("mail", "A person says two.")
            return await embed(texts)

        monkeypatch.setattr(desk.embedder, "embed_texts", meanwhile)
        assert await reindex(desk.database, desk.index, desk.embedder, tenant_id=desk.tenant_id) == 0
        assert await desk.texts() == ["A person says two."]


class TestTogether:
    async def test_two_ingests_of_one_collection_take_turns(self, desk: Desk) -> None:
        for n in range(5):
            desk.put(f"article-{n}", f"Text number {n}.")
        first, second = await asyncio.gather(desk.ingest(), desk.ingest())
        assert {first.added, second.added} == {0, 5}
        assert {first.unchanged, second.unchanged} == {0, 5}

    async def test_another_tenants_folder_changes_nothing_here(
        self, desk: Desk, tenant: Callable[..., Awaitable[UUID]]
    ) -> None:
        desk.put("mail", "Open the webmail page.")
        await desk.ingest()
        here, desk.tenant_id = desk.tenant_id, await tenant()
        desk.put("mail", "Something else entirely.")
        assert (await desk.ingest()).added == 1
        desk.tenant_id = here
        (passage,) = await desk.rows("select text from passages where tenant_id = %s")
        assert passage["text"] == "Open the webmail page."


class TestReindex:
    async def test_another_embedder_is_noticed_and_answered_with_the_command(self, desk: Desk) -> None:
        desk.put("mail", "Open the webmail page.")
        await desk.ingest()
        with pytest.raises(Misconfigured, match="helpdesk reindex"):
            await check_embedder(desk.database, "another-model")

    async def test_rebuilds_what_was_lost_without_reading_the_files(self, desk: Desk) -> None:
        desk.put("old", "Refunds within 30 days.", audience="[operator]")
        desk.put("new", "Refunds within 45 days.", supersedes="[old]")
        await desk.ingest()
        before = await desk.rows("select ref, text, audience, active from passages where tenant_id = %s order by ref")
        async with desk.database.connection(desk.tenant_id) as connection:
            await desk.index.clear(connection, desk.tenant_id)
        assert await desk.found("refunds") == set()
        assert await reindex(desk.database, desk.index, desk.embedder, tenant_id=desk.tenant_id) == 2
        after = await desk.rows("select ref, text, audience, active from passages where tenant_id = %s order by ref")
        assert after == before
        assert await desk.found("refunds") == {"new"}

    async def test_with_a_new_embedder_replaces_the_vectors(self, desk: Desk) -> None:
        desk.put("mail", "Open the webmail page.")
        await desk.ingest()
        wider = WordEmbedder()
        wider.id, wider.dimensions = "words-1536", 1536
        index = PgvectorIndex(desk.database, embedder=wider.id, dimensions=1536)
        await reindex(desk.database, index, wider, tenant_id=desk.tenant_id)
        assert await index.count(desk.tenant_id) == 1
        assert await desk.index.count(desk.tenant_id) == 0
        desk.index, desk.embedder = index, wider
        assert await desk.found("webmail") == {"mail"}
        async with desk.database.connection(desk.tenant_id) as connection:
            await index.clear(connection, desk.tenant_id)  # or every later ingest of this module is refused

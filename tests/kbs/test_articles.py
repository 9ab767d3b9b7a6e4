"""Reading a folder: what an author wrote, and a clear word about what cannot be read."""

import json
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from kbs.articles.chunking import split
from kbs.articles.reading import MAX_BYTES, BadArticle, language_of, parse, read_folder
from tests.machine import usual

FULL = """---
id: refund-policy
title: Refund policy
version: "2.1"
last_updated: 2026-03-02
tags: [billing, refund]
audience: [Instructor, operator]
supersedes: [refund-policy-2024]
effective_from: 2026-04-01
---
New plans are refundable within 45 days.
"""
GERMAN = (
    "Sie können das Passwort Ihres Postfachs in der Verwaltung zurücksetzen. Öffnen Sie dazu die Seite der Postfächer, "
    "wählen Sie das Postfach aus und geben Sie ein neues Passwort ein. Danach melden Sie sich auf allen Geräten neu an."
)


def test_front_matter_says_what_an_article_is() -> None:
    article = parse(FULL, path="billing/refunds.md")
    assert (article.ref, article.title, article.label) == ("refund-policy", "Refund policy", "2.1")
    assert article.last_updated == date(2026, 3, 2)
    assert article.tags == ("billing", "refund")
    assert article.audience == ("instructor", "operator")
    assert article.supersedes == ("refund-policy-2024",)
    assert article.effective_from == datetime(2026, 4, 1, tzinfo=UTC)
    assert article.body == "New plans are refundable within 45 days."


def test_a_category_is_part_of_what_an_edit_can_change() -> None:
    plain, sorted_ = parse(FULL, path="a.md"), parse(FULL.replace("tags:", "category: billing\ntags:"), path="a.md")
    assert (plain.category, sorted_.category) == ("", "billing")
    assert plain.content_hash != sorted_.content_hash
    # As it was before there were categories: or the next ingest would write every article anew.
    assert plain.content_hash == "1e50f988dc4504877d20473be546b6befefdcd2b5c8f9cda77a7fba65e1acc54"


@pytest.mark.parametrize(
    "field",
    ["title: [a, b]", "title: {a: b}", "version: 0x" + "f" * 9000, "category: [x]", "language: [en]", "id: [a]"],
    ids=lambda field: field[:14],
)
def test_what_is_not_one_line_is_no_title(field: str) -> None:
    with pytest.raises(BadArticle, match="is not one line of text"):
        parse(f"---\n{field}\n---\nText.", path="a.md")


def test_accents_that_pile_up_are_refused() -> None:
    assert parse("e" + "\u0301" * 30, path="a.md").body
    with pytest.raises(BadArticle, match="accents"):
        parse("e" + "\u0301" * 31, path="a.md")


@pytest.mark.parametrize(("line", "title"), [("## C# ##", "C#"), ("# A #", "A"), ("#  Two  words ", "Two words")])
def test_a_heading_loses_its_marks_and_nothing_else(line: str, title: str) -> None:
    assert parse(f"{line}\n\nText.", path="a.md").title == title


def test_a_heading_of_many_spaces_is_read_at_once() -> None:
    text = "# a" + " " * 100_000 + "b\n\nText."
    language_of(text)  # its model is loaded once
    started = time.process_time()
    assert split(text, title=parse(text, path="a.md").title)
    assert time.process_time() - started < usual(1)


class TestWithoutFrontMatter:
    def test_the_path_is_the_id_and_the_first_heading_the_title(self) -> None:
        article = parse("Hello.\n\n## **Reset** a `vm`\n\nText.", path="labs/My guide.md")
        assert (article.ref, article.title) == ("labs/My-guide", "Reset a vm")

    def test_a_ruler_is_only_a_ruler(self) -> None:
        text = "Before.\n\n---\nid: stolen\n---\n\nAfter."
        article = parse(text, path="a.md")
        assert (article.ref, article.body) == ("a", text)

    def test_what_stands_between_rulers_but_is_no_mapping_is_text(self) -> None:
        assert parse("---\njust words\n---\nmore", path="a.md").body == "---\njust words\n---\nmore"

    def test_a_heading_in_a_code_block_is_no_title(self) -> None:
        assert parse("```\n# comment\n```\n\n# Real", path="a.md").title == "Real"


class TestContentHash:
    def test_does_not_depend_on_where_the_file_lies_or_how_its_lines_end(self) -> None:
        moved = parse(FULL.replace("\n", "\r\n"), path="elsewhere/refunds.md")
        assert moved.content_hash == parse(FULL, path="billing/refunds.md").content_hash

    @pytest.mark.parametrize(
        ("before", "after"),
        [("45 days", "30 days"), ("Instructor", "trainee"), ("2.1", "2.2"), ("2026-04-01", "2026-05-01")],
    )
    def test_changes_with_every_edit(self, before: str, after: str) -> None:
        edited = parse(FULL.replace(before, after), path="a.md")
        assert edited.content_hash != parse(FULL, path="a.md").content_hash


class TestLanguage:
    def test_long_prose_tells(self) -> None:
        assert language_of(GERMAN) == "de"

    def test_too_little_prose_is_english(self) -> None:
        assert language_of("Passwort zurücksetzen") == "en"

    def test_the_author_knows_better(self) -> None:
        assert parse(f"---\nlanguage: NL\n---\n{GERMAN}", path="a.md").language == "nl"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("---\nid: [\n---\nText.", "not YAML"),
        ("---\nlast_updated: 2026-13-45\n---\nText.", "not YAML"),
        ("---\nlast_updated: soon\n---\nText.", "not a date"),
        ("---\neffective_until: '9999-12-31T23:59:59-14:00'\n---\nText.", "not a date"),
        ("---\neffective_from: 0001-01-01T00:00:00+14:00\n---\nText.", "not YAML|not a date"),
        ("---\ntags: {a: b}\n---\nText.", "`tags` is not a list"),
        ("---\nid: two words\n---\nText.", "without spaces"),
        ("---\nid: a\n---\n", "no text"),
        ("", "no text"),
        ("a\0b", "NUL"),
        ("half \ud800 pair", "surrogate"),
        ("---\neffective_from: 2026-02-01\neffective_until: 2026-01-01\n---\nText.", "not after"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_reason(text: str, why: str) -> None:
    with pytest.raises(BadArticle, match=why) as error:
        parse(text, path="labs/bad.md")
    assert error.value.path == "labs/bad.md"


class TestFolder:
    def test_the_good_ones_go_in_beside_the_bad(self, tmp_path: Path) -> None:
        (tmp_path / "labs").mkdir()
        (tmp_path / "labs/good.md").write_text("# Good\n\nText.")
        (tmp_path / "latin.md").write_bytes(b"caf\xe9")
        (tmp_path / "long.md").write_text("x" * (MAX_BYTES + 1))
        (tmp_path / "notes.txt").write_text("not an article")
        good, bad = read_folder(tmp_path)
        assert [article.ref for article in good] == ["labs/good"]
        assert [error.detail for error in bad] == [
            "latin.md: the file is not UTF-8",
            "long.md: the file is larger than 2 MB",
        ]

    def test_a_link_out_of_the_folder_is_not_followed(self, tmp_path: Path) -> None:
        secret, folder = tmp_path / "secret.md", tmp_path / "kb"
        folder.mkdir()
        secret.write_text("# Secret\n\nText.")
        (folder / "link.md").symlink_to(secret)
        (folder / "outside").symlink_to(tmp_path, target_is_directory=True)
        good, bad = read_folder(folder)
        assert good == ()
        assert [error.detail for error in bad] == ["link.md: the link leads out of the folder"]

    def test_hidden_folders_are_left_out(self, tmp_path: Path) -> None:
        (tmp_path / ".git").mkdir()
        (tmp_path / ".git/readme.md").write_text("# Hidden\n\nText.")
        assert read_folder(tmp_path) == ((), ())

    def test_an_id_is_taken_once(self, tmp_path: Path) -> None:
        (tmp_path / "a.md").write_text("---\nid: same\n---\nFirst.")
        (tmp_path / "b.md").write_text("---\nid: same\n---\nSecond.")
        good, bad = read_folder(tmp_path)
        assert [article.body for article in good] == ["First."]
        assert bad[0].detail == "b.md: the id `same` is taken by a.md"

    def test_articles_that_replace_each_other_are_refused(self, tmp_path: Path) -> None:
        for name, older in (("a", "c"), ("b", "a"), ("c", "b"), ("d", "a")):
            (tmp_path / f"{name}.md").write_text(f"---\nid: {name}\nsupersedes: [{older}]\n---\nText.")
        good, bad = read_folder(tmp_path)
        assert [article.ref for article in good] == ["d"]
        assert all("circle" in error.detail for error in bad)

    def test_lines_of_json_are_articles(self, tmp_path: Path) -> None:
        lines = [{"_id": "q1", "title": "One", "text": "First."}, {"id": 7, "text": "Second."}, {"title": "No text"}]
        (tmp_path / "corpus.jsonl").write_text(
            "\n".join([*map(json.dumps, lines), "not json", '{"id":1,"text":"\\ud800"}'])
        )
        good, bad = read_folder(tmp_path)
        assert [(article.ref, article.title) for article in good] == [("q1", "One"), ("7", "7")]
        assert [error.path for error in bad] == ["corpus.jsonl:3", "corpus.jsonl:4", "corpus.jsonl:5"]

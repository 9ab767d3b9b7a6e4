"""Splitting an article: what belongs together stays together, and nothing is lost."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from kbs.articles.chunking import LIMIT, TARGET, Chunk, embedded_text, estimated_tokens, plain, split

WORD = st.text("abcdefghijklmnopqrstuvwxyzäß0123456789", min_size=1, max_size=12)
LINE = st.lists(WORD, min_size=1, max_size=30).map(" ".join)
PARAGRAPH = st.lists(LINE, min_size=1, max_size=8).map("\n".join)
BULLETS = st.lists(LINE, min_size=1, max_size=20).map(lambda items: "\n".join(f"- {item}" for item in items))
STEPS = st.lists(LINE, min_size=1, max_size=20).map(
    lambda items: "\n".join(f"{n}. {item}" for n, item in enumerate(items, 1))
)
CODE = st.lists(LINE, min_size=1, max_size=40).map(lambda lines: "```sh\n" + "\n".join(lines) + "\n```")
TABLE = st.lists(st.tuples(WORD, LINE), min_size=1, max_size=30).map(
    lambda rows: "| key | meaning |\n|---|---|\n" + "\n".join(f"| {key} | {meaning} |" for key, meaning in rows)
)
HEADING = st.tuples(st.integers(1, 4), LINE).map(lambda heading: f"{'#' * heading[0]} {heading[1]}")
ARTICLE = st.lists(st.one_of(PARAGRAPH, BULLETS, STEPS, CODE, TABLE, HEADING), min_size=1, max_size=12).map("\n\n".join)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def sentence(n: int, subject: str = "mailbox") -> str:
    return f"The {subject} number {n} is opened with its own password and closed again in the evening."


class TestSections:
    def test_headings_become_the_path_of_what_is_below_them(self) -> None:
        chunks = split(
            "# Mail\n\nIntro.\n\n## Phones\n\nGeneral.\n\n### Android\n\nTap.\n\n## Desktop\n\nClick.", title="Mail"
        )
        assert [(chunk.heading, chunk.text) for chunk in chunks] == [
            ("", "Intro."),
            ("Phones", "General."),
            ("Phones > Android", "Tap."),
            ("Desktop", "Click."),
        ]
        assert [chunk.ordinal for chunk in chunks] == [0, 1, 2, 3]

    def test_a_heading_that_is_not_the_title_stays_in_the_path(self) -> None:
        assert split("# Mail\n\nText.", title="Post")[0].heading == "Mail"

    def test_underlined_headings_count_too(self) -> None:
        assert split("Quota\n=====\n\nText.") == (Chunk(heading="Quota", text="Text.", ordinal=0),)

    def test_marks_of_markdown_are_taken_off_headings(self) -> None:
        assert split("## **Reset** the `vm`\n\nText.")[0].heading == "Reset the vm"
        assert plain("[Events](https://example.com) & *more*") == "Events & more"

    def test_a_heading_inside_a_code_block_is_code(self) -> None:
        (chunk,) = split("```sh\n# not a heading\nls\n```")
        assert chunk.heading == ""
        assert "# not a heading" in chunk.text

    def test_a_heading_with_nothing_below_stands_for_itself(self) -> None:
        assert split("## Is there a fee?\n\n## Refunds\n\nYes.")[0].text == "Is there a fee?"

    def test_an_empty_article_has_no_passages(self) -> None:
        assert split("") == ()
        assert split("\n \n") == ()


class TestWholeBlocks:
    def test_a_numbered_list_is_not_cut_between_two_steps(self) -> None:
        filler = " ".join(sentence(n) for n in range(9))
        steps = "\n".join(f"{n}. Open page {n} and confirm." for n in range(1, 12))
        chunks = split(f"{filler}\n\n{steps}")
        assert steps in [chunk.text for chunk in chunks]

    def test_a_code_block_inside_a_step_stays_in_it(self) -> None:
        text = "1. Run this:\n   ```sh\n   ls\n\n   pwd\n   ```\n2. Done"
        assert [chunk.text for chunk in split(text)] == [text]

    def test_what_announces_a_list_goes_with_it(self) -> None:
        filler = " ".join(sentence(n) for n in range(8))
        steps = "\n".join(f"- choose entry {n} of the menu" for n in range(20))
        chunks = split(f"{filler}\n\nProceed as follows:\n\n{steps}")
        assert chunks[-1].text.startswith("Proceed as follows:")

    def test_short_blocks_share_a_passage_up_to_the_target(self) -> None:
        chunks = split("\n\n".join(sentence(n) for n in range(40)))
        sizes = [estimated_tokens(chunk.text) for chunk in chunks]
        assert len(chunks) < 8
        assert all(TARGET <= size <= LIMIT for size in sizes[:-1])


class TestBeyondTheLimit:
    def test_a_long_table_repeats_its_header(self) -> None:
        rows = [f"| ENV-{n} | {sentence(n, 'machine')} |" for n in range(60)]
        chunks = split("| Code | Meaning |\n|---|---|\n" + "\n".join(rows))
        assert len(chunks) > 3
        assert all(chunk.text.startswith("| Code | Meaning |\n|---|---|\n| ENV-") for chunk in chunks)
        assert sum(chunk.text.count("| ENV-") for chunk in chunks) == 60

    def test_long_code_is_cut_between_lines_and_stays_fenced(self) -> None:
        lines = [f"echo line {n} of the script" for n in range(200)]
        chunks = split("~~~~sh\n" + "\n".join(lines) + "\n~~~~")
        assert all(chunk.text.startswith("~~~~sh\n") and chunk.text.endswith("\n~~~~") for chunk in chunks)
        assert [line for chunk in chunks for line in chunk.text.split("\n")[1:-1]] == lines

    def test_a_long_list_is_cut_between_its_outer_items(self) -> None:
        items = [f"{n}. {sentence(n)}\n" + f"   - {sentence(n, 'folder')}\n" * 4 for n in range(1, 10)]
        chunks = split("\n".join(items))
        assert len(chunks) > 3
        assert all(re.match(r"\d+\. ", chunk.text) for chunk in chunks)

    def test_a_word_without_end_is_cut_by_length(self) -> None:
        chunks = split("x" * 20_000)
        assert "".join(chunk.text.replace(" ", "") for chunk in chunks) == "x" * 20_000
        assert all(estimated_tokens(chunk.text) <= LIMIT for chunk in chunks)


@settings(max_examples=150, deadline=None)
@given(ARTICLE)
def test_nothing_is_lost_and_nothing_too_long(article: str) -> None:
    chunks = split(article)
    kept = words(" ".join(f"{chunk.heading} {chunk.text}" for chunk in chunks))
    assert set(words(article)) <= set(kept)
    assert all(estimated_tokens(chunk.text) <= LIMIT * 1.25 for chunk in chunks)
    assert all(chunk.text.strip() for chunk in chunks)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=400))
def test_any_text_can_be_split(text: str) -> None:
    assert [chunk.ordinal for chunk in split(text)] == list(range(len(split(text))))


def test_the_embedded_text_carries_its_place_and_no_rulers() -> None:
    text = embedded_text("Mail", "Phones > Android", "| a | b |\n|-------|-------|")
    assert text == "Mail\nPhones > Android\n| a | b |\n|---|---|"

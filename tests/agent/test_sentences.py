"""Streamed Markdown is cut into the same units however it arrives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sentences import Kind, SentenceBuffer, kind_of, split

# Characters that steer the cutting, so that random text hits every rule often.
TRICKY = st.text(alphabet=st.sampled_from('ab Az.!?…。\n\r\t`~|#-*+0123[]()"”:éд'), max_size=80)
SENTENCES = ["Open it. ", "e.g. ", "z. B. ", "3.5 ", "am 3. ", "Mai ", "No. ", "etc. ", "https://a.b/c.d?e=f. ", "Yes!"]
MARKS = ["[1]", " [2] ", "```\n", "```", "`a. b`", "`", "\n", "\n\n", "1. ", "- ", "| a | b |\n", "# T\n", "~~~\n", " "]
PIECES = st.lists(st.sampled_from([*SENTENCES, *MARKS]), max_size=25).map("".join)


def streamed(text: str, cuts: list[int]) -> list[str]:
    buffer, units, position = SentenceBuffer(), [], 0
    for cut in [*sorted(cut % (len(text) + 1) for cut in cuts), len(text)]:
        units += buffer.feed(text[position:cut])
        position = max(position, cut)
    return units + buffer.flush()


class TestTheUnitsAreTheText:
    @given(st.text() | TRICKY | PIECES)
    def test_joined_they_give_the_input_back(self, text: str) -> None:
        units = split(text)
        assert "".join(units) == text
        assert all(units)

    @given(st.text(max_size=60) | TRICKY | PIECES, st.lists(st.integers(0, 400), max_size=12))
    def test_chunks_do_not_move_the_boundaries(self, text: str, cuts: list[int]) -> None:
        assert streamed(text, cuts) == split(text)

    @given(TRICKY | PIECES)
    def test_one_character_at_a_time_is_the_same(self, text: str) -> None:
        assert streamed(text, list(range(len(text)))) == split(text)

    def test_a_flushed_buffer_starts_afresh(self) -> None:
        buffer = SentenceBuffer()
        assert buffer.feed("Half a line, then") == []
        assert buffer.flush() == ["Half a line, then"]
        assert buffer.feed("- item\n- next") == ["- item\n"]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("First. Second.", ["First. ", "Second."]),
        ("Really?! Yes.", ["Really?! ", "Yes."]),
        ("It costs 3.50 EUR. Pay now.", ["It costs 3.50 EUR. ", "Pay now."]),
        ("Use a client, e.g. Outlook. Done.", ["Use a client, e.g. Outlook. ", "Done."]),
        ("Nehmen Sie z. B. Outlook. Fertig.", ["Nehmen Sie z. B. Outlook. ", "Fertig."]),
        ("Gültig ab dem 3. Mai 2026. Danach nicht.", ["Gültig ab dem 3. Mai 2026. ", "Danach nicht."]),
        ("The limit is 10. After that you wait.", ["The limit is 10. ", "After that you wait."]),
        (
            "See No. 5 of the list. The answer is no. Then stop.",
            ["See No. 5 of the list. ", "The answer is no. ", "Then stop."],
        ),
        ("Ask Dr. Who. Go.", ["Ask Dr. Who. ", "Go."]),
        ("Open https://a.example/b.c?d=1. Sign in.", ["Open https://a.example/b.c?d=1. ", "Sign in."]),
        ("Wait a moment... then retry. Good.", ["Wait a moment... then retry. ", "Good."]),
        ("Edit index.php. Save.", ["Edit index.php. ", "Save."]),
        ("Run `a. B` first. Then go.", ["Run `a. B` first. ", "Then go."]),
        ("**Note.** Keep it.", ["**Note.** ", "Keep it."]),
        ("He wrote “Stop.” Then left.", ["He wrote “Stop.” ", "Then left."]),
        ("Нажмите «Сохранить». Готово.", ["Нажмите «Сохранить». ", "Готово."]),
        ("打开设置。保存。", ["打开设置。", "保存。"]),
    ],
)
def test_sentences_end_where_a_reader_stops(text: str, units: list[str]) -> None:
    assert split(text) == units


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("Fact. [1] Next. [2][3]", ["Fact. [1] ", "Next. [2][3]"]),
        ("Fact.[1] Next [2].", ["Fact.[1] ", "Next [2]."]),
        ("Fact. [Read more](https://a.example) here.", ["Fact. ", "[Read more](https://a.example) here."]),
    ],
)
def test_a_citation_stays_with_its_sentence(text: str, units: list[str]) -> None:
    assert split(text) == units


class TestBlocks:
    def test_list_items_are_whole_and_the_intro_stands_alone(self) -> None:
        text = "Do this:\n1. Open it. Wait.\n2. Save\n   now.\n\nThen rest."
        assert split(text) == ["Do this:\n", "1. Open it. Wait.\n", "2. Save\n   now.\n\n", "Then rest."]

    def test_a_fenced_block_is_one_unit_with_its_blank_lines(self) -> None:
        text = "Run this:\n\n```bash\nls. -l\n\n# not a heading\n```\nDone. Bye."
        assert split(text) == ["Run this:\n\n", "```bash\nls. -l\n\n# not a heading\n```\n", "Done. ", "Bye."]

    def test_a_fence_is_closed_only_by_its_own_kind(self) -> None:
        assert split("~~~~\n```\n~~~\n~~~~\nAfter.") == ["~~~~\n```\n~~~\n~~~~\n", "After."]

    def test_an_unclosed_fence_waits_for_the_end(self) -> None:
        buffer = SentenceBuffer()
        assert buffer.feed("```\nrm -rf.\n\nMore. Text.\n") == []
        assert buffer.flush() == ["```\nrm -rf.\n\nMore. Text.\n"]

    def test_table_rows_and_headings_are_units(self) -> None:
        text = "# Plans\n| Plan | Price |\n|---|---|\n| Basic | 5 |\nAll. Good."
        assert split(text) == ["# Plans\n", "| Plan | Price |\n", "|---|---|\n", "| Basic | 5 |\n", "All. ", "Good."]

    def test_a_wrapped_line_goes_on(self) -> None:
        assert split("one\ntwo. Three") == ["one\ntwo. ", "Three"]

    def test_kinds_are_told_apart(self) -> None:
        kinds = {"# T\n": Kind.HEADING, "- a": Kind.ITEM, "2) b": Kind.ITEM, "| a |": Kind.ROW, "```\n": Kind.FENCE}
        assert {unit: kind_of(unit) for unit in kinds} == kinds
        assert [kind_of(unit) for unit in ("Plain.", "**bold** start", "2026 was", "-5 degrees")] == [Kind.TEXT] * 4


class TestReleaseIsEarly:
    def test_a_sentence_goes_out_when_the_next_one_begins(self) -> None:
        buffer = SentenceBuffer()
        assert buffer.feed("First sentence.") == []
        assert buffer.feed(" ") == []
        assert buffer.feed("S") == ["First sentence. "]

"""Dates as people write them are one day in one form."""

import time

import pytest

from tests.machine import usual
from tools.dates import dates_in, in_one_form, same_day, with_years


class TestForms:
    @pytest.mark.parametrize(
        ("written", "form"),
        [
            ("2026-03-03", "2026-03-03"),
            ("2026/3/3", "2026-03-03"),
            ("3 March 2026", "2026-03-03"),
            ("the 3rd of March, 2026", "the 2026-03-03"),
            ("March 3rd, 2026", "2026-03-03"),
            ("Mar. 3 2026", "2026-03-03"),
            ("am 3. März 2026", "am 2026-03-03"),
            ("am 03.03.2026", "am 2026-03-03"),
            ("le 1er mars 2026", "le 2026-03-01"),
            ("el 3 de marzo de 2026", "el 2026-03-03"),
            ("3 марта 2026 года", "2026-03-03 года"),
            ("13/03/2026", "2026-03-13"),
            ("03/13/2026", "2026-03-13"),
            ("due on 8 January.", "due on xxxx-01-08."),
            ("May 3", "xxxx-05-03"),
            ("8 March and 9 March 2026", "xxxx-03-08 and 2026-03-09"),
        ],
    )
    def test_a_date_is_read_however_it_is_written(self, written: str, form: str) -> None:
        assert in_one_form(written) == form

    @pytest.mark.parametrize(
        "text",
        ["you may 3 times", "Step 3 may fail", "PHP 8.1.2", "May 15.95 USD", "31 June 2026", "March 2026", "03/04/2026",
         "192.168.1.2026", "2026-13-01", "1/2/3/2026", "Decade 3 of 20260308"],
    )  # fmt: skip
    def test_what_is_no_date_or_might_be_another_stays(self, text: str) -> None:
        assert in_one_form(text) == text

    def test_who_knows_which_is_the_month_says_so(self) -> None:
        assert [in_one_form("03/04/2026", day_first=first) for first in (True, False)] == ["2026-04-03", "2026-03-04"]

    def test_a_long_text_is_read_in_time(self) -> None:
        started = time.thread_time()
        for text in ("3 " * 20_000, "12." * 20_000, "jan " * 20_000, "1/" * 20_000):
            assert dates_in(text) == []
        assert time.thread_time() - started < usual(1)


class TestDays:
    @pytest.mark.parametrize(
        ("other", "same"), [("2026-03-03", True), ("xxxx-03-03", True), ("2025-03-03", False), ("xxxx-03-04", False)]
    )
    def test_a_day_without_a_year_is_of_any(self, other: str, same: bool) -> None:
        assert same_day("2026-03-03", other) == same

    def test_the_years_that_it_may_mean(self) -> None:
        known = ["2025-01-08", "2026-01-08", "2026-02-01", "xxxx-01-08"]
        assert with_years("xxxx-01-08 or xxxx-02-01", known) == ["2026-01-08 or 2026-02-01", "2025-01-08 or xxxx-02-01"]
        assert with_years("xxxx-05-05, 2026-01-09", known) == ["xxxx-05-05, 2026-01-09"]

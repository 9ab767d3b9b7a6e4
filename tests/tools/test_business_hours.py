"""Open hours: exact minutes, whatever the clock does, and always an end."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tools.business_hours import BusinessHours, Week, add_business_time, business_minutes, is_open

OFFICE = BusinessHours(
    timezone="Europe/Berlin",
    weekly=Week(**{day: ["09:00-12:00", "13:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")}),
    holidays=["2026-12-25"],
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe",
         "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu")  # fmt: skip
MINUTE = timedelta(minutes=1)


def berlin(*parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)  # type: ignore[arg-type, misc]


@st.composite
def spans(draw: st.DrawFn) -> str:
    opens = draw(st.integers(0, 1439))
    closes = draw(st.integers(opens + 1, 1440))
    return f"{opens // 60:02}:{opens % 60:02}-{closes // 60:02}:{closes % 60:02}"


weeks = st.builds(Week, **{name: st.lists(spans(), max_size=3) for name in Week.model_fields})
dates = st.dates(datetime(2005, 1, 1).date(), datetime(2027, 12, 31).date())
hours = st.builds(
    BusinessHours,
    timezone=st.sampled_from(ZONES),
    weekly=weeks,
    holidays=st.lists(dates.map(str), max_size=5),
)
instants = st.datetimes(datetime(2005, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
minutes = st.integers(0, 20_000) | st.floats(0, 20_000)


class TestOffice:
    def test_is_open_in_its_hours_only(self) -> None:
        assert is_open(OFFICE, berlin(2026, 11, 23, 9, 0))
        assert not is_open(OFFICE, berlin(2026, 11, 23, 8, 59))
        assert not is_open(OFFICE, berlin(2026, 11, 23, 12, 0))
        assert not is_open(OFFICE, berlin(2026, 11, 22, 10, 0))  # a Sunday
        assert not is_open(OFFICE, berlin(2026, 12, 25, 10, 0))
        assert is_open(OFFICE, datetime(2026, 11, 23, 8, 30, tzinfo=UTC))

    @pytest.mark.parametrize(
        ("start", "length", "end"),
        [
            (berlin(2026, 11, 23, 9, 0), 60, berlin(2026, 11, 23, 10, 0)),
            (berlin(2026, 11, 23, 11, 30), 60, berlin(2026, 11, 23, 13, 30)),  # over lunch
            (berlin(2026, 11, 20, 16, 30), 60, berlin(2026, 11, 23, 9, 30)),  # over a weekend
            (berlin(2026, 12, 24, 16, 30), 60, berlin(2026, 12, 28, 9, 30)),  # over a holiday and a weekend
            (berlin(2026, 11, 21, 3, 0), 1, berlin(2026, 11, 23, 9, 1)),
            (berlin(2026, 11, 23, 9, 0), 420, berlin(2026, 11, 23, 17, 0)),  # just as it closes
            (berlin(2026, 11, 21, 3, 0), 0, berlin(2026, 11, 21, 3, 0)),
        ],
    )
    def test_deadlines(self, start: datetime, length: int, end: datetime) -> None:
        assert add_business_time(OFFICE, start, length) == end
        assert business_minutes(OFFICE, start, end) == length

    def test_without_hours_it_is_always_open(self) -> None:
        at = berlin(2026, 12, 25, 3, 0)
        assert is_open(None, at)
        assert add_business_time(None, at, 90) == at + 90 * MINUTE
        assert business_minutes(None, at, at + 90 * MINUTE) == 90
        assert business_minutes(None, berlin(2026, 10, 25, 2, 0), berlin(2026, 10, 25, 2, 0, fold=1)) == 60


class TestClockChanges:
    ALWAYS = BusinessHours(timezone="Europe/Berlin", weekly=Week(**{day: ["00:00-24:00"] for day in Week.model_fields}))
    NIGHT = BusinessHours(timezone="Europe/Berlin", weekly=Week(**{day: ["02:00-02:30"] for day in Week.model_fields}))

    def test_a_day_of_the_change_has_an_hour_less_or_more(self) -> None:
        assert business_minutes(self.ALWAYS, berlin(2026, 3, 29), berlin(2026, 3, 30)) == 23 * 60
        assert business_minutes(self.ALWAYS, berlin(2026, 10, 25), berlin(2026, 10, 26)) == 25 * 60

    def test_what_the_clock_skips_is_never_open_and_what_it_repeats_is_open_twice(self) -> None:
        assert business_minutes(self.NIGHT, berlin(2026, 3, 29), berlin(2026, 3, 30)) == 0
        assert business_minutes(self.NIGHT, berlin(2026, 10, 25), berlin(2026, 10, 26)) == 60
        assert is_open(self.NIGHT, berlin(2026, 10, 25, 2, 10))
        assert is_open(self.NIGHT, berlin(2026, 10, 25, 2, 10, fold=1))
        assert add_business_time(self.NIGHT, berlin(2026, 10, 25), 45) == datetime(2026, 10, 25, 1, 15, tzinfo=UTC)

    def test_a_date_that_a_place_never_had_is_passed_over(self) -> None:
        apia = self.ALWAYS.model_copy(update={"timezone": "Pacific/Apia"})  # went from the 29th to the 31st
        start = datetime(2011, 12, 29, 12, tzinfo=ZoneInfo("Pacific/Apia"))
        assert business_minutes(apia, start, datetime(2011, 12, 31, 12, tzinfo=ZoneInfo("Pacific/Apia"))) == 24 * 60


class TestProperties:
    @given(hours, instants, minutes)
    def test_adding_and_counting_agree(self, hours: BusinessHours, start: datetime, length: float) -> None:
        due = add_business_time(hours, start, length)
        if due is None:
            assert business_minutes(hours, start, start + timedelta(days=5 * 366)) < length
        else:
            assert due >= start
            assert business_minutes(hours, start, due) == pytest.approx(length, abs=1e-6)

    @given(hours, instants, st.floats(0.01, 20_000))
    def test_a_deadline_is_the_first_instant_that_will_do(
        self, hours: BusinessHours, start: datetime, length: float
    ) -> None:
        due = add_business_time(hours, start, length)
        if due is not None:
            just_before = due - timedelta(milliseconds=1)
            assert is_open(hours, just_before)
            assert business_minutes(hours, start, just_before) < length

    @given(hours, instants, instants, instants)
    def test_time_adds_up(self, hours: BusinessHours, a: datetime, b: datetime, c: datetime) -> None:
        a, b, c = a, a + (b - a) / 200, a + (c - a) / 200
        whole = business_minutes(hours, a, b) + business_minutes(hours, b, c)
        assert business_minutes(hours, a, c) == pytest.approx(whole, abs=1e-6)
        assert business_minutes(hours, a, b) == -business_minutes(hours, b, a)

    @given(hours, instants)
    @settings(max_examples=40, deadline=None)
    def test_minute_by_minute_it_is_what_the_wall_clock_says(self, hours: BusinessHours, start: datetime) -> None:
        start = start.replace(second=0, microsecond=0)
        open_ones = sum(is_open(hours, start + n * MINUTE) for n in range(1440))
        assert business_minutes(hours, start, start + 1440 * MINUTE) == pytest.approx(open_ones, abs=1e-6)

    @given(hours, instants, minutes, st.floats(0, 5000))
    def test_a_pause_moves_a_deadline_by_the_open_time_in_it(
        self, hours: BusinessHours, start: datetime, length: float, pause: float
    ) -> None:
        due = add_business_time(hours, start, length)
        if due is None:
            return
        resumed = start + timedelta(minutes=pause)
        moved = add_business_time(hours, resumed, business_minutes(hours, start, due))
        if moved is not None:
            assert business_minutes(hours, resumed, moved) == pytest.approx(length, abs=1e-5)


class TestHoursThatNeverCome:
    @pytest.mark.parametrize(
        "hours",
        [
            BusinessHours(),
            BusinessHours(weekly=Week(mon=["09:00-09:01"])),
            BusinessHours(weekly=Week(mon=["09:00-17:00"]), holidays=[f"20{year}-01-05" for year in range(10, 60)]),
        ],
    )
    def test_the_search_ends(self, hours: BusinessHours) -> None:
        assert add_business_time(hours, datetime(2026, 1, 1, tzinfo=UTC), 525_600) is None

    def test_too_far_ahead_is_no_deadline(self) -> None:
        assert add_business_time(None, datetime(2026, 1, 1, tzinfo=UTC), 60 * 24 * 366 * 6) is None


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        "given",
        [
            {"timezone": "Europe/Nowhere"},
            {"timezone": "../../etc/passwd"},
            {"timezone": "Europe"},
            {"timezone": ""},
            {"weekly": {"mon": ["9-17"]}},
            {"weekly": {"mon": ["17:00-09:00"]}},
            {"weekly": {"mon": ["09:00-09:00"]}},
            {"weekly": {"mon": ["09:00-24:30"]}},
            {"weekly": {"mon": ["25:00-26:00"]}},
            {"weekly": {"someday": []}},
            {"weekly": {"mon": ["09:00-10:00"] * 11}},
            {"holidays": ["2026-02-30"]},
            {"holidays": ["25.12.2026"]},
        ],
    )
    def test_hours_that_mean_nothing(self, given: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            BusinessHours.model_validate(given)

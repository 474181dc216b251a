from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import UsageError
from tasks.windows import (
    Length,
    following_window,
    length_of,
    parse_window,
    previous_window,
    same_season,
    window_containing,
    windows_between,
)

TIMES = st.integers(0, 100 * 365 * 86_400).map(
    lambda seconds: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
LENGTHS = st.sampled_from(["day", "week", "month"])


@given(TIMES, LENGTHS)
def test_a_time_lies_in_its_window_and_in_neither_neighbour(moment, length):
    window = window_containing(moment, length)
    assert window.start <= moment < window.end
    before, after = previous_window(window), following_window(window)
    assert before.end == window.start
    assert after.start == window.end
    assert following_window(before) == previous_window(after) == window


@given(TIMES, LENGTHS)
def test_a_window_s_name_says_which_it_is(moment, length):
    window = window_containing(moment, length)
    assert parse_window(window.name) == parse_window(window.name, length) == window
    assert length_of(window) == length


@given(TIMES, st.integers(0, 500), LENGTHS)
def test_windows_between_two_of_them_leave_no_gap_and_no_overlap(moment, days, length):
    first = window_containing(moment, length)
    last = window_containing(moment + timedelta(days=days), length)
    windows = list(windows_between(first.start, last.end, length))
    assert windows[0] == first
    assert windows[-1] == last
    assert all(one.end == other.start for one, other in pairwise(windows))


def test_only_whole_windows_lie_between_two_times():
    start, end = datetime(2013, 1, 2, tzinfo=UTC), datetime(2013, 4, 30, 23, tzinfo=UTC)
    assert [each.name for each in windows_between(start, end, "month")] == ["2013-02", "2013-03"]
    assert list(windows_between(end, start, "day")) == []


@pytest.mark.parametrize(
    ("name", "before"), [("2013-07", "2012-07"), ("2013-07-14", "2012-07-15"), ("2013-W28", "2012-W28")]
)
def test_a_year_before_is_the_same_season(name, before):
    assert same_season(parse_window(name)).name == before


def test_a_time_counts_in_utc_wherever_it_was_read():
    new_york = datetime.fromisoformat("2013-07-31T22:00:00-04:00")
    assert window_containing(new_york, "month").name == "2013-08"


@pytest.mark.parametrize(
    ("name", "length", "why"),
    [
        ("2013-13", None, "There is no month '2013-13'"),
        ("2013-W60", None, "There is no week '2013-W60'"),
        ("2013-02-30", None, "There is no day"),
        ("July", None, "Expected the name of a window, received 'July'"),
        ("2013-07", "day", "Expected the name of a day, such as 2013-07-14"),
    ],
)
def test_another_name_is_refused_with_what_is_expected(name, length, why):
    with pytest.raises(UsageError, match=why):
        parse_window(name, length)


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(UsageError, match="with its zone"):
        window_containing(datetime(2013, 7, 1, tzinfo=UTC).replace(tzinfo=None), "day")


@pytest.mark.parametrize(
    ("first", "last", "length", "many", "days"),
    [
        ("2011-12", "2012-03", "month", 4, {29, 31}),
        ("2013-01", "2013-12", "month", 12, {28, 30, 31}),
        ("2000-02", "2000-02", "month", 1, {29}),
        ("2100-02", "2100-02", "month", 1, {28}),
        ("2012-02-27", "2012-03-02", "day", 5, {1}),
        ("2020-W52", "2021-W01", "week", 3, {7}),
        ("2014-W52", "2015-W53", "week", 54, {7}),
    ],
    ids=["a leap year", "a plain year", "2000", "2100", "29 February", "a year of 53 weeks", "another one"],
)
def test_calendars_leave_no_gap(first: str, last: str, length: Length, many: int, days: set[int]) -> None:
    start, end = parse_window(first).start, parse_window(last).end
    windows = list(windows_between(start, end, length))
    assert len(windows) == len({each.name for each in windows}) == many
    assert {(each.end - each.start).days for each in windows} == days
    assert sum((each.end - each.start for each in windows), timedelta()) == end - start


@given(TIMES, LENGTHS, st.sampled_from(["America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"]))
def test_no_clock_change_of_any_country_moves_a_window(moment: datetime, length: Length, zone: str) -> None:
    window = window_containing(moment.astimezone(ZoneInfo(zone)), length)
    assert window == window_containing(moment, length)
    assert (window.end - window.start) % timedelta(days=1) == timedelta()
    assert window.start.utcoffset() == window.end.utcoffset() == timedelta()

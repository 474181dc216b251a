"""The loop stops by itself: cooldown, cap a day, breaker."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts.upkeep import Retraining
from tasks.release.brakes import AlarmRun, count_in_vain, find_brake

START = datetime(2013, 1, 1, tzinfo=UTC)
RULES = Retraining(cooldown_days=2, max_per_day=1, breaker_after=3)

runs = st.lists(
    st.builds(AlarmRun, st.integers(0, 3_000).map(lambda hour: START + timedelta(hours=hour)), st.booleans())
)


def day(number: float, *, promoted: bool = False) -> AlarmRun:
    return AlarmRun(START + timedelta(days=number), promoted)


def kind(past: list[AlarmRun], now: float, rules: Retraining = RULES, breaker: str | None = None) -> str | None:
    brake = find_brake("shop", past, START + timedelta(days=now), rules, breaker=breaker)
    return brake.kind if brake else None


@pytest.mark.parametrize(
    ("past", "now", "expected"),
    [
        ([], 0, None),
        ([day(0)], 1.9, "cooldown"),
        ([day(0)], 2, None),
        ([day(0), day(9)], 4, None),
        ([day(5), day(0)], 6, "cooldown"),
    ],
    ids=["first", "too soon", "just over", "later runs do not count", "any order"],
)
def test_the_cooldown_runs_from_the_newest_retraining_before_now(past, now, expected) -> None:
    assert kind(past, now) == expected


def test_without_a_cooldown_the_cap_of_the_last_24_hours_holds() -> None:
    rules = Retraining(cooldown_days=0, max_per_day=2)
    assert kind([day(0)], 0.5, rules) is None
    assert kind([day(0), day(0.2)], 0.5, rules) == "cap"
    assert kind([day(0), day(0.2)], 1.0, rules) is None, "24 hours, not a date"


def test_an_open_breaker_holds_back_whatever_the_past_and_says_how_to_close_it() -> None:
    brake = find_brake("shop", [], START, RULES, breaker="3 gates in vain")
    assert brake is not None
    assert "3 gates in vain" in brake.reason
    assert "keepfit breaker shop --close" in brake.remedy


def test_gates_in_vain_are_counted_back_to_the_last_promotion() -> None:
    past = [day(1), day(2, promoted=True), day(3), day(4)]
    assert count_in_vain(past) == 2
    assert count_in_vain([]) == 0


@given(runs, st.randoms(use_true_random=False))
def test_the_order_in_which_runs_are_told_changes_nothing(past, random) -> None:
    shuffled = random.sample(past, len(past))
    assert kind(past, 60) == kind(shuffled, 60)
    if len({run.at for run in past}) == len(past):
        assert count_in_vain(past) == count_in_vain(shuffled)


@given(runs, st.integers(1, 5), st.floats(0, 10))
def test_however_often_the_world_alarms_no_day_has_more_than_its_cap(past, cap, cooldown_days) -> None:
    """Alarms at these times, each retrained unless held back, promote nothing: the share of each day stays bounded."""
    rules = Retraining(cooldown_days=cooldown_days, max_per_day=cap, breaker_after=3)
    started: list[AlarmRun] = []
    for alarm in sorted(past):
        if count_in_vain(started) < 3 and find_brake("shop", started, alarm.at, rules, breaker=None) is None:
            started.append(AlarmRun(alarm.at, promoted=False))
    assert len(started) <= 3
    for run in started:
        assert sum(timedelta(0) <= run.at - other.at < timedelta(days=1) for other in started) <= cap
    gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(started)]
    assert all(gap >= timedelta(days=cooldown_days) for gap in gaps)

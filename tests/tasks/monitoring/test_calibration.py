"""The rate of false alarms, and what is caught: few seeded windows here, many in `python -m benchmarks.drift`."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import special

from tasks.contracts.upkeep import Drift
from tasks.monitoring.comparisons import FLOOR, compare_window
from tasks.monitoring.counting import count_numbers
from tasks.monitoring.differences import effective_rows
from tasks.monitoring.drift import calibrate, decide_drift, draw_pseudo_windows
from tasks.monitoring.summaries import MeasureCounts, ReferenceSummary, WindowSummary
from tests.tasks.monitoring.builders import reference_of

pytestmark = pytest.mark.slow

WINDOWS = 300


def draw(rng, rows, features, correlation):
    shared = rng.standard_normal((rows, 1)) * np.sqrt(correlation)
    return shared + rng.standard_normal((rows, features)) * np.sqrt(1 - correlation)


def summarise(rows, reference: ReferenceSummary) -> WindowSummary:
    """What `summarize_window` counts, without a file."""
    counted = [count_numbers(rows[:, at], np.array(each.edges)) for at, each in enumerate(reference.measures)]
    return WindowSummary(
        rows=len(rows),
        measures=tuple(MeasureCounts(counts=tuple(each.counts.tolist()), missing=each.missing) for each in counted),
    )


def share_of_alarms(*, rows, features=10, correlation=0.0, shift=0.0, windows=WINDOWS, reference_rows=3_000, seed=0):
    alarms, rng, rules = 0, np.random.default_rng(seed), Drift()
    for _ in range(3):
        before = pd.DataFrame(draw(rng, reference_rows, features, correlation)).add_prefix("x")
        reference = reference_of(before, dict.fromkeys(before.columns, "number"))
        pseudo = draw_pseudo_windows(reference, rows, rules)
        for _ in range(windows // 3):
            now = draw(rng, rows, features, correlation)
            now[:, 0] += shift
            alarms += bool(decide_drift(reference, summarise(now, reference), rules, pseudo=pseudo).alarm)
    return alarms / windows


@pytest.mark.parametrize("correlation", [0.0, 0.7], ids=["independent", "correlated"])
@pytest.mark.parametrize(("rows", "reference_rows"), [(200, 3_000), (2_000, 3_000), (2_000, 300)])
def test_windows_without_a_change_alarm_as_seldom_as_promised(rows, reference_rows, correlation):
    share = share_of_alarms(rows=rows, correlation=correlation, reference_rows=reference_rows)
    assert share <= 0.01 + 3 * np.sqrt(0.01 / WINDOWS)


@pytest.mark.parametrize(("shift", "rows", "caught"), [(1.0, 200, 0.99), (0.3, 1_000, 0.95)])
def test_one_feature_of_ten_that_moves_is_caught(shift, rows, caught):
    assert share_of_alarms(rows=rows, shift=shift, windows=60) >= caught


def test_p_values_that_are_too_small_are_met_by_a_stricter_level():
    """The part that the formulas cannot do: whatever the tests get wrong, no-change windows alarm at the promised rate."""
    rng, rules = np.random.default_rng(1), Drift()
    before = pd.DataFrame(draw(rng, 3_000, 5, 0.0)).add_prefix("x")
    reference = reference_of(before, dict.fromkeys(before.columns, "number"))
    window = summarise(draw(rng, 300, 5, 0.0), reference)
    tests = compare_window(reference, window, draw_pseudo_windows(reference, 300, rules))
    wrong = [replace(each, null=each.null._replace(p=each.null.p**3), floor=0.0) for each in tests]
    honest, strict = (calibrate(each, 0.01) for each in (tests, wrong))
    assert strict.level < honest.level / 10
    assert honest.level <= 0.01


@pytest.mark.parametrize("rows", [100, 400, 100_000], ids=["small", "medium", "large"])
def test_a_threshold_is_what_chance_reaches_in_one_of_a_hundred_windows_and_never_below_the_floor(rows):
    rng = np.random.default_rng(2)
    before = pd.DataFrame(draw(rng, 3_000, 3, 0.0)).add_prefix("x")
    reference = reference_of(before, dict.fromkeys(before.columns, "number"))
    window = summarise(draw(rng, rows, 3, 0.0), reference)
    report = decide_drift(reference, window, Drift(min_rows=50))
    by_chance = special.kolmogi(0.01) / np.sqrt(effective_rows(rows, 3_000))
    for change in report.changes:
        assert change.threshold == pytest.approx(max(FLOOR, by_chance), rel=0.15)
        assert change.threshold >= FLOOR

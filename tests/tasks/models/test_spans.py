"""Folds in order of time: the past fits, the future judges, and the declared gap lies between."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from infra.errors import InsufficientData, SpecError
from tasks.contracts.project import Split
from tasks.models.partition import cross_validate, hold_out

START = np.datetime64("2024-03-01T00:00:00", "us")
MOMENTS = st.lists(st.integers(0, 400), min_size=8, max_size=80).map(np.array)
"""Hours after START; many rows at one moment among them."""
UNITS = {"h": 1, "d": 24, "w": 168}
SPANS = st.none() | st.integers(1, 20) | st.tuples(st.integers(1, 60), st.sampled_from(sorted(UNITS)))


def _part(hours, gap, window, folds):
    """Return the folds, and the single cut after them, of rows at these hours."""
    by = START + hours.astype("timedelta64[h]")
    split, target = Split(method="ordered", column="at", gap=_write(gap)), np.arange(len(by)) % 2
    try:
        found = cross_validate(target, by, split, folds=folds, repeats=1, seed=0, window=_write(window))
        return found, [hold_out(target, by, split, share=0.3, seed=0, window=_write(window))]
    except InsufficientData:
        assume(False)


def _write(span):
    return f"{span[0]}{span[1]}" if isinstance(span, tuple) else span


def _hours(span):
    return span[0] * UNITS[span[1]]


@given(MOMENTS, SPANS, SPANS, st.integers(2, 4))
def test_a_fold_never_fits_on_the_future_and_the_gap_lies_between(hours, gap, window, folds):
    found, single = _part(hours, gap, window, folds)
    for fit, judge in [*found, *single]:
        assert len(fit) > 0
        assert len(judge) > 0
        first = hours[judge].min()
        assert hours[fit].max() < first
        if isinstance(gap, int):
            older = np.argsort(hours, kind="stable")[: (hours < first).sum()]
            assert not set(fit) & set(older[-gap:])
        elif gap:
            assert first - hours[fit].max() >= _hours(gap)


@given(MOMENTS, SPANS, SPANS, st.integers(2, 4))
def test_no_row_is_judged_twice_and_the_same_rows_judge_whatever_the_gap_and_the_window(hours, gap, window, folds):
    found, single = _part(hours, gap, window, folds)
    judged = np.concatenate([judge for _, judge in found])
    assert len(set(judged)) == len(judged)
    plain = _part(hours, None, None, folds)
    for mine, other in zip([*found, *single], [*plain[0], *plain[1]], strict=True):
        assert np.array_equal(mine[1], other[1])
        assert set(mine[0]) <= set(other[0])


@given(MOMENTS, SPANS, st.integers(2, 4))
def test_without_a_window_every_row_before_the_gap_is_fitted_on(hours, gap, folds):
    for fit, judge in _part(hours, gap, None, folds)[0]:
        first, older = hours[judge].min(), np.flatnonzero(hours < hours[judge].min())
        if isinstance(gap, int):
            assert len(fit) == len(older) - gap
        else:
            assert set(fit) == {at for at in older if not gap or first - hours[at] >= _hours(gap)}


@given(MOMENTS, SPANS, SPANS.filter(bool), st.integers(2, 4))
def test_a_window_bounds_how_far_back_a_fold_reaches_and_leaves_out_nothing_else(hours, gap, window, folds):
    expanding, moving = _part(hours, gap, None, folds)[0], _part(hours, gap, window, folds)[0]
    for (everything, _), (fit, _) in zip(expanding, moving, strict=True):
        if isinstance(window, int):
            assert np.array_equal(fit, everything[-window:])
        else:
            newest = hours[everything].max()
            assert set(fit) == {at for at in everything if newest - hours[at] < _hours(window)}


@pytest.mark.parametrize(
    ("gap", "window", "message"),
    [
        ("1d", None, r"split.gap: expected times in 'at' to measure 1d by"),
        (None, "2w", "selection.window: expected times"),
    ],
    ids=["gap", "window"],
)
def test_a_length_of_time_between_rows_without_times_is_refused(gap, window, message):
    split = Split(method="ordered", column="at", gap=gap)
    with pytest.raises(SpecError, match=message) as caught:
        cross_validate(np.arange(20) % 2, np.arange(20), split, folds=3, repeats=1, seed=0, window=window)
    assert "as a number of rows" in caught.value.remedy


def test_a_gap_that_takes_all_that_the_first_fold_could_fit_on_is_refused_with_what_to_do():
    split = Split(method="ordered", column="at", gap=5)
    with pytest.raises(InsufficientData, match=r"before the gap of 5 rows .* all 5 older rows lie in it") as caught:
        cross_validate(np.arange(20) % 2, np.arange(20), split, folds=3, repeats=1, seed=0)
    assert "selection.folds" in caught.value.remedy

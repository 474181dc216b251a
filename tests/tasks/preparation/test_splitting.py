import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from infra.errors import InsufficientData, SpecError
from tasks.preparation.splitting import split_rows
from tests.tasks.models.examples import number_rows, numbers_spec

ONE = {"one": {"estimator": "sklearn.naive_bayes.GaussianNB"}}
METHODS = ("random", "ordered", "grouped")


def _spec(method: str, share: float = 0.25, *, stratify: bool = False, seed: int = 42):
    columns = {"a": {"type": "number"}, "y": {"type": "integer"}, "at": {"type": "integer", "feature": False}}
    split = {"method": method, "column": "at", "test_share": share, "seed": seed, "stratify": stratify}
    return numbers_spec(ONE, columns=columns, split=split)


@st.composite
def _frames(draw):
    n = draw(st.integers(8, 60))
    ats = draw(st.lists(st.integers(0, 15), min_size=n, max_size=n))
    ys = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    return pd.DataFrame({"a": np.arange(n, dtype=float), "y": ys, "at": ats})


def _split_or_skip(frame, spec):
    try:
        return split_rows(frame, spec)
    except InsufficientData:
        assume(False)


@given(_frames(), st.sampled_from(METHODS), st.floats(0.1, 0.6), st.integers(0, 5))
def test_a_split_is_a_partition(frame, method, share, seed):
    train, test = _split_or_skip(frame, _spec(method, share, seed=seed))
    assert sorted([*train, *test]) == list(range(len(frame)))
    assert len(train) > 0
    assert len(test) > 0


@given(_frames(), st.sampled_from(METHODS), st.integers(0, 5))
def test_the_same_rows_split_the_same_way_and_are_not_touched(frame, method, seed):
    before = frame.copy(deep=True)
    first, second = _split_or_skip(frame, _spec(method, seed=seed)), _split_or_skip(frame, _spec(method, seed=seed))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    pd.testing.assert_frame_equal(frame, before)


@given(_frames(), st.floats(0.1, 0.6))
def test_ordered_never_trains_on_the_future_nor_on_the_moment_of_the_test(frame, share):
    train, test = _split_or_skip(frame, _spec("ordered", share))
    assert frame["at"].to_numpy()[train].max() < frame["at"].to_numpy()[test].min()


@given(_frames(), st.floats(0.1, 0.6), st.integers(0, 5))
def test_grouped_never_shares_a_group(frame, share, seed):
    train, test = _split_or_skip(frame, _spec("grouped", share, seed=seed))
    assert not set(frame["at"].to_numpy()[train]) & set(frame["at"].to_numpy()[test])


@pytest.mark.parametrize("stratify", [False, True])
def test_random_is_scikit_learns_split_to_the_row_and_the_order(stratify):
    frame = number_rows(150)
    expected_train, expected_test = train_test_split(
        frame, test_size=0.25, random_state=42, stratify=frame["y"] if stratify else None
    )
    spec = numbers_spec(ONE, split={"test_share": 0.25, "seed": 42, "stratify": stratify})
    train, test = split_rows(frame, spec)
    pd.testing.assert_frame_equal(frame.iloc[train], expected_train)
    pd.testing.assert_frame_equal(frame.iloc[test], expected_test)


def test_ordered_takes_the_asked_share_where_values_differ():
    frame = pd.DataFrame({"a": 0.0, "y": [0, 1] * 50, "at": np.random.default_rng(0).permutation(100)})
    assert len(split_rows(frame, _spec("ordered", 0.2))[1]) == 20


@pytest.mark.parametrize(
    ("frame", "method", "message"),
    [
        (pd.DataFrame({"a": [1.0], "y": [0], "at": [0]}), "random", "at least 2 rows"),
        (pd.DataFrame({"a": 1.0, "y": [0] * 20, "at": range(20)}), "random", "two classes among the training"),
        (pd.DataFrame({"a": 1.0, "y": [0, 1] * 5 + [1] * 10, "at": range(20)}), "ordered", "classes among the test"),
        (pd.DataFrame({"a": 1.0, "y": [0, 1] * 8 + [2, 1, 2, 1], "at": range(20)}), "ordered", "no training row has"),
        (pd.DataFrame({"a": 1.0, "y": [0, 1] * 10, "at": [7] * 20}), "ordered", "before and after a cut"),
        (pd.DataFrame({"a": 1.0, "y": [0, 1] * 10, "at": [7] * 20}), "grouped", "at least 2 groups"),
        (pd.DataFrame({"a": 1.0, "y": [0, 1] * 10, "at": [None, *range(19)]}), "ordered", "1 of 20 are missing"),
        (pd.DataFrame({"a": 1.0, "y": [0, None] * 10, "at": range(20)}), "random", "10 without 'y'"),
    ],
    ids=[
        "one row",
        "one class",
        "one class in test",
        "unseen class",
        "one moment",
        "one group",
        "no order",
        "no target",
    ],
)
def test_rows_that_cannot_be_split_are_refused(frame, method, message):
    with pytest.raises(InsufficientData, match=message):
        split_rows(frame, _spec(method, 0.2))


def _times(days):
    return pd.Timestamp("2024-03-01", tz="UTC") + pd.to_timedelta(np.asarray(days, dtype=float), unit="D")


def _timed_frame(days):
    return pd.DataFrame({"a": np.arange(len(days), dtype=float), "y": [0, 1] * (len(days) // 2), "at": _times(days)})


def _timed_spec(test_days=None, column="at", **training_rows):
    columns = {"a": {"type": "number"}, "y": {"type": "integer"}, "at": {"type": "datetime"}}
    split = {"method": "ordered", "column": column, "test_share": 0.5, "test_days": test_days}
    rows = training_rows or {"keep": "all"}
    return numbers_spec(ONE, columns=columns, split=split, time="at", training_rows=rows)


@given(st.lists(st.integers(0, 40), min_size=4, max_size=40), st.floats(0.5, 30))
def test_test_days_takes_just_the_rows_of_the_last_days(days, test_days):
    days = [*days, *days]
    frame, spec = _timed_frame(days), _timed_spec(test_days)
    train, test = _split_or_skip(frame, spec)
    assert sorted([*train, *test]) == list(range(len(days)))
    newest = max(days)
    assert all(days[at] > newest - test_days for at in test)
    assert all(days[at] <= newest - test_days for at in train)


def test_where_no_row_is_older_than_the_test_days_nothing_is_left_to_train():
    with pytest.raises(InsufficientData, match=r"older than the last 30 days.*all 20 rows .* nothing is left to train"):
        split_rows(_timed_frame(range(20)), _timed_spec(30))


def test_test_days_of_a_column_without_times_are_refused():
    columns = {"a": {"type": "number"}, "y": {"type": "integer"}, "at": {"type": "integer", "feature": False}}
    spec = numbers_spec(ONE, columns=columns, split={"method": "ordered", "column": "at", "test_days": 3})
    with pytest.raises(SpecError, match="expected times in 'at'"):
        split_rows(pd.DataFrame({"a": 1.0, "y": [0, 1] * 10, "at": range(20)}), spec)


@given(st.integers(2, 40), st.floats(0.5, 50))
def test_the_last_days_before_the_test_train_and_older_rows_do_neither(test_days, days):
    frame = _timed_frame(range(60))
    everything = split_rows(frame, _timed_spec(test_days))
    try:
        train, test = split_rows(frame, _timed_spec(test_days, keep="last", days=days))
    except InsufficientData:
        assert days <= 1
        return
    assert np.array_equal(test, everything[1])
    newest = everything[0].max()
    assert set(train) == {at for at in everything[0] if newest - at < days}


def test_times_sort_as_times_whatever_their_zone():
    frame = _timed_frame(range(20))
    abroad = frame.assign(at=frame["at"].dt.tz_convert("America/New_York"))
    assert all(
        np.array_equal(a, b)
        for a, b in zip(split_rows(frame, _timed_spec(5)), split_rows(abroad, _timed_spec(5)), strict=True)
    )


@given(st.lists(st.integers(0, 40), min_size=6, max_size=60), st.integers(1, 30), st.sampled_from([None, 3]))
def test_rows_within_a_gap_of_so_long_neither_train_nor_test(days, gap, test_days):
    frame, plain = _timed_frame([*days, *days]), _timed_spec(test_days)
    spec = plain.model_copy(update={"split": plain.split.model_copy(update={"gap": f"{gap}d"})})
    everything = _split_or_skip(frame, plain)
    train, test = _split_or_skip(frame, spec)
    assert np.array_equal(test, everything[1])
    first = frame["at"].iloc[test].min()
    assert set(train) == {at for at in everything[0] if first - frame["at"].iloc[at] >= pd.Timedelta(days=gap)}


def test_a_gap_that_leaves_nothing_to_train_is_refused():
    plain = _timed_spec(10)
    spec = plain.model_copy(update={"split": plain.split.model_copy(update={"gap": "2w"})})
    with pytest.raises(InsufficientData, match=r"before the gap of 2w \(split.gap\).* all 10 older rows lie in it"):
        split_rows(_timed_frame(range(20)), spec)

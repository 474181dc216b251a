"""What is known of a scored row as of a time: laws over any deliveries."""

from datetime import UTC, datetime, timedelta
from random import Random

import hypothesis.strategies as st
import pandas as pd
import pytest
from hypothesis import given

from tasks.maturity import Delivery, count_matured, join_labels, latest_labels

FIRST = datetime(2013, 7, 1, tzinfo=UTC)
HOURS = st.integers(0, 96)
IDS = st.sampled_from(["a", "b", "c", "d", "not scored"])
DELAY = timedelta(hours=24)


def at(hours: int) -> datetime:
    return FIRST + timedelta(hours=hours)


def make_predictions(hours: dict[str, int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "row_id": pd.Series(list(hours), dtype="str"),
            "time": pd.to_datetime([at(hour) for hour in hours.values()], utc=True),
            "prediction": 1,
        }
    )


def make_delivery(hours: int, order: int, labels: dict[str, int]) -> Delivery:
    frame = pd.DataFrame(
        {"row_id": pd.Series(list(labels), dtype="str"), "truth": pd.array(list(labels.values()), "Int64")}
    )
    return Delivery(at(hours), order, frame)


predictions = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), HOURS, max_size=4).map(make_predictions)
deliveries = st.lists(st.tuples(HOURS, st.dictionaries(IDS, st.integers(0, 2), max_size=4)), max_size=6).map(
    lambda given: [make_delivery(hours, order, labels) for order, (hours, labels) in enumerate(given)]
)


def truths(joined: pd.DataFrame) -> dict[str, int]:
    known = joined[joined["truth"].notna()]
    return dict(zip(known["row_id"], known["truth"].astype(int), strict=True))


@pytest.mark.slow
@given(predictions, deliveries, HOURS, HOURS)
def test_maturity_never_falls_as_time_goes_on(
    scored: pd.DataFrame, given: list[Delivery], one: int, other: int
) -> None:
    earlier, later = (join_labels(scored, given, at(hours), DELAY) for hours in sorted((one, other)))
    assert set(truths(earlier)) <= set(truths(later))
    assert (later["due"] | ~earlier["due"]).all()
    before, after = count_matured(earlier), count_matured(later)
    assert before.matured <= after.matured
    assert before.due <= after.due
    assert after.matured <= after.due <= after.scored == len(scored)


@given(predictions, deliveries, HOURS, st.randoms(use_true_random=False))
def test_the_order_in_which_deliveries_are_given_does_not_matter(
    scored: pd.DataFrame, given: list[Delivery], hours: int, random: Random
) -> None:
    shuffled = random.sample(given, len(given))
    pd.testing.assert_frame_equal(
        join_labels(scored, given, at(hours), DELAY), join_labels(scored, shuffled, at(hours), DELAY)
    )


@given(predictions, deliveries, HOURS)
def test_a_label_is_used_neither_before_it_is_known_nor_before_it_is_due(
    scored: pd.DataFrame, given: list[Delivery], hours: int
) -> None:
    joined = join_labels(scored, given, at(hours), DELAY)
    for row in joined.itertuples():
        known = [one for one in given if one.known_at <= at(hours) and row.row_id in set(one.labels["row_id"])]
        if pd.isna(row.truth):
            assert not known or not row.due
        else:
            assert known
            assert row.time + DELAY <= at(hours)


@given(predictions, deliveries, HOURS)
def test_of_all_labels_of_a_row_the_one_known_last_counts(
    scored: pd.DataFrame, given: list[Delivery], hours: int
) -> None:
    expected: dict[str, int] = {}
    for one in sorted(given, key=lambda one: (one.known_at, one.order)):
        if one.known_at <= at(hours):
            expected |= dict(zip(one.labels["row_id"], one.labels["truth"], strict=True))
    found = truths(join_labels(scored, given, at(hours), DELAY))
    assert found == {row: expected[row] for row in found}


@given(predictions, deliveries, HOURS)
def test_predictions_come_back_as_they_were(scored: pd.DataFrame, given: list[Delivery], hours: int) -> None:
    copy = scored.copy(deep=True)
    joined = join_labels(scored, given, at(hours), DELAY)
    pd.testing.assert_frame_equal(scored, copy)
    pd.testing.assert_frame_equal(joined[list(copy.columns)], copy)


def test_a_correction_known_at_the_same_time_is_the_later_delivery() -> None:
    scored = make_predictions({"a": 0})
    first, second = make_delivery(30, 1, {"a": 0}), make_delivery(30, 2, {"a": 1})
    assert truths(join_labels(scored, [second, first], at(30), DELAY)) == {"a": 1}


def test_a_label_that_is_known_early_counts_when_it_is_due() -> None:
    scored, early = make_predictions({"a": 10}), make_delivery(11, 1, {"a": 1})
    assert truths(join_labels(scored, [early], at(33), DELAY)) == {}
    assert truths(join_labels(scored, [early], at(34), DELAY)) == {"a": 1}


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "str"])
def test_truths_keep_their_type_beside_missing_ones(dtype: str) -> None:
    labels = pd.DataFrame({"row_id": pd.Series(["a"], dtype="str"), "truth": pd.Series([1]).astype(dtype)})
    joined = join_labels(make_predictions({"a": 0, "b": 0}), [Delivery(at(1), 1, labels)], at(96), DELAY)
    assert str(joined["truth"].dtype) == dtype
    assert joined["truth"].isna().tolist() == [False, True]


def test_without_any_delivery_nothing_is_known() -> None:
    joined = join_labels(make_predictions({"a": 0}), [], at(96), DELAY)
    assert str(count_matured(joined)) == "matured 0 of 1 due (of 1 scored)"
    assert latest_labels([], at(96)).empty

"""Which rows are chosen: the worthiest, none twice, a share at random, the same for the same seed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.labelling.choice import choose_rows, find_distinct, number_alike

EVERY = np.arange(100, dtype=np.intp)
NONE = np.array([], dtype=np.uint64)


@given(
    worth=st.lists(st.floats(0, 1), min_size=1, max_size=30),
    rows=st.integers(1, 40),
    share=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_the_choice_is_of_different_rows_as_many_as_wanted_and_the_worthiest_of_what_chance_left(
    worth: list[float], rows: int, share: float, seed: int
) -> None:
    values = np.array(worth)
    picks = choose_rows(values, np.arange(len(values)), rows, share, seed)
    places = [pick.place for pick in picks]
    assert len(picks) == min(rows, len(values))
    assert len(set(places)) == len(places)
    assert sum(pick.picked == "random" for pick in picks) == round(len(picks) * share)
    left = [values[place] for place in range(len(values)) if place not in places]
    chosen = [values[pick.place] for pick in picks if pick.picked == "worth"]
    assert not left or not chosen or min(chosen) >= max(left)
    assert picks == choose_rows(values, np.arange(len(values)), rows, share, seed)


def test_the_random_share_is_drawn_from_all_rows_alike() -> None:
    worth = np.linspace(0, 1, 100)
    drawn = [p.place for seed in range(200) for p in choose_rows(worth, EVERY, 10, 0.5, seed) if p.picked == "random"]
    assert len(drawn) == 1000
    # The mean of 1,000 uniform places: 49.5 with a standard error of 0.91.
    assert np.mean(drawn) == pytest.approx(49.5, abs=5 * 0.91)


def test_the_order_does_not_tell_what_chose_a_row() -> None:
    worth = np.linspace(0, 1, 100)
    first = [choose_rows(worth, EVERY, 10, 0.5, seed)[0].picked for seed in range(60)]
    assert {"random", "worth"} == set(first)
    places = [pick.place for pick in choose_rows(worth, EVERY, 10, 0.0, 0)]
    assert places != sorted(places, reverse=True)


def test_of_rows_that_are_alike_one_stays_and_none_that_is_like_a_labelled_one() -> None:
    features = pd.DataFrame(
        {
            "size": [1.0, 1.0 + 1e-9, 2.0, 3.0, np.nan, np.nan],
            "words": ["Good film!", "good  FILM", "good film", "bad film", None, None],
        }
    )
    alike = number_alike(features)
    assert find_distinct(alike, NONE).tolist() == [0, 2, 3, 4]
    assert find_distinct(alike, alike[[3]]).tolist() == [0, 2, 4]


@given(st.lists(st.floats(), min_size=1, max_size=20), st.floats(1e-12, 1e-9))
def test_numbers_of_every_size_are_numbered_and_equal_ones_alike(values: list[float], little: float) -> None:
    alike = number_alike(pd.DataFrame({"x": [*values, *values]}))
    assert alike[: len(values)].tolist() == alike[len(values) :].tolist()
    assert len(np.unique(number_alike(pd.DataFrame({"x": [1.0, 1.0 + little, -1.0, 1.0001]})))) == 3


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, 2, None], dtype="Int64"),
        pd.Series([True, False, None], dtype="boolean"),
        pd.Series(["a", "b", None], dtype="str"),
        pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02", None], utc=True)),
        pd.Series([b"\x89PNG-", b"\x89PNG+", None]),
    ],
    ids=["integer", "boolean", "category", "datetime", "picture"],
)
def test_rows_of_every_type_are_told_apart(column: "pd.Series[object]") -> None:
    frame = pd.DataFrame({"x": pd.concat([column, column], ignore_index=True)})
    alike = number_alike(frame)
    assert len(np.unique(alike)) == 3
    assert alike[:3].tolist() == alike[3:].tolist()

"""Growing numbers of rows: nested, fair, and taken as the project parts rows."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts.project import Split
from tasks.training.study.growth import choose_shares, grow_rows

SHARES = (0.125, 0.25, 0.5, 1.0)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=12, max_size=80),
    st.sampled_from(["random", "ordered", "grouped"]),
)
def test_each_part_holds_the_smaller_ones_and_the_last_all_rows(rows: list[tuple[int, int]], method: str) -> None:
    target, by = (np.array(values) for values in zip(*rows, strict=True))
    growth = grow_rows(target, by, Split(method=method, column="at"), seed=0)
    parts = [growth.take(share) for share in SHARES]
    for small, large in pairwise(parts):
        assert set(small) <= set(large)
    assert parts[-1].tolist() == list(range(len(rows)))
    for part in parts:
        assert len(part)
        left = np.setdiff1d(np.arange(len(rows)), part)
        if method == "grouped":
            assert not set(by[part]) & set(by[left])
        if method == "ordered" and len(left):
            assert by[left].max() <= by[part].min(), "the newest rows are kept"


@given(st.integers(3, 200), st.integers(3, 200), st.integers(0, 5))
def test_at_random_every_beginning_has_the_shares_of_the_classes(few: int, many: int, seed: int) -> None:
    target = np.repeat([0, 1], [few, many])
    order = grow_rows(target, None, Split(), seed).order
    wanted = np.arange(1, len(target) + 1) * few / (few + many)
    assert np.abs(np.cumsum(target[order] == 0) - wanted).max() <= 1


def test_values_of_a_regression_are_taken_at_random() -> None:
    order = grow_rows(np.linspace(0, 1, 50), None, Split(), seed=0).order
    assert sorted(order) == list(range(50))
    assert order.tolist() != list(range(50))


@pytest.mark.parametrize(
    ("points", "rows", "expected"),
    [
        (3, 1000, [0.25, 0.5, 1.0]),
        (6, 100, [0.25, 0.5, 1.0]),
        (6, 10, [1.0]),
        (6, 10_000, [2.0**-i for i in range(5, -1, -1)]),
    ],
    ids=["as asked", "small ones left out", "too few rows", "all of them"],
)
def test_each_number_of_rows_is_twice_the_one_before(points: int, rows: int, expected: list[float]) -> None:
    assert choose_shares(points, rows, smallest=20) == expected

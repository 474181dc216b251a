import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.preparation.overlap import count_overlap

CELLS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["x", "y", None])), max_size=12)


def frame(cells, y):
    numbers, words = zip(*cells, strict=True) if cells else ((), ())
    return pd.DataFrame({"a": pd.array(numbers, "int64"), "b": pd.array(words, "str"), "y": y})


@given(train=CELLS, test=CELLS)
def test_a_test_row_overlaps_iff_its_features_stand_in_training_whatever_its_target(train, test):
    expected = sum(cells in train for cells in test)
    assert count_overlap(frame(train, 0), frame(test, 1), ["a", "b"]) == expected


@pytest.mark.parametrize("missing", [np.nan, None], ids=["number", "word"])
def test_rows_that_miss_the_same_cell_are_the_same(missing):
    rows = pd.DataFrame({"a": [missing], "b": [1]})
    assert count_overlap(rows, rows.copy(), ["a", "b"]) == 1


def test_the_index_and_the_order_of_columns_do_not_count():
    rows = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    assert count_overlap(rows, rows[["b", "a"]].set_axis([7, 8]), ["a", "b"]) == 2

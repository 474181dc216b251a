import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts.columns import Column
from tasks.images import encode_png
from tasks.validation.conforming import conform_types, settle_types

PICTURE = encode_png(np.arange(12, dtype=np.uint8).reshape(3, 4))
CELLS = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.text(max_size=5),
    st.sampled_from(["1", "2.5", "true", "2024-01-01", "1e999", "nan", " 7 ", "NA", "0x10", "1_000"]),
    st.datetimes(),
    st.dates(),
    st.decimals(allow_nan=False),
    st.just(Decimal("NaN")),
    st.binary(max_size=3),
    st.just(PICTURE),
    st.lists(st.integers(), max_size=2),
)
TYPES = ["number", "integer", "boolean", "category", "text", "datetime", "image"]
DTYPES = {
    "number": "float64", "integer": "Int64", "boolean": "boolean", "category": "str", "text": "str", "image": "object"
}  # fmt: skip


def conform(cells, kind, **column):
    return conform_types(pd.DataFrame({"x": cells}), {"x": Column(type=kind, **column)})["x"]


def read(cells, kind, **column):
    part = conform(cells, kind, **column)
    return [None if pd.isna(value) else value for value in part.values], part.unreadable.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("kind", TYPES)
@given(cells=st.lists(CELLS, max_size=8))
def test_whatever_comes_a_cell_is_missing_unreadable_or_of_its_type(kind, cells):
    raw = pd.Series(cells, dtype=object)
    part = conform_types(pd.DataFrame({"x": raw}), {"x": Column(type=kind)})["x"]
    missing = np.array(
        [cell is None or (isinstance(cell, float | Decimal) and cell != cell) for cell in cells], dtype=bool
    )
    assert str(part.values.dtype).startswith(DTYPES.get(kind, "datetime64"))
    assert not (part.unreadable & missing).any()
    assert (part.values.isna().to_numpy() == (part.unreadable | missing)).all()


@pytest.mark.slow
@given(cells=st.lists(st.one_of(st.none(), st.integers(-(2**53), 2**53)), min_size=1))
def test_the_same_whole_numbers_come_out_of_every_form(cells):
    expected = pd.Series(cells, dtype="Int64")
    forms = [expected, expected.astype(object), expected.astype("Float64"), expected.astype("string")]
    for form in forms:
        part = conform(form, "integer")
        pd.testing.assert_series_equal(part.values, expected, check_names=False)
        assert not part.unreadable.any()


@given(cells=st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1))
def test_numbers_keep_every_bit(cells):
    expected = np.array(cells, dtype=float)
    for form in (expected, pd.array(cells, dtype="Float64"), [None if c is None else repr(c) for c in cells]):
        np.testing.assert_array_equal(conform(form, "number").values.to_numpy(), expected)


@pytest.mark.parametrize(
    ("kind", "cells", "values", "unreadable"),
    [
        ("number", [True, False], [None, None], [True, True]),
        ("number", ["1.5", "abc", None], [1.5, None, None], [False, True, False]),
        ("number", [Decimal("1.5"), None], [1.5, None], [False, False]),
        ("number", [2**53 + 1, 1], [None, 1.0], [True, False]),
        ("integer", [1.0, 2.5, float("inf")], [1, None, None], [False, True, True]),
        ("integer", ["123456789012345678", "5.0", "5.5"], [123456789012345678, 5, None], [False, False, True]),
        ("integer", [2**70, 3], [None, 3], [True, False]),
        ("boolean", [0, 1, 2], [False, True, None], [False, False, True]),
        ("boolean", ["TRUE", "false", "yes"], [True, False, None], [False, False, True]),
        ("category", [3.0, None, 3.5], ["3", None, "3.5"], [False, False, False]),
        ("category", [1, "x", [2]], ["1", "x", None], [False, False, True]),
        ("text", ["a", 5, None], ["a", None, None], [False, True, False]),
        ("text", [1, 2], [None, None], [True, True]),
        ("datetime", [5, 6], [None, None], [True, True]),
        (
            "datetime",
            ["2024-05-01T12:00:00+02:00", "soon"],
            [pd.Timestamp("2024-05-01 10:00", tz="UTC"), None],
            [False, True],
        ),
        ("datetime", [dt.date(2024, 1, 1), None], [pd.Timestamp("2024-01-01", tz="UTC"), None], [False, False]),
    ],
)
def test_a_cell_is_read_where_nothing_is_lost(kind, cells, values, unreadable):
    assert read(pd.Series(cells, dtype=object), kind) == (values, unreadable)


@pytest.mark.parametrize(
    ("allowed", "cells", "values"),
    [
        ([0, 1], ["0", 1.0, None], [0, 1, None]),
        ([True, False], ["true", 0, None], [True, False, None]),
        ([0.5, 1], ["0.5", 1, None], [0.5, 1.0, None]),
        (["0", "1"], ["0", 1, None], ["0", "1", None]),
    ],
    ids=["integers", "truth values", "numbers", "words"],
)
def test_a_category_has_the_type_of_its_allowed_values(allowed, cells, values):
    assert read(pd.Series(cells, dtype=object), "category", allowed=allowed) == (values, [False] * 3)


def test_a_gap_does_not_rename_a_category():
    assert read([3, 4], "category")[0] == ["3", "4"]
    assert read([3, None], "category")[0] == ["3", None]


def test_a_time_without_zone_is_utc_and_a_time_with_one_is_converted():
    naive = conform(pd.to_datetime(["2024-05-01 12:00"]), "datetime").values
    there = conform(pd.to_datetime(["2024-05-01 14:00"]).tz_localize("Europe/Berlin"), "datetime").values
    assert naive[0] == there[0] == pd.Timestamp("2024-05-01 12:00", tz="UTC")


def test_columns_without_gaps_settle_in_plain_types():
    frame = pd.DataFrame({"i": pd.array([1, 2], "Int64"), "b": pd.array([True, None], "boolean"), "t": ["a", "b"]})
    assert [str(dtype) for dtype in settle_types(frame).dtypes] == ["int64", "boolean", "str"]


@pytest.mark.parametrize("cells", [[PICTURE, b"x", None], [PICTURE, "x", None], [PICTURE, 7, None]], ids=str)
def test_a_picture_is_read_as_it_is_and_anything_else_is_marked(cells):
    assert read(cells, "image") == ([PICTURE, None, None], [False, True, False])

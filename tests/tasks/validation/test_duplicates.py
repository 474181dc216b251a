import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts.columns import Column
from tasks.validation.duplicates import (
    count_different,
    find_constants,
    find_duplicates,
    find_rare_classes,
    is_constant,
)
from tests.tasks.validation.projects import make_spec

SPEC = make_spec(
    {
        "id": Column(type="integer"),
        "x": Column(type="number"),
        "t": Column(type="text"),
        "kind": Column(type="category"),
    }
)
ROWS = st.lists(
    st.tuples(st.sampled_from([0.0, -0.0, 1.5, None]), st.sampled_from(["a", "b", None]), st.sampled_from("uv")),
    min_size=1,
)


def frame_of(rows):
    frame = pd.DataFrame(rows, columns=["x", "t", "kind"]).astype({"x": float, "t": "str", "kind": "str"})
    return frame.assign(id=range(len(frame)))


@given(ROWS)
def test_repeated_and_contradicting_rows_are_counted_as_pandas_counts_them(rows):
    frame = frame_of(rows)
    repeated = int(frame.duplicated(["x", "t", "kind"]).sum())
    kinds = frame.groupby(["x", "t"], dropna=False)["kind"].transform("nunique")
    expected = [f"{repeated} of {len(frame)} rows repeat"] * (repeated > 0)
    expected += [f"{int((kinds > 1).sum())} of {len(frame)} rows have the same features"] * bool((kinds > 1).any())
    found = find_duplicates(frame, SPEC)
    assert [sentence.startswith(start) for sentence, start in zip(found, expected, strict=True)] == [True] * len(
        expected
    )


@given(st.lists(st.sampled_from([1.0, None, 2.0])))
def test_a_column_is_constant_when_it_has_one_value_missing_counted(cells):
    assert is_constant(pd.Series(cells, dtype=float)) == (len(set(cells)) <= 1)


def test_a_late_change_makes_a_column_vary():
    assert not is_constant(pd.Series([1.0] * 5000 + [2.0]))


def test_constant_features_and_rare_classes_are_named():
    frame = frame_of([(1.0, "a", "u")] * 20 + [(1.0, "b", "v")] * 2)
    assert find_constants(frame, SPEC) == ["x"]
    assert find_rare_classes(frame, SPEC) == ["Classes with fewer than 5 rows: 'v (2)'."]


@given(ROWS, st.integers(1, 8))
def test_different_rows_are_counted_as_pandas_counts_them(rows, enough):
    frame = frame_of(rows)
    content = frame.drop(columns="id").astype(object).where(frame.drop(columns="id").notna(), None)
    assert count_different(frame, SPEC, enough) == min(enough, len(content.drop_duplicates()))

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import frames
from infra.errors import DataError, IntegrityError
from infra.frames import digest_frame, join_parquet, read_parquet, write_parquet

NUMBERS = st.lists(st.one_of(st.none(), st.floats(allow_nan=True)), min_size=1, max_size=30)
TEXTS = st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]))), min_size=1, max_size=30)
UTC = dt.UTC

COLUMNS = {
    "float": [1.5, None, -0.0, float("inf")],
    "integer": [1, 2, 3, -(2**63)],
    "unsigned": pd.Series([0, 1, 2, 2**64 - 1], dtype="uint64"),
    "nullable": pd.array([1, None, 3, 4], dtype="Int64"),
    "truth": [True, False, True, True],
    "nullable truth": pd.array([True, None, False, True], dtype="boolean"),
    "text": ["a", None, "", "ü\x00"],
    "category": pd.Categorical(["x", None, "y", "x"], categories=["y", "x", "unused"]),
    "numbers as category": pd.Categorical([1, 2, 1, 2]),
    "instant": pd.to_datetime(
        ["2020-01-01", None, "2020-01-02T03:04:05.000000007", "1969-01-01"], utc=True, format="ISO8601"
    ),
    "local instant": pd.date_range("2020-03-29", periods=4, freq="h", tz="Europe/Amsterdam"),
    "wall time": pd.date_range("2020-01-01", periods=4, unit="s"),
    "far away": pd.Series(["9999-12-31", "0001-01-01", None, "2000-01-01"], dtype="datetime64[s]"),
    "duration": pd.to_timedelta([1, None, 3, 4], unit="ms"),
    "date": [dt.date(2020, 1, 1), None, dt.date(1, 1, 1), dt.date(9999, 12, 31)],
    "time": [dt.time(1, 2, 3, 4), None, dt.time(0), dt.time(23)],
    "decimal": [Decimal("1.50"), None, Decimal("2.25"), Decimal("-1")],
    "bytes": [b"", None, b"\xff", b"a"],
    "nothing": [None] * 4,
}


RETYPED = {"far away", "wall time", "numbers as category"}
"""Parquet has no whole seconds (they come back as milliseconds) and keeps only categories that are text."""


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_survives_the_round_trip_with_its_type_and_digest(name, tmp_path):
    frame = pd.DataFrame({name: COLUMNS[name]})
    write_parquet(frame, tmp_path / "x.parquet")
    for back in (read_parquet(tmp_path / "x.parquet"), read_parquet((tmp_path / "x.parquet").read_bytes())):
        assert digest_frame(back) == digest_frame(frame)
        if name not in RETYPED:
            assert back.dtypes[name] == frame.dtypes[name]
            pd.testing.assert_frame_equal(back, frame)


@pytest.mark.parametrize("name", COLUMNS)
def test_every_cell_counts(name):
    frame = pd.DataFrame({name: COLUMNS[name]})
    digests = {digest_frame(frame.iloc[[row]]) for row in range(4)}
    assert len(digests) == len({repr(value) for value in frame[name]})


@pytest.mark.slow
@given(NUMBERS, TEXTS)
def test_equal_content_has_one_digest_whatever_holds_it(numbers, texts):
    rows = min(len(numbers), len(texts))
    plain = pd.DataFrame({"n": np.array(numbers[:rows], dtype=float), "t": pd.array(texts[:rows], dtype="str")})
    other = pd.DataFrame(
        {
            "t": pd.Categorical(texts[:rows]) if any(texts[:rows]) else plain["t"].array,
            "n": plain["n"].astype("Float64").array,
        },
        index=range(7, 7 + rows),
    )
    assert digest_frame(plain) == digest_frame(other)
    assert digest_frame(plain) == digest_frame(plain.astype({"t": "string"}))
    assert digest_frame(plain) == digest_frame(plain.astype({"t": pd.ArrowDtype(pa.string())}))
    assert digest_frame(plain) == digest_frame(plain.astype({"t": object})) or plain["t"].isna().all()


@given(NUMBERS, st.integers(1, 7))
def test_the_size_of_blocks_does_not_show(numbers, block_rows):
    frame = pd.DataFrame({"n": np.array(numbers, dtype=float), "t": [str(value) for value in numbers]})
    whole, before = digest_frame(frame), frames.BLOCK_ROWS
    try:
        frames.BLOCK_ROWS = block_rows
        assert digest_frame(frame) == whole
    finally:
        frames.BLOCK_ROWS = before


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab")), min_size=2, max_size=10))
def test_the_order_of_rows_counts_and_that_of_columns_does_not(rows):
    frame = pd.DataFrame(rows, columns=["i", "t"])
    turned = frame[::-1].reset_index(drop=True)
    assert digest_frame(frame) == digest_frame(frame[["t", "i"]])
    assert (digest_frame(frame) == digest_frame(turned)) == frame.equals(turned)


def test_row_10001_and_a_date_column_count():
    frame = pd.DataFrame({"n": np.arange(20_000), "day": [dt.date(2020, 1, 1)] * 20_000})
    late = frame.copy()
    late.loc[10_001, "n"] = -1
    redated = frame.assign(day=[*frame["day"][:-1], dt.date(2020, 1, 2)])
    assert len({digest_frame(each) for each in (frame, late, redated, frame.drop(columns="day"))}) == 4


def test_what_counts_as_one_number_and_as_another():
    def digest(*values, dtype="float64"):
        return digest_frame(pd.DataFrame({"x": pd.array(values, dtype=dtype)}))

    assert digest(0.0) == digest(-0.0)
    assert digest(float("nan")) == digest(None)
    assert digest(1, dtype="int8") == digest(1, dtype="Int64") == digest(1, dtype="uint64")
    assert digest(1.0) != digest(1, dtype="int64")
    assert digest(float("inf")) != digest(float("-inf")) != digest(float("nan"))
    assert digest("1", dtype="str") != digest(1, dtype="int64")


def test_a_cell_cannot_move_into_its_neighbour():
    def digest(**columns):
        return digest_frame(pd.DataFrame(columns))

    assert digest(a=["xy", ""]) != digest(a=["x", "y"])
    assert digest(a=["", None]) != digest(a=[None, ""])
    assert digest(a=["x"], b=["y"]) != digest(a=["y"], b=["x"])
    assert digest(ab=["x"]) != digest(b=["x"])


def test_the_same_instant_shown_in_another_zone_is_the_same():
    there = pd.DataFrame({"t": pd.date_range("2020-01-01", periods=3, freq="h", tz="Asia/Tokyo")})
    assert digest_frame(there) == digest_frame(there.assign(t=there["t"].dt.tz_convert("UTC").dt.as_unit("ns")))
    assert digest_frame(there) != digest_frame(there.assign(t=there["t"].dt.tz_localize(None)))


def test_the_file_of_another_writer_has_the_digest_of_its_content(tmp_path):
    frame = pd.DataFrame({"n": [1.5, 2.5], "t": ["a", "b"], "i": [1, 2]})
    table = pa.table({"n": [1.5, 2.5], "t": ["a", "b"], "i": [1, 2]})
    pq.write_table(table, tmp_path / "x.parquet", compression="none", version="1.0", use_dictionary=False)
    assert digest_frame(read_parquet(tmp_path / "x.parquet")) == digest_frame(frame)


def test_the_same_frame_gives_the_same_bytes(tmp_path):
    frame = pd.DataFrame({"n": [1.5, None], "t": ["a", "b"]}, index=[5, 6])
    frame.attrs = {"note": "not data"}
    write_parquet(frame, tmp_path / "a.parquet")
    write_parquet(frame.reset_index(drop=True), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert frame.attrs == {"note": "not data"}


def test_more_rows_than_a_block_come_back_in_order(tmp_path):
    frame = pd.DataFrame({"n": np.arange(frames.BLOCK_ROWS + 3), "o": [None] * frames.BLOCK_ROWS + ["a", "b", None]})
    write_parquet(frame, tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "x.parquet"), frame)


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"a": []}), pd.DataFrame({"a": [1]}).iloc[:0]], ids=str)
def test_no_rows_survive_too(frame, tmp_path):
    write_parquet(frame, tmp_path / "x.parquet")
    assert digest_frame(read_parquet(tmp_path / "x.parquet")) == digest_frame(frame)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b"", lambda b: b"PAR1" + b[4:-4] + b"TORN"], ids=["cut", "empty", "foreign"]
)
def test_a_torn_file_is_refused(damage, tmp_path):
    write_parquet(pd.DataFrame({"a": range(100)}), tmp_path / "x.parquet")
    with pytest.raises(IntegrityError, match="whole Parquet file"):
        read_parquet(damage((tmp_path / "x.parquet").read_bytes()))


@pytest.mark.parametrize("act", [digest_frame, lambda frame: write_parquet(frame, "never")], ids=["digest", "write"])
@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"a": [1, "x"]}, dtype=object), "'a': expected values of one type"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one 'a'"),
        (pd.DataFrame([[1]], columns=[7]), "names that are text, received 7"),
    ],
    ids=["mixed", "twice", "number as name"],
)
def test_what_has_no_canonical_form_is_refused(act, frame, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        act(frame)


def test_nested_values_have_no_digest():
    with pytest.raises(DataError, match="received list"):
        digest_frame(pd.DataFrame({"a": [[1], [2]]}))


def join(tmp_path, *frames, columns):
    parts = [tmp_path / f"{place}.parquet" for place in range(len(frames))]
    for frame, path in zip(frames, parts, strict=True):
        write_parquet(frame, path)
    join_parquet(parts, columns, tmp_path / "joined.parquet")
    return read_parquet(tmp_path / "joined.parquet")


def test_joined_files_hold_the_rows_of_each_in_order_and_no_other_column(tmp_path):
    one = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [True, False]})
    two = pd.DataFrame({"c": [None, None, None], "b": ["y", "z", None], "a": [0.5, None, 3.0]})
    joined = join(tmp_path, one, two, one, columns=["a", "b", "c"])
    expected = {"a": [1.0, 2, 0.5, None, 3, 1, 2], "b": ["x", None, "y", "z", None, "x", None]}
    expected["c"] = [True, False, None, None, None, True, False]
    assert digest_frame(joined) == digest_frame(pd.DataFrame(expected))
    assert list(join(tmp_path, one, two, columns=["b"]).columns) == ["b"]


def test_no_file_is_a_table_without_rows(tmp_path):
    joined = join(tmp_path, columns=["a", "b"])
    assert (list(joined.columns), len(joined)) == (["a", "b"], 0)


@pytest.mark.parametrize(
    "other", [pd.DataFrame({"b": [1]}), pd.DataFrame({"a": ["x"]})], ids=["no such column", "text"]
)
def test_files_that_no_table_can_hold_are_refused(tmp_path, other):
    with pytest.raises(DataError, match="in one type throughout, received 2 files that differ"):
        join(tmp_path, pd.DataFrame({"a": [1.5]}), other, columns=["a"])

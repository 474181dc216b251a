import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.errors import SourceError
from infra.sources.parquet_files import read_parquet


def write(folder, name, **columns):
    pq.write_table(pa.table(columns), folder / name)


def test_integers_and_truth_values_with_gaps_keep_their_type(tmp_path):
    write(tmp_path, "x.parquet", i=pa.array([2**53 + 1, None]), b=[True, None], n=[1.5, None], t=["a", None])
    frame = read_parquet("x.parquet", tmp_path)
    assert frame["i"].tolist() == [2**53 + 1, pd.NA]
    assert [str(frame[name].dtype) for name in "ibn"] == ["Int64", "boolean", "float64"]


def test_files_go_one_below_the_other_by_name_and_widen(tmp_path):
    write(tmp_path, "1.parquet", a=[1], b=["x"])
    write(tmp_path, "2.parquet", b=["y"], a=[2.5])
    frame = read_parquet("*.parquet", tmp_path)
    assert frame["a"].tolist() == [1.0, 2.5]
    assert frame["b"].tolist() == ["x", "y"]


def test_types_that_do_not_go_together_are_refused(tmp_path):
    write(tmp_path, "1.parquet", a=[1])
    write(tmp_path, "2.parquet", a=["x"])
    with pytest.raises(SourceError, match="expected one type a column"):
        read_parquet("*.parquet", tmp_path)


def test_other_columns_and_other_formats_are_refused(tmp_path):
    write(tmp_path, "1.parquet", a=[1])
    write(tmp_path, "2.parquet", c=[1])
    with pytest.raises(SourceError, match="lacking 'a', added 'c'"):
        read_parquet("?.parquet", tmp_path)
    (tmp_path / "torn.parquet").write_bytes((tmp_path / "1.parquet").read_bytes()[:-8])
    with pytest.raises(SourceError, match=r"torn\.parquet: expected a whole Parquet file"):
        read_parquet("torn.parquet", tmp_path)

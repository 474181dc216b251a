import sqlite3
from datetime import UTC, datetime

import pandas as pd
import pytest

from infra.errors import SourceError
from infra.frames import digest_frame
from tasks.contracts.candidates import Candidate
from tasks.contracts.columns import Column
from tasks.contracts.project import ProjectSpec, Source, Sql
from tasks.ingestion.reading import read_source

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def project(source, row_id=None):
    return ProjectSpec(
        name="p",
        source=source,
        columns={
            "id": Column(type="integer"),
            "name": Column(type="text"),
            "code": Column(type="category", allowed=["NA", "007"]),
            "y": Column(type="boolean"),
        },
        target="y",
        row_id=row_id,
        candidates={"dummy": Candidate(estimator="sklearn.dummy.DummyClassifier")},
    )


def read(source, folder, function=None, **kwargs):
    return read_source(project(source, **kwargs), folder, NOON, lambda name: function)


def test_a_function_gets_what_it_asks_for_and_nothing_else(tmp_path):
    def rows(folder, as_of):
        return pd.DataFrame({"folder": [str(folder)], "as_of": [as_of]})

    frame, described = read(Source(function="data:rows"), tmp_path, rows)
    assert frame.to_dict("list") == {"folder": [str(tmp_path)], "as_of": [NOON]}
    assert described == "function data:rows"
    assert read(Source(function="data:rows"), tmp_path, lambda: pd.DataFrame({"a": [1]}))[0]["a"].tolist() == [1]


def test_a_named_index_is_a_column_and_an_unnamed_one_is_not(tmp_path):
    frame = pd.DataFrame({"a": [1, 2]}, index=[7, 8])
    assert list(read(Source(function="d:f"), tmp_path, lambda: frame)[0].columns) == ["a"]
    named = read(Source(function="d:f"), tmp_path, lambda: frame.rename_axis("id"))[0]
    assert named["id"].tolist() == [7, 8]


@pytest.mark.parametrize(
    ("returned", "message"),
    [([1], "expected a pandas DataFrame, received list"), (pd.DataFrame([[1]]), "names that are text, received 0")],
    ids=["list", "unnamed"],
)
def test_a_function_that_gives_no_rows_is_refused(returned, message, tmp_path):
    with pytest.raises(SourceError, match=message):
        read(Source(function="d:f"), tmp_path, lambda: returned)


def test_text_and_categories_of_a_csv_are_read_as_written(tmp_path):
    (tmp_path / "x.csv").write_text("id,name,code,y\n1,None,NA,true\n2,,007,false\n3,12,null,true\n")
    frame, described = read(Source(csv="*.csv"), tmp_path)
    assert described == "csv *.csv"
    assert frame["name"].fillna("-").tolist() == ["None", "-", "12"]
    assert frame["code"].fillna("-").tolist() == ["NA", "007", "-"]
    assert frame["id"].tolist() == [1, 2, 3]


def test_parquet_files_are_read(tmp_path):
    pd.DataFrame({"a": [1, 2]}).to_parquet(tmp_path / "x.parquet")
    frame, described = read(Source(parquet=["x.parquet"]), tmp_path)
    assert (frame["a"].tolist(), described) == ([1, 2], "parquet x.parquet")


def test_the_same_rows_of_a_query_are_the_same_snapshot_in_whatever_order_they_come(tmp_path, monkeypatch):
    digests = set()
    for name, ids in (("a", [1, 2, 3]), ("b", [3, 1, 2])):
        with sqlite3.connect(tmp_path / name) as database:
            database.execute("CREATE TABLE t (id INTEGER, name TEXT)")
            database.executemany("INSERT INTO t VALUES (?, ?)", [(i, f"n{i}") for i in ids])
        database.close()
        monkeypatch.setenv("WAREHOUSE", f"sqlite:///{tmp_path / name}")
        sql = Source(sql=Sql(query="SELECT *\n FROM t", url_env="WAREHOUSE"))
        frame, described = read(sql, tmp_path, row_id="id")
        digests.add(digest_frame(frame))
        assert described == "sql SELECT * FROM t (database in WAREHOUSE)"
    assert len(digests) == 1
    ordered = Source(sql=Sql(query="SELECT * FROM t ORDER BY id DESC", url_env="WAREHOUSE"))
    assert read(ordered, tmp_path, row_id="id")[0]["id"].tolist() == [3, 2, 1]

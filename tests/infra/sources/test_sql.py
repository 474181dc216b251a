import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import pandas as pd
import pytest

from infra.errors import SourceError, SourceUnavailable
from infra.sources.sql import read_sql

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
SECRET = "canary-pass-word"


@pytest.fixture
def url(tmp_path, monkeypatch):
    path = tmp_path / "data.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE sale (id INTEGER, amount REAL, big INTEGER, at TIMESTAMP, note TEXT)")
        rows = [
            (1, 1.5, 2**53 + 1, "2024-05-01 11:59:59.000000", "a"),
            (2, None, None, "2024-05-01 12:00:00.000000", None),
            (3, 3.5, 5, "2024-05-01 12:00:01.000000", "c"),
        ]
        database.executemany("INSERT INTO sale VALUES (?, ?, ?, ?, ?)", rows)
    database.close()
    monkeypatch.setenv("WAREHOUSE", f"sqlite:///{path}")
    return path


def test_as_of_is_bound_in_utc(url):
    query = "SELECT id FROM sale WHERE at <= :as_of ORDER BY id"
    assert read_sql(query, "WAREHOUSE", NOON)["id"].tolist() == [1, 2]
    elsewhere = NOON.astimezone(timezone(timedelta(hours=9)))
    assert read_sql(query, "WAREHOUSE", elsewhere)["id"].tolist() == [1, 2]


def test_a_query_without_as_of_is_read_whole_and_integers_stay_exact(url):
    frame = read_sql("SELECT * FROM sale ORDER BY id", "WAREHOUSE", NOON)
    assert frame["big"].tolist() == [2**53 + 1, pd.NA, 5]
    assert frame["note"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize("query", ["DELETE FROM sale", "DROP TABLE sale", "INSERT INTO sale (id) VALUES (9)"])
def test_nothing_is_ever_written(url, query):
    with pytest.raises(SourceError, match="WAREHOUSE"):
        read_sql(query, "WAREHOUSE", NOON)
    assert len(read_sql("SELECT * FROM sale", "WAREHOUSE", NOON)) == 3


def test_a_query_that_cannot_be_meant_says_why(url):
    with pytest.raises(SourceError, match="no such column: nosuch"):
        read_sql("SELECT nosuch FROM sale", "WAREHOUSE", NOON)


def test_an_unset_variable_is_named():
    with pytest.raises(SourceError, match="environment variable NO_SUCH_WAREHOUSE, found none"):
        read_sql("SELECT 1", "NO_SUCH_WAREHOUSE", NOON)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://user:{SECRET}@127.0.0.1:1/db",
        f"nosuchdatabase://user:{SECRET}@host/db",
        f"user:{SECRET}@host",
        f"postgresql+psycopg://user:{SECRET}@host:notaport/db",
    ],
    ids=["nobody there", "unknown driver", "no URL", "no port"],
)
def test_the_password_is_in_no_message_and_no_cause(url, monkeypatch):
    monkeypatch.setenv("WAREHOUSE", url)
    with pytest.raises(SourceError, match="WAREHOUSE") as caught:
        read_sql("SELECT 1", "WAREHOUSE", NOON)
    error = caught.value
    assert SECRET not in str(error)
    assert error.__suppress_context__
    assert error.__cause__ is None


def test_a_database_that_does_not_answer_may_be_asked_again(monkeypatch):
    monkeypatch.setenv("WAREHOUSE", "postgresql+psycopg://user@127.0.0.1:1/db")
    with pytest.raises(SourceUnavailable, match="WAREHOUSE"):
        read_sql("SELECT 1", "WAREHOUSE", NOON)

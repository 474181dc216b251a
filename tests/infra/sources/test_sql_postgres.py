from datetime import UTC, datetime

import pandas as pd
import pytest
from sqlalchemy import create_engine, text

from infra.errors import SourceError, SourceUnavailable
from infra.sources.sql import read_sql
from tests.servers.postgres import PASSWORD

pytestmark = pytest.mark.servers
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def warehouse(postgres_url, monkeypatch):
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE sale (id bigint, price numeric, paid boolean, at timestamptz)"))
        rows = "(1, 1.50, true, '2024-05-01 13:59:59+02'), (9007199254740993, NULL, NULL, '2024-05-01 12:00:01+00')"
        connection.execute(text(f"INSERT INTO sale VALUES {rows}"))
    engine.dispose()
    monkeypatch.setenv("WAREHOUSE", postgres_url)
    return postgres_url


def test_types_of_postgresql_come_through_exactly(warehouse):
    frame = read_sql("SELECT * FROM sale ORDER BY id", "WAREHOUSE", NOON)
    assert frame["id"].tolist() == [1, 2**53 + 1]
    assert frame["price"].tolist()[0] == 1.5
    assert frame["paid"].tolist() == [True, pd.NA]
    assert frame["at"][0] == pd.Timestamp("2024-05-01 11:59:59", tz="UTC")


def test_as_of_is_an_instant(warehouse):
    assert read_sql("SELECT id FROM sale WHERE at <= :as_of", "WAREHOUSE", NOON)["id"].tolist() == [1]


@pytest.mark.parametrize("query", ["DELETE FROM sale RETURNING id", "SELECT 1; DROP TABLE sale", "DROP TABLE sale"])
def test_nothing_is_ever_written(query, warehouse):
    with pytest.raises(SourceError, match="read-only transaction"):
        read_sql(query, "WAREHOUSE", NOON)
    assert len(read_sql("SELECT * FROM sale", "WAREHOUSE", NOON)) == 2


def test_a_wrong_password_is_refused_and_not_shown(warehouse, monkeypatch):
    monkeypatch.setenv("WAREHOUSE", warehouse.replace(PASSWORD, "canary-wrong"))
    with pytest.raises(SourceError, match="password authentication failed") as caught:
        read_sql("SELECT 1", "WAREHOUSE", NOON)
    assert "canary" not in str(caught.value)
    assert not isinstance(caught.value, SourceUnavailable)

"""Minutes in the air: what is known of a flight, and when."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from tasks.ingestion.windows import read_labels, read_window_rows
from tasks.project import LoadedProject, load_project
from tasks.validation.contract import examine_frame

ROOT = Path(__file__).parents[2]
JANUARY, FEBRUARY, MARCH = (datetime(2013, month, 1, tzinfo=UTC) for month in (1, 2, 3))

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flights")]


@pytest.fixture(scope="module")
def project() -> LoadedProject:
    return load_project(ROOT / "projects", "airtime")


@pytest.fixture(scope="module")
def data(project: LoadedProject) -> dict[str, object]:
    return project.load("data:read").__globals__


@pytest.fixture(scope="module")
def raw(data) -> pd.DataFrame:
    return pd.read_csv(data["_find_data"]() / "flights.csv.zip")


def test_every_flight_stands_there_once_and_has_an_id_of_its_own(data, project) -> None:
    flights = data["_all_flights"]()
    assert len(flights) == 336_776
    assert flights["flight_id"].is_unique
    assert set(project.spec.columns) == set(flights.columns)
    assert project.spec.is_regression


def test_only_flights_that_arrived_where_they_should_have_a_label(data, raw) -> None:
    rows = data["read"](datetime(2014, 2, 1, tzinfo=UTC))
    assert len(rows) == raw["air_time"].notna().sum() == 327_346
    assert rows["air_time"].sum() == raw["air_time"].sum()


def test_only_what_is_a_day_old_is_known_and_a_row_is_the_same_whenever_it_is_read(data) -> None:
    early, late = data["read"](FEBRUARY), data["read"](MARCH)
    assert (early["time"] + pd.Timedelta(days=1) <= FEBRUARY).all()
    assert late.head(len(early)).equals(early)


def test_windows_are_what_training_sees_later_and_labels_only_become_more(project, data) -> None:
    window = read_window_rows(project, FEBRUARY, FEBRUARY + timedelta(days=5)).set_index("flight_id")
    assert "air_time" not in window.columns
    trained = data["read"](MARCH).set_index("flight_id")
    both = trained.index.intersection(window.index)
    assert len(both) > 4_000
    assert trained.loc[both].drop(columns="air_time").equals(window.loc[both])
    counts = [
        len(read_labels(project, FEBRUARY, FEBRUARY + timedelta(days=5), FEBRUARY + timedelta(days=days)))
        for days in (1, 3, 6)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] == len(both)


def test_a_flight_sees_no_weather_that_was_known_after_it_was_asked_about(data) -> None:
    flights = data["_all_flights"]()
    weather = pd.read_csv(data["_find_data"]() / "weather.csv")
    weather["hour_end"] = pd.to_datetime(weather["time_hour"], utc=True) + pd.Timedelta(hours=1)
    for flight in flights.sample(150, random_state=0).itertuples():
        known = weather[
            (weather["origin"] == flight.origin) & (weather["hour_end"] <= flight.time - pd.Timedelta(hours=1))
        ]
        newest = known["hour_end"].max()
        seen = known.loc[known["hour_end"] == newest, "temp"]
        fresh = len(seen) and flight.time - newest <= pd.Timedelta(hours=4)
        assert pd.isna(flight.temp) or (fresh and flight.temp == seen.iloc[0])


def test_honest_rows_are_not_accused_and_what_came_later_is(project, data, raw) -> None:
    rows = data["read"](datetime(2013, 1, 20, tzinfo=UTC))
    assert examine_frame(rows, project.spec).problem is None
    leaking = rows.assign(distance=rows["air_time"] * 1.001)
    assert "distance" in str(examine_frame(leaking, project.spec).problem)

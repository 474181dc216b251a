"""Columns that change under a project (FAULTS.md row 17): added warns, order is nothing, anything else stops, in training and in use."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from infra.registry.registry import open_registry
from tests.flows.conftest import Place, Zygote
from tests.flows.watched import make_visits, make_watched

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("watching")]

Change = Callable[[pd.DataFrame], pd.DataFrame]

BREAKING: dict[str, tuple[Change, str]] = {
    "dropped": (lambda rows: rows.drop(columns="signal"), "'signal' is missing"),
    "renamed": (lambda rows: rows.rename(columns={"signal": "Signal"}), "'Signal' differs in case"),
    "retyped": (lambda rows: rows.assign(signal="high"), "signal"),
    "Unicode twin": (lambda rows: rows.rename(columns={"signal": "ѕignal"}), "written with other characters"),
}
HARMLESS: dict[str, tuple[Change, str]] = {
    "reordered": (lambda rows: rows[sorted(rows.columns, reverse=True)], ""),
    "added": (lambda rows: rows.assign(colour="red"), "Unknown columns are left out: 'colour'."),
}


@pytest.fixture(scope="session")
def zygote(watching_zygote: Zygote) -> Zygote:
    return watching_zygote


@pytest.fixture(scope="module")
def visits(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with visits@1; no test here changes what is known, but for the windows that it scores."""
    home = tmp_path_factory.mktemp("columns")
    place = Place(zygote, home / "home")
    place.home.mkdir()
    make_watched(place, home / "projects")
    assert place.answer("run", "visits")["status"] == "released"  # type: ignore[index]
    return place


def write_history(place: Place, change: Change) -> None:
    folder = Path(place.environment["KEEPFIT_PROJECTS"]) / "visits"
    change(make_visits(600, "2013-06-01", 30)).to_csv(folder / "history.csv", index=False)


@pytest.mark.parametrize("name", BREAKING)
def test_a_breaking_column_in_training_stops_and_the_champion_stays(visits: Place, name: str) -> None:
    change, said = BREAKING[name]
    write_history(visits, change)
    code, printed = visits.keepfit("run", "visits")
    assert (code, said in printed, "Traceback" in printed) == (3, True, False), printed
    with open_registry(visits.database) as registry:
        assert (registry.champion("visits").version, len(registry.versions("visits"))) == (1, 1)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_column_in_training_gives_the_same_model(visits: Place, name: str) -> None:
    change, said = HARMLESS[name]
    write_history(visits, change)
    code, printed = visits.keepfit("run", "visits")
    assert code == 0, printed
    assert said in printed
    with open_registry(visits.database) as registry:
        assert registry.runs("visits")[0].outcome["status"] == "unchanged"  # type: ignore[index]


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_column_in_use_gives_the_same_answers(visits: Place, name: str) -> None:
    change, said = HARMLESS[name]
    day = {"reordered": "2013-07-01", "added": "2013-07-02"}[name]
    rows = make_visits(60, day, 1, seed=3).drop(columns="label")
    file = visits.home / f"{name}.csv"
    change(rows).to_csv(file, index=False)
    first = visits.answer("score", "visits", str(file), "--window", day)
    assert isinstance(first, dict)
    assert first["warnings"] == ([said] if said else [])
    rows.to_csv(file, index=False)
    assert visits.answer("score", "visits", str(file), "--window", day) == {**first, "status": "known"}
    code, printed = visits.keepfit("monitor", "visits", "--window", day, "--as-of", "2013-07-03")
    assert code == 0, printed
    assert said in printed

"""Store and database restored from different times (FAULTS.md row 25): what dangles is listed, and served to nobody."""

import shutil
from pathlib import Path

import pytest

from tests.flows.conftest import Place, Zygote
from tests.flows.watched import make_visits, make_watched

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("watching")]

OLD, NEW = "2013-07-01", "2013-07-02"
RULES = """\
  drift: {min_rows: 30}
  performance: {min_rows: 30}
"""


@pytest.fixture(scope="session")
def zygote(watching_zygote: Zygote) -> Zygote:
    return watching_zygote


def live_a_day(place: Place, day: str, *, seed: int) -> None:
    """Make a version champion, score the day, take its labels and watch it."""
    make_visits(600 + seed, "2013-06-01", 30, seed=seed).to_csv(folder_of(place) / "history.csv", index=False)
    assert place.answer("run", "visits")["status"] == "released"  # type: ignore[index]
    for command in (("score",), ("monitor",)):
        code, said = place.keepfit(*command, "visits", "--window", day, "--as-of", "2013-07-05")
        assert code == 0, said


def folder_of(place: Place) -> Path:
    return Path(place.environment["KEEPFIT_PROJECTS"]) / "visits"


@pytest.fixture(scope="module")
def times(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Path, Path]:
    """A place, and its home as it was at an earlier and at a later time."""
    root = tmp_path_factory.mktemp("restored")
    place = Place(zygote, root / "home")
    place.home.mkdir()
    folder = make_watched(place, root / "projects")
    spec = (folder / "project.yaml").read_text().replace("policy: superiority", "policy: non_inferiority, margin: 0.3")
    (folder / "project.yaml").write_text(spec + RULES)
    copies = []
    for number, day in enumerate((OLD, NEW)):
        live_a_day(place, day, seed=number)
        copies.append(Path(shutil.copytree(place.home, root / f"time-{number}")))
    return place, copies[0], copies[1]


def restore(place: Place, *, store: Path, database: Path) -> Place:
    shutil.rmtree(place.home)
    shutil.copytree(database, place.home)
    shutil.rmtree(place.home / "store")
    shutil.copytree(store / "store", place.home / "store")
    return place


def test_a_store_older_than_the_database_is_listed_row_by_row_and_nothing_of_it_is_served(
    times: tuple[Place, Path, Path],
) -> None:
    place = restore(times[0], store=times[1], database=times[2])
    code, said = place.keepfit("doctor", "--json")  # a table breaks lines
    assert code == 1
    for what in (
        "champion visits@2",
        "'visits@2'",
        f"'batch {NEW}'",
        "labels known at 2013-07-05",
        f"'report on {NEW}'",
    ):
        assert what in said, said
    assert "'visits@1'" not in said
    assert f"'batch {OLD}'" not in said
    assert "Restore the store to the time of the database" in said

    rows = place.home / "rows.csv"
    make_visits(5, NEW, 1).drop(columns="label").to_csv(rows, index=False)
    asks = [
        ("predict", "visits", str(rows)),
        ("show", "visits@2"),
        ("lineage", "visits@2"),
        ("rerun", "visits@2"),
        ("trace", f"visits/{NEW}/v7-50"),
        ("score", "visits", "--window", NEW),
        ("score", "visits", "--window", "2013-07-03"),
        ("monitor", "visits", "--window", NEW, "--as-of", "2013-07-06"),
        ("labels", "visits", "--window", NEW, "--as-of", "2013-07-06"),
    ]
    for ask in asks:
        code, said = place.keepfit(*ask)
        assert (code, "keepfit doctor" in said, "Traceback" in said) == (1, True, False), f"{ask}: {said}"
    assert not rows.with_name("rows.predictions.csv").exists()

    code, said = place.keepfit("rollback", "visits", "--why", "the newer one is lost")
    assert code == 0, said
    assert place.keepfit("predict", "visits", str(rows))[0] == 0, "what is whole is served"
    code, said = place.keepfit("promote", "visits@2", "--why", "is it there?")
    assert (code, "keepfit doctor" in said) == (1, True), said


def test_a_store_newer_than_the_database_is_said_and_harms_nothing(times: tuple[Place, Path, Path]) -> None:
    place = restore(times[0], store=times[2], database=times[1])
    code, said = place.keepfit("doctor")
    assert code == 0, said
    assert " 0 not known" not in said
    assert "not known (swept later), 0 missing" in said
    live_a_day(place, NEW, seed=1)
    assert place.keepfit("doctor")[0] == 0

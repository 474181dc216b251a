"""A past period lived through again: the loop retrains where the world changed, and twice it decides the same."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.cli.monitoring import MARK
from tests.flows.conftest import Place, Zygote
from tests.flows.watched import make_visits, make_watched

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("watching")]

RULES = """\
  drift: {min_rows: 100}
  performance: {min_rows: 100, margin: 0.1}
retraining: {cooldown_days: 0.5, breaker_after: 5}
training_rows: {keep: last, days: 1}
"""


@pytest.fixture
def changing(watching_zygote: Zygote, tmp_path: Path) -> Place:
    """Visits whose label turns round on the third of July; all that is read is known a day later."""
    place = Place(watching_zygote, tmp_path)
    folder = make_watched(place, tmp_path / "projects")
    spec = folder / "project.yaml"
    days = "split: {method: ordered, column: at, test_days: 1}"
    text = spec.read_text().replace("split: {method: ordered, column: at, test_share: 0.4}", days)
    spec.write_text(text + RULES)
    before = make_visits(6_000, "2013-06-28", 5)
    after = make_visits(4_800, "2013-07-03", 4, seed=7, sharpness=-2.0)
    after["signal"] += 0.3
    every = pd.concat([before, after], ignore_index=True)
    for name in ("history.csv", "stream.csv"):
        every.to_csv(folder / name, index=False)
    return place


def replay(place: Place, until: str) -> dict[str, Any]:
    picture = place.home / "picture.png"
    told = place.answer("replay", "visits", "--from", "2013-07-02", "--to", until, "--picture", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert isinstance(told, dict)
    return told


def test_the_loop_follows_a_world_that_turned_round_and_decides_the_same_twice(changing: Place) -> None:
    told = replay(changing, until="2013-07-07")
    quiet, *turned = told["windows"]
    assert (quiet["status"], quiet["trained"]) == ("FINE", False)
    assert turned[0]["status"] == "RETRAIN", "the inputs moved with it"
    assert turned[-1]["kept_fit"] > turned[-1]["frozen"] + 0.2
    again = replay(changing, until="2013-07-06")["windows"]
    assert again == told["windows"][:-1], "the same again, and nothing was decided by what came later"
    assert any(window["released"] for window in again)
    assert not (changing.home / "registry.db").exists(), "what is in use is not touched"


def test_a_replay_removes_nothing_that_it_did_not_make(changing: Place) -> None:
    mine = changing.home / "replays" / "visits"
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("years of work")
    code, said = changing.keepfit("replay", "visits", "--from", "2013-07-01", "--to", "2013-07-07")
    assert code == 2
    assert "expected an earlier replay or nothing, found something else" in said
    assert (mine / "thesis.txt").exists()


def test_a_period_without_a_whole_window_is_refused_and_an_earlier_replay_stays(changing: Place) -> None:
    earlier = changing.home / "replays" / "visits"
    earlier.mkdir(parents=True)
    (earlier / MARK).touch()
    code, said = changing.keepfit("replay", "visits", "--from", "2013-07-01", "--to", "2013-07-01")
    assert code == 2
    assert "There is no whole day from 2013-07-01 to 2013-07-01" in said
    assert (earlier / MARK).exists()


@pytest.fixture
def turning_back(changing: Place) -> Place:
    """Visits whose label is turned round on two days alone: what was trained on these is wrong on the next."""
    folder = Path(changing.environment["KEEPFIT_PROJECTS"]) / "visits"
    spec = (folder / "project.yaml").read_text().replace("delay_days: 1,", "delay_days: 0.1,")
    (folder / "project.yaml").write_text(spec)
    data = (folder / "data.py").read_text()
    (folder / "data.py").write_text(data.replace("pd.Timedelta(days=1)", "pd.Timedelta(days=0.1)"))
    days = [make_visits(6_000, "2013-06-28", 5), make_visits(2_400, "2013-07-03", 2, seed=7, sharpness=-2.0)]
    days.append(make_visits(3_600, "2013-07-05", 3, seed=8))
    for name in ("history.csv", "stream.csv"):
        pd.concat(days, ignore_index=True).to_csv(folder / name, index=False)
    return changing


def test_a_replay_shows_the_release_that_was_taken_back_in_its_table_its_sum_and_its_picture(
    turning_back: Place,
) -> None:
    picture = turning_back.home / "picture.png"
    period = ("--from", "2013-07-02", "--to", "2013-07-07", "--picture", str(picture))
    code, said = turning_back.keepfit("replay", "visits", *period)
    assert code == 0, said
    (line,) = [line for line in said.splitlines() if "is taken back" in line and line.startswith("2013-")]
    undone, back = re.findall(r"visits@\d", line)[-2:]
    assert f"{undone} is taken back, {back} again" in line
    assert f"taken back 1 ({undone})" in said
    assert picture.read_bytes().startswith(b"\x89PNG")

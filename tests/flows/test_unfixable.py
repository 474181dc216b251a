"""A world that no model can follow (FAULTS.md row 12): three trainings, then the breaker, and a person is told everywhere."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from infra.registry.registry import open_registry
from tests.flows import crowd
from tests.flows.conftest import Place, Zygote
from tests.flows.watched import make_visits, make_watched

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("watching")]

START = datetime(2013, 7, 1, tzinfo=UTC)
WINDOWS = 14
COOLDOWN = timedelta(days=2)
RULES = """\
  drift: {min_rows: 50}
  performance: {min_rows: 50}
retraining: {cooldown_days: 2, max_per_day: 1, breaker_after: 3}
"""


def live_through(first_day: int, days: int) -> list[dict[str, Any]]:
    """Watch day by day as the schedule does, and let each alarm start its retraining as the automation does."""
    from flows.monitoring import monitor, trigger_of
    from flows.retraining import retrain
    from flows.watching import watch_window

    lived = []
    for day in range(first_day, first_day + days):
        moment = START + timedelta(days=day + 1)
        report = watch_window("visits", as_of=moment)
        told = {"window": report.window.name, "status": report.status}
        if report.status == "RETRAIN":
            ended = retrain(project="visits", as_of=moment, trigger=trigger_of(report), return_state=True)
            told |= {"name": ended.name, "message": ended.message, "at": moment.isoformat()}
        lived.append(told)
    watched = monitor(project="visits", as_of=moment, return_state=True)
    lived[-1]["said"] = watched.message
    return lived


@pytest.fixture
def noise(watching_zygote: Zygote, tmp_path: Path) -> Place:
    """Visits whose label follows `signal` in June and nothing at all from July on."""
    place = Place(watching_zygote, tmp_path)
    folder = make_watched(place, tmp_path / "projects")
    spec = (folder / "project.yaml").read_text().replace("delay_days: 1,", "delay_days: 0,")
    (folder / "project.yaml").write_text(spec + RULES)
    data = (folder / "data.py").read_text()
    (folder / "data.py").write_text(data.replace("pd.Timedelta(days=1)", "pd.Timedelta(0)"))
    june, july = make_visits(900, "2013-06-01", 30), make_visits(2_000, "2013-07-01", 20, seed=7, sharpness=0.0)
    every = pd.concat([june, july.assign(signal=july["signal"] + 1)], ignore_index=True)
    for name in ("history.csv", "stream.csv"):
        every.to_csv(folder / name, index=False)
    assert place.answer("run", "visits", "--as-of", START.isoformat())["status"] == "released"  # type: ignore[index]
    return place


def test_two_weeks_of_unfixable_drift_are_three_trainings_and_a_person_who_is_told_and_can_go_on(
    noise: Place,
) -> None:
    (lived,) = crowd.call(noise, live_through, (0, WINDOWS))
    assert {day["status"] for day in lived} == {"RETRAIN"}, "the fault: every window alarms"
    trained = [datetime.fromisoformat(day["at"]) for day in lived if day["name"] == "Completed"]
    assert len(trained) == 3
    assert all(later - earlier >= COOLDOWN for earlier, later in pairwise(trained))
    assert {day["name"] for day in lived} == {"Completed", "HeldBack"}
    opened = next(day for day in lived if "The breaker is open" in day["message"])
    assert opened["at"] == trained[-1].isoformat(), "the run that opened it says so"
    after = [day for day in lived if day["at"] > opened["at"]]
    assert len(after) == WINDOWS - 5
    for day in after:
        assert "the breaker is open: 3 gates in a row promoted nothing" in day["message"]
    assert "The breaker is open since" in lived[-1]["said"], "monitoring says it too"
    with open_registry(noise.database) as registry:
        done = [run.run_id for run in registry.runs("visits", limit=100) if run.state == "completed"]
        move = registry.breaker("visits")
        assert move is not None
        assert move.evidence["runs"] == done[:3], "the evidence is the gates, not what was held back between them"
        assert registry.champion("visits").version == 1
    for command in (
        ("breaker", "visits"),
        ("monitor", "visits", "--window", lived[-1]["window"], "--as-of", lived[-1]["at"]),
    ):
        code, said = noise.keepfit(*command)
        assert code == 0, said
        assert "keepfit breaker visits --close" in said
        assert "breaker is open since" in said

    code, said = noise.keepfit("breaker", "visits", "--close", "--why", "the sensor was changed")
    assert code == 0, said
    (again,) = crowd.call(noise, live_through, (WINDOWS, 6))
    assert [day["name"] for day in again] == ["Completed", "HeldBack"] * 2 + ["Completed", "HeldBack"]
    assert "the breaker is open" in again[-1]["message"], (
        "closed by a person of today, in a world of 2013: it counts anew"
    )

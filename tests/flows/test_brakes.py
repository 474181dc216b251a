"""Retraining that an alarm starts: one run a trigger, and the brakes that hold the next ones back (FAULTS.md rows 11, 12)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.retraining import retrain
from infra.workspace import open_workspace
from tasks.contracts.runs import Trigger
from tests.flows.tables import SPEC, write_rows
from tests.tasks.release.waiting import own_workspace

pytestmark = pytest.mark.engine

START = datetime(2013, 1, 1, tzinfo=UTC)
RULES = "retraining: {cooldown_days: 2, max_per_day: 1, breaker_after: 2}\n"


@pytest.fixture
def rows(prefect_url: str, forked_answers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a light project with brakes, in a workspace of this process."""
    folder = tmp_path / "projects" / "table"
    folder.mkdir(parents=True)
    (folder / "project.yaml").write_text(dedent(SPEC) + RULES)
    write_rows(folder, sharpness=2.0)
    with own_workspace(tmp_path / "home", monkeypatch), temporary_settings({PREFECT_API_URL: prefect_url}):
        monkeypatch.setenv("KEEPFIT_PROJECTS", str(folder.parent))
        yield folder


def alarm(day: float, window: str = "") -> State[Any]:
    """Let an alarm of this day, and of this window, start a retraining."""
    at = START + timedelta(days=day)
    trigger = Trigger(kind="drift", why="signal moved", window=window or f"day-{day:g}")
    return retrain(project="table", as_of=at, trigger=trigger, return_state=True)


def ended() -> list[tuple[str, str | None]]:
    """Return each run's state and outcome in the ledger, the first one first."""
    runs = open_workspace().registry.runs("table")
    return [
        (run.state, run.outcome and str(run.outcome["status"])) for run in reversed(runs) if run.outcome is not None
    ]


def test_a_trigger_that_has_its_run_is_answered_with_it(rows: Path) -> None:
    assert alarm(0).is_completed()
    again = alarm(5, window="day-0")
    (run,) = open_workspace().registry.runs("table")
    assert (again.type.value, again.name) == ("COMPLETED", "Answered")
    assert run.run_id in str(again.message)


def test_a_world_that_always_alarms_is_retrained_until_the_breaker_opens_and_a_person_closes_it(rows: Path) -> None:
    registry = open_workspace().registry
    assert alarm(0).is_completed()
    write_rows(rows, sharpness=1.8, seed=1)
    held = alarm(1)
    assert (held.type.value, held.name) == ("CANCELLED", "HeldBack")
    assert "the cooldown is 2 days" in str(held.message)
    for day in (3, 6):
        write_rows(rows, sharpness=1.8, seed=day)
        assert alarm(day).is_completed()
    for day in range(9, 30, 3):
        assert "the breaker is open: 2 gates in a row promoted nothing" in str(alarm(day).message)
    assert [outcome for state, outcome in ended() if state == "completed"] == ["released", "held", "held"]
    assert sum(state == "cancelled" for state, _ in ended()) == 8
    assert registry.champion("table").version == 1
    move = registry.breaker("table")
    assert move is not None
    assert len(move.evidence["runs"]) == 2

    moment = (START + timedelta(days=31)).isoformat()
    registry.move_breaker(
        "table", "closed", why="sensor mended", actor="ann", evidence={"as_of": moment}, expected_seq=move.seq
    )
    assert alarm(32).is_completed()


def test_a_person_is_never_held_back(rows: Path) -> None:
    assert alarm(0).is_completed()
    write_rows(rows, sharpness=1.8, seed=1)
    state = retrain(project="table", as_of=START + timedelta(days=1), return_state=True)
    assert state.is_completed()


def test_the_gate_asks_what_the_trigger_s_policy_says(rows: Path) -> None:
    assert alarm(0).is_completed()
    asked = {"drift": "superiority", "operator": "superiority", "schedule": "non_inferiority"}
    for days, (kind, policy) in enumerate(asked.items(), 9):
        write_rows(rows, sharpness=1.9, seed=days)
        trigger = Trigger(kind=kind, window="later")
        outcome = retrain(project="table", as_of=START + timedelta(days=days), trigger=trigger)
        assert outcome.verdict.policy == policy, kind

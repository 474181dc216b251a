"""The event of one window, eight times at once, through the whole flow in eight processes (FAULTS.md row 11)."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from infra.registry.registry import open_registry
from tests.flows import crowd
from tests.flows.conftest import Place

pytestmark = [pytest.mark.engine, pytest.mark.slow]

COPIES = 8


def retrain_by_alarm(window: str, as_of: str, kind: str = "drift") -> dict[str, Any]:
    """Do what the automation does with an event."""
    from flows.retraining import retrain
    from tasks.contracts.runs import Trigger

    trigger = Trigger(kind=kind, why="signal moved", window=window)
    state = retrain(project="table", as_of=datetime.fromisoformat(as_of), trigger=trigger, return_state=True)
    return {"type": state.type.value, "name": state.name, "message": str(state.message)}


def test_eight_copies_of_an_event_at_once_are_one_run_and_seven_answers_with_its_id(place: Place, table: Path) -> None:
    first = ("2013-07", "2013-08-01T00:00:00+00:00")
    ended = crowd.call(place, retrain_by_alarm, *[first] * COPIES)
    with open_registry(place.database) as registry:
        (run,) = registry.runs("table")
        assert (run.state, run.trigger_key) == ("completed", "drift:2013-07")
        assert registry.champion("table").seq == 1
    answered = [state for state in ended if state["name"] == "Answered"]
    assert {state["type"] for state in ended} == {"COMPLETED"}, ended
    assert len(answered) == COPIES - 1
    assert all(run.run_id in state["message"] for state in answered)


def test_alarms_of_several_windows_at_once_start_one_run_and_the_others_are_held_back_and_not_failed(
    place: Place, table: Path
) -> None:
    later = "2013-09-01T00:00:00+00:00"
    calls = [(window, later, kind) for kind in ("drift", "performance") for window in ("2013-07", "2013-08")]
    ended = crowd.call(place, retrain_by_alarm, *calls, *calls)
    with open_registry(place.database) as registry:
        runs = registry.runs("table")
        assert [run.state for run in runs].count("completed") == 1
        assert registry.champion("table").seq == 1
    assert not [state for state in ended if state["type"] == "FAILED"], ended
    assert [state["name"] for state in ended].count("Completed") == 1
    held = [state["message"] for state in ended if state["name"] == "HeldBack"]
    assert held, "the other windows' alarms met a run in flight, or its cooldown"
    # The run in flight may be one that is being held back itself.
    assert all("the cooldown is" in said or any(run.run_id in said for run in runs) for said in held)

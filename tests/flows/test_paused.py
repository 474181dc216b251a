"""A worker that is stopped in mid-work and wakes after others have done it (FAULTS.md row 10): it changes nothing any more."""

import json
import os
import signal
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.registry.registry import open_registry
from tests.flows import crowd
from tests.flows.conftest import Place, Zygote
from tests.flows.watched import make_watched

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("watching")]

DAY, AS_OF = "2013-07-03", datetime(2013, 7, 5, tzinfo=UTC)
WAIT_S = 90.0


@pytest.fixture(scope="session")
def zygote(watching_zygote: Zygote) -> Zygote:
    return watching_zygote


def work(what: str) -> dict[str, Any]:
    """Retrain, score or monitor, and return what came of it."""
    from flows.batches import score_batch
    from flows.monitoring import monitor
    from flows.retraining import retrain

    if what == "retrain":
        state = retrain(project="visits", as_of=datetime(2013, 7, 1, tzinfo=UTC), return_state=True)
        return {"type": state.type.value, "message": str(state.message)}
    if what == "score":
        return dict(json.loads(score_batch("visits", DAY).model_dump_json(exclude={"status"})))
    return dict(json.loads(monitor(project="visits", window=DAY, as_of=AS_OF).model_dump_json()))  # type: ignore[attr-defined]


def take_turns(role: str, what: str, point: str, folder: str) -> dict[str, Any]:
    """Stop at the point; or wait for who stopped, let its lease run out, do the same work and let it go on."""
    place = Path(folder) / "paused.pid"
    if role == "paused":
        os.environ |= {"KEEPFIT_FAULT_POINT": point, "KEEPFIT_FAULT_SIGNAL": "STOP"}
        place.write_text(str(os.getpid()))
        return work(what)
    paused = wait_until_stopped(place)
    try:
        expire_leases(os.environ["KEEPFIT_DATABASE_URL"].removeprefix("sqlite:///"))
        done = work(what)
        return {**done, "left": look(os.environ["KEEPFIT_DATABASE_URL"]), "paused": paused.status()}
    finally:
        paused.send_signal(signal.SIGCONT)


def wait_until_stopped(place: Path) -> psutil.Process:
    give_up = time.monotonic() + WAIT_S
    while time.monotonic() < give_up:
        if place.exists() and (text := place.read_text()):
            process = psutil.Process(int(text))
            if process.status() == psutil.STATUS_STOPPED:
                return process
        time.sleep(0.02)
    raise AssertionError("the fault did not fire: nobody stopped")


def expire_leases(database: str) -> None:
    """Let a minute pass for the leases alone."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE lease SET expires_at = '2013-01-01 00:00:00.000000' WHERE run_id IS NOT NULL")


def look(database: str) -> dict[str, Any]:
    """Return all that the paused one might have changed."""
    with open_registry(database) as registry:
        rows = [*registry.versions("visits"), *registry.history("visits"), *registry.batches("visits")]
        rows += [*registry.window_reports("visits"), registry.champion("visits")]
        kept = [row.model_dump_json() for row in rows]
        return {"rows": kept, "runs": {run.run_id: run.state for run in registry.runs("visits")}}


@pytest.fixture
def visits(place: Place, tmp_path: Path) -> Place:
    make_watched(place, tmp_path / "projects")
    return place


@pytest.mark.parametrize("point", ["train.before_commit", "release.start"])
def test_a_retraining_that_wakes_after_its_lease_is_refused_and_the_second_run_s_champion_stays(
    visits: Place, point: str
) -> None:
    calls = [(role, "retrain", point, str(visits.home)) for role in ("paused", "other")]
    woken, other = crowd.call(visits, take_turns, *calls)
    assert (other["paused"], other["type"]) == ("stopped", "COMPLETED"), other
    assert woken["type"] == "FAILED"
    assert "has lost its lease" in woken["message"]
    after = look(visits.database)
    assert after == other["left"]
    assert sorted(after["runs"].values()) == ["completed", "crashed"]
    with open_registry(visits.database) as registry:
        assert (registry.champion("visits").seq, len(registry.versions("visits"))) == (1, 1)


@pytest.mark.parametrize(("what", "point"), [("score", "batch.before_commit"), ("monitor", "monitor.before_commit")])
def test_a_watcher_that_wakes_after_another_has_said_it_says_the_same(visits: Place, what: str, point: str) -> None:
    assert visits.answer("run", "visits")["status"] == "released"  # type: ignore[index]
    calls = [(role, what, point, str(visits.home)) for role in ("paused", "other")]
    woken, other = crowd.call(visits, take_turns, *calls)
    left, status = other.pop("left"), other.pop("paused")
    assert status == "stopped"
    assert woken == other
    assert look(visits.database) == left

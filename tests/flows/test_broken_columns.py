"""A window with a broken column (FAULTS.md row 17): BROKEN DATA, every row counted, no retraining, no event."""

import io
import json
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from infra.artifacts.store import open_store
from infra.registry.registry import open_registry
from tests.flows import crowd
from tests.flows.conftest import Place, Zygote
from tests.flows.watched import make_visits, make_watched

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("watching")]

ROWS = 300
BROKEN = {"2013-07-12": "retyped", "2013-07-13": "dropped", "2013-07-14": "another unit", "2013-07-15": "all null"}
FEW, FEW_ROWS, DRIFTED = "2013-07-16", 7, "2013-07-17"
RULES = """\
  drift: {min_rows: 100}
  performance: {min_rows: 100}
"""


@pytest.fixture(scope="session")
def zygote(watching_zygote: Zygote) -> Zygote:
    return watching_zygote


def watch_days(days: list[str]) -> list[dict[str, Any]]:
    """Watch these days, and wait until what follows has reached the server."""
    from prefect.events.worker import EventsWorker

    from flows.monitoring import monitor

    told = []
    for day in days:
        as_of = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
        state = monitor(project="visits", window=day, as_of=as_of, return_state=True)
        told.append({"type": state.type.value, **json.loads(state.result().model_dump_json())})
    EventsWorker.instance().wait_until_empty()
    EventsWorker.instance().drain()
    return told


@pytest.fixture(scope="module")
def watched(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A champion, and six days: four with a broken column that would also have drifted, one with a few bad rows, one drifted."""
    home = tmp_path_factory.mktemp("broken")
    place = Place(zygote, home / "home")
    place.home.mkdir()
    folder = make_watched(place, home / "projects")
    (folder / "project.yaml").write_text((folder / "project.yaml").read_text() + RULES)
    dropping = 'rows = _between(start, end).drop(columns="label")\n    return rows.drop(columns="signal") if f"{start:%Y-%m-%d}" == "2013-07-13" else rows'
    data = (folder / "data.py").read_text()
    (folder / "data.py").write_text(data.replace('return _between(start, end).drop(columns="label")', dropping))
    make_visits(900, "2013-06-01", 30).to_csv(folder / "history.csv", index=False)
    stream = make_visits(6 * ROWS, "2013-07-12", 6, seed=7).astype({"signal": object})
    day = stream["at"].str[:10]
    stream.loc[day.isin(BROKEN) | (day == DRIFTED), "noise"] += 3.0
    stream.loc[day == "2013-07-12", "signal"] = "high"
    stream.loc[day == "2013-07-14", "signal"] *= 1000
    stream.loc[day == "2013-07-15", "signal"] = None
    stream.loc[np.flatnonzero(day == FEW)[:FEW_ROWS], "signal"] = "n/a"
    stream.to_csv(folder / "stream.csv", index=False)
    assert place.answer("run", "visits")["status"] == "released"  # type: ignore[index]
    return place


@pytest.fixture(scope="module")
def told(watched: Place) -> dict[str, dict[str, Any]]:
    days = [*BROKEN, FEW, DRIFTED]
    (answers,) = crowd.call(watched, watch_days, (days,))
    return dict(zip(days, answers, strict=True))


def count_rows(place: Place, window: str) -> tuple[int, int, int, int]:
    """Return the rows that the batch says and holds: scored, predicted, set aside; and those that say why."""
    with open_registry(place.database) as registry:
        batch = registry.batch("visits", window)
    assert batch is not None
    store = open_store(place.store)
    scored, predicted = (
        len(pd.read_parquet(io.BytesIO(store.read(ref)))) for ref in (batch.rows_blob, batch.predictions_blob)
    )
    assert batch.quarantine_blob is not None
    aside = pd.read_parquet(io.BytesIO(store.read(batch.quarantine_blob)))
    assert (batch.rows, batch.quarantined_rows) == (scored, len(aside))
    return scored, predicted, len(aside), int((aside["reasons"].str.len() > 0).sum())


@pytest.mark.parametrize("window", BROKEN, ids=BROKEN.get)
def test_a_broken_column_is_broken_data_set_aside_whole_with_counts_that_add_up(
    watched: Place, told: dict[str, dict[str, Any]], window: str
) -> None:
    report = told[window]
    assert (report["status"], report["type"]) == ("BROKEN DATA", "COMPLETED")
    assert (report["scored_rows"], report["quarantined_rows"], report["drift"]) == (0, ROWS, None)
    assert "signal" in report["reasons"][0]
    assert count_rows(watched, window) == (0, 0, ROWS, ROWS)
    code, said = watched.keepfit("monitor", "visits", "--window", window, "--as-of", report["as_of"])
    assert code == 0, said
    assert "BROKEN DATA" in said
    assert f"{ROWS} rows were set aside" in said


def test_a_few_broken_rows_are_set_aside_and_the_rest_is_scored_and_judged_and_said(
    watched: Place, told: dict[str, dict[str, Any]]
) -> None:
    report, rest = told[FEW], ROWS - FEW_ROWS
    assert (report["status"], report["scored_rows"], report["quarantined_rows"]) == ("FINE", rest, FEW_ROWS)
    assert f"{FEW_ROWS} rows were set aside." in report["reasons"]
    assert count_rows(watched, FEW) == (rest, rest, FEW_ROWS, FEW_ROWS)
    code, said = watched.keepfit("score", "visits", "--window", FEW)
    assert code == 0, said
    assert f"{rest} rows scored by visits@1, {FEW_ROWS} set aside" in said


def test_broken_data_ask_for_no_retraining_and_the_same_drift_in_sound_data_does(
    watched: Place, told: dict[str, dict[str, Any]], prefect_url: str
) -> None:
    assert told[DRIFTED]["status"] == "RETRAIN", "the control: the other column drifted on all of these days"
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    wanted = {
        "occurred": {"since": since, "until": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
        "event": {"name": ["keepfit.retraining.wanted"]},
        "resource": {"id": ["keepfit.project.visits"]},
    }
    ask = urllib.request.Request(
        f"{prefect_url}/events/filter",
        data=json.dumps({"filter": wanted, "limit": 50}).encode(),
        headers={"Content-Type": "application/json"},
    )
    asked: set[str] = set()
    give_up = time.monotonic() + 60  # the server keeps events a moment after it took them
    while DRIFTED not in asked and time.monotonic() < give_up:
        time.sleep(0.5)
        with urllib.request.urlopen(ask) as reply:
            asked = {event["payload"]["trigger"]["window"] for event in json.load(reply)["events"]}
    assert DRIFTED in asked, "the event of the control was seen"
    assert asked.isdisjoint(BROKEN)
    assert FEW not in asked
    with open_registry(watched.database) as registry:
        assert [run.trigger_kind for run in registry.runs("visits")] == ["operator"], "nothing was retrained"

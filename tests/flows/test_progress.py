"""How far a run is, on its page; and that no server can hold the run up."""

import logging
import socket
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import progress
from flows.progress import Bar, ProgressPage, showing_stages, showing_training
from infra.faults import STEPS
from infra.settings import load_settings
from tasks.training.steps import tell_progress
from tests.flows.desk import Desk, open_desk
from tests.tasks.models.examples import numbers_spec

steps = logging.getLogger("tasks.policies")


def step(name: str, *, found: bool = False) -> None:
    """Say what a step says of itself."""
    steps.info("%s started", name, extra={"step": name, "phase": "start"})
    steps.info("%s done", name, extra={"step": name, "phase": "end", "seconds": 1.25, "found": found})


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Bar]]:
    """What the page was told to show, in order."""
    shown: list[tuple[str, Bar]] = []
    monkeypatch.setattr(ProgressPage, "show", lambda self, key, bar: shown.append((key, bar)))
    return shown


@flow(name="progress-test", persist_result=False)
def runs_through(names: tuple[str, ...], error: str = "") -> str:
    with showing_stages("iris"):
        for name in names:
            step(name)
        if error:
            raise RuntimeError(error)
    return str(flow_run.id)


@flow(name="training-test", persist_result=False)
def trains() -> str:
    with showing_training("iris"):
        for fold in (1, 2):
            tell_progress("selection: knn-3", fold, 2, {"accuracy": 0.9})
        tell_progress("selection: logistic", 1, 2, {})
        tell_progress("fit: knn-3, epoch", 1, 2, {"loss": 0.25, "accuracy": 0.5})
        step("train")
    return str(flow_run.id)


@pytest.fixture
def desk(prefect_url: str) -> Iterator[Desk]:
    load_settings.cache_clear()
    with open_desk(prefect_url) as desk:
        yield desk


def read(desk: Desk, run_id: str) -> FlowRun:
    return desk.client.read_flow_run(run_id)


@pytest.mark.engine
def test_the_page_shows_which_stages_are_done_and_how_long_they_took(desk: Desk) -> None:
    shown = desk.artifacts(read(desk, runs_through(STEPS)))
    assert set(shown) == {"iris-stages", "iris-training"}
    assert shown["iris-stages"].type == "progress"
    assert float(str(shown["iris-stages"].data)) == 100
    assert str(shown["iris-stages"].description).startswith("Done. 10 of 10 stages: ✓ ingest (1.2 s) · ✓ validate")


@pytest.mark.engine
def test_a_failed_run_shows_where_it_stopped(desk: Desk) -> None:
    with pytest.raises(RuntimeError, match="broken"):
        runs_through(("ingest", "validate"), "broken")
    (latest,) = desk.client.read_flow_runs(limit=1, sort="START_TIME_DESC")
    bar = desk.artifacts(latest)["iris-stages"]
    assert float(str(bar.data)) == 20
    assert "Stopped by RuntimeError. 2 of 10 stages" in str(bar.description)


@pytest.mark.engine
def test_folds_and_epochs_move_one_bar_forward_with_their_figures(desk: Desk, bars: list[tuple[str, Bar]]) -> None:
    trains()
    assert {key for key, _ in bars} == {"iris-training"}
    told = [bar for _, bar in bars]
    assert [bar.text for bar in told] == [
        "knn-3 (candidate 1 of 4), fold 1 of 2, accuracy 0.900",
        "knn-3 (candidate 1 of 4), fold 2 of 2, accuracy 0.900",
        "logistic (candidate 4 of 4), fold 1 of 2",
        "knn-3 on all training rows, epoch 1 of 2, loss 0.250, accuracy 0.500",
        "Training is done.",
    ]
    assert [bar.percent for bar in told] == [10.0, 20.0, 70.0, 90.0, 100.0]


def test_outside_of_a_flow_run_nothing_is_shown(bars: list[tuple[str, Bar]]) -> None:
    with showing_stages("iris"), showing_training("iris"):
        step("ingest")
    assert bars == []


@pytest.fixture
def silent_api() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"


@pytest.mark.parametrize("kind", ["silent", "gone"])
def test_a_server_that_does_not_answer_holds_nothing_up_and_is_logged_once(
    kind: str, silent_api: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0.5)
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    url = silent_api if kind == "silent" else "http://127.0.0.1:9/api"
    with temporary_settings({PREFECT_API_URL: url}), caplog.at_level(logging.WARNING, logger="flows"):
        page = ProgressPage(uuid4())
        started = time.perf_counter()
        for done in range(1000):
            page.show("iris-stages", Bar(done / 10, str(done)))
        assert time.perf_counter() - started < 0.2
        page.close()
        assert time.perf_counter() - started < 5
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the progress could not be put on the run's page"
    ]


@pytest.mark.engine
def test_a_thousand_updates_are_a_few_requests_and_the_last_is_shown(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []
    put = ProgressPage._put
    monkeypatch.setattr(ProgressPage, "_put", lambda self, *args: (sent.append(args), put(self, *args)))

    @flow(name="busy-test", persist_result=False)
    def busy() -> str:
        page = ProgressPage(flow_run.id)
        for done in range(1, 1001):
            page.show("iris-stages", Bar(done / 10, str(done)))
            time.sleep(0.0005)
        page.close()
        return str(flow_run.id)

    shown = desk.artifacts(read(desk, busy()))["iris-stages"]
    assert (float(str(shown.data)), shown.description) == (100.0, "1000")
    assert len(sent) <= 3


def test_trials_move_the_bar_before_the_folds_do(bars: list[tuple[str, Bar]]) -> None:
    search = {"n_neighbors": {"low": 1, "high": 9}}
    knn = {"estimator": "sklearn.neighbors.KNeighborsClassifier"}
    spec = numbers_spec({"plain": knn, "searched": {**knn, "search": search}})
    bar = progress.TrainingBar(ProgressPage.__new__(ProgressPage), spec)
    for what, done in (("tuning: searched", 10), ("selection: plain", 2), ("fit: searched, epoch", 4)):
        record = logging.makeLogRecord({"training": {"what": what, "done": done, "of": 2 * done, "figures": "x 1"}})
        bar.emit(record)
    assert [shown for _, shown in bars] == [
        Bar(12.5, "searched (search 1 of 1), trial 10 of 20, x 1"),
        Bar(37.5, "plain (candidate 1 of 2), fold 2 of 4, x 1"),
        Bar(87.5, "searched on all training rows, epoch 4 of 8, x 1"),
    ]

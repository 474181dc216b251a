"""Processes that work on one study: the same trials from one, two and four; a worker that is told only where to look."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.frames import digest_frame, write_parquet
from infra.registry.registry import Registry, open_registry
from infra.registry.trials import Proposal
from infra.settings import load_settings
from infra.workspace import Workspace, open_workspace
from tasks.contracts.runs import RunContext
from tasks.project import load_project
from tasks.training.selection import open_comparison
from tasks.training.studies import Study, name_study
from tasks.training.trials import work_on
from tasks.training.workers import LocalWorker, Request, local_workers
from tests.infra.registry.crew import Crew
from tests.tasks.models.examples import no_functions
from tests.tasks.training.test_tuning import CANDIDATES, rows, spec_of

pytestmark = pytest.mark.slow

TRIALS = 12
TUNING = {"trials": TRIALS, "batch": 4, "pruning": "median"}


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    with Crew(4) as started:
        yield started


def open_study(registry: Registry) -> Study:
    spec = spec_of({"knn": CANDIDATES["knn"]}, tuning=TUNING)
    comparison = open_comparison(spec, rows(), no_functions, lambda *_: None)
    key = name_study(spec, "knn", digest_frame(rows()), "code")
    registry.open_study(key=key, project="plain", candidate="knn", settings={}, actor="tester")
    return Study.of(spec, "knn", key, comparison.ruler.metric)


def work(index: int, barrier: Barrier, url: str, workers: int) -> list[int]:
    """Work on the study, the first `workers` of the crew; return which trials this process was given."""
    import threadpoolctl  # noqa: F401  # loaded before the start

    with open_registry(url) as registry:
        study = open_study(registry)
        comparison = open_comparison(study.spec, rows(), no_functions, lambda *_: None)
        barrier.wait()
        if index < workers:
            work_on(study, registry, comparison, lambda _: None)
        pid = os.getpid()
        query = f"SELECT number FROM trial WHERE pid = {pid} ORDER BY number"
        found = registry._database.read(lambda tx: tx.connection.exec_driver_sql(query).scalars().all())
        return [int(number) for number in found]


def test_one_two_and_four_processes_make_the_same_trials_and_find_the_same_best(crew: Crew, tmp_path: Path) -> None:
    outcomes, shares = [], {}
    for count in (1, 2, 4):
        url = f"sqlite:///{tmp_path / f'{count}.db'}"
        open_registry(url).close()
        shares[count] = crew.run(work, url, count)
        with open_registry(url) as registry:
            (study,) = registry.studies("plain")
            trials = registry.trials(study.key)
            ends = [row.subject for row in registry.audit("plain", limit=1000) if row.action == "trial.finish"]
        assert sorted(ends) == sorted(f"{study.key}/{number}" for number in range(TRIALS))
        outcomes.append([(row.number, row.params, row.state, row.scores, row.value) for row in trials])
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert max(outcomes[0], key=lambda one: one[-1]) == max(outcomes[2], key=lambda one: one[-1])
    assert len(shares[1][0]) == TRIALS
    assert sum(bool(share) for share in shares[4]) > 1, "one process made all trials: they did not work together"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A home with the project `plain`, as a worker of its own finds it: by the environment."""
    folder = tmp_path / "projects" / "plain"
    folder.mkdir(parents=True)
    columns = {"a": {"type": "number"}, "b": {"type": "number"}, "y": {"type": "integer"}}
    raw = {"name": "plain", "source": {"csv": "rows.csv"}, "columns": columns, "target": "y"}
    raw |= {"candidates": {"knn": CANDIDATES["knn"]}, "tuning": TUNING, "selection": {"folds": 3}}
    raw |= {"compute": {"threads": 1}}
    (folder / "project.yaml").write_text(yaml.safe_dump(raw))
    monkeypatch.setenv("KEEPFIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KEEPFIT_PROJECTS", str(tmp_path / "projects"))
    for cached in (load_settings, open_workspace):
        cached.cache_clear()
    yield open_workspace()
    open_workspace().registry.close()
    for cached in (load_settings, open_workspace):
        cached.cache_clear()


def make_request(workspace: Workspace, scratch: Path) -> tuple[Request, Study]:
    project = load_project(workspace.settings.projects, "plain")
    write_parquet(rows(), scratch / "rows.parquet")
    spec = workspace.store.put_bytes(project.spec.model_dump_json().encode(), "application/json")
    run = RunContext(project="plain", run_id="0" * 32, fence=1, spec=spec, code=project.code, as_of=datetime.now(UTC))
    study = open_study(workspace.registry)
    data = workspace.store.put_file(scratch / "rows.parquet", "application/vnd.apache.parquet")
    return Request(run=run, rows=data, candidate="knn", study=study.key), study


def wait_until(true: Any, process: "subprocess.Popen[str] | None" = None) -> None:
    give_up = time.monotonic() + 120
    while not true():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.05)


def test_a_worker_of_its_own_makes_all_trials_from_references_alone(workspace: Workspace, tmp_path: Path) -> None:
    request, study = make_request(workspace, tmp_path)

    def finished() -> bool:
        return [row.state != "running" for row in workspace.registry.trials(study.key)] == [True] * TRIALS

    with local_workers(request, 1):
        wait_until(finished)
    made = [(row.number, row.params, row.scores) for row in workspace.registry.trials(study.key)]
    with open_registry(f"sqlite:///{tmp_path / 'other.db'}") as registry:
        here = open_study(registry)
        comparison = open_comparison(here.spec, rows(), no_functions, lambda *_: None)
        alone = work_on(here, registry, comparison, lambda _: None)
    assert made == [(one.number, one.params, one.scores) for one in alone]


def test_a_worker_ends_when_whoever_started_it_is_gone(workspace: Workspace, tmp_path: Path) -> None:
    request, study = make_request(workspace, tmp_path)
    # All trials of the first batch are in this process's hands: the worker has to wait.
    held = [workspace.registry.claim_trial(study.key, [Proposal(at, {})], lease_s=3_600) for at in range(4)]
    assert None not in held
    worker = LocalWorker(request)
    time.sleep(0.5)
    assert worker.process.poll() is None
    assert worker.process.stdin is not None
    worker.process.stdin.close()  # what the system does when a process is killed
    assert worker.process.wait(timeout=120) == 1
    worker.process.stdin = None
    worker.end()


def test_a_worker_that_cannot_work_says_why_and_the_others_do_its_part(
    workspace: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    request, _ = make_request(workspace, tmp_path)
    (workspace.settings.projects / "plain" / "data.py").write_text("changed = True\n")
    with local_workers(request, 1) as started:
        (worker,) = started
        wait_until(lambda: worker.process.poll() is not None)
    assert "ended early" in caplog.text
    assert "that this run began with" in caplog.text
    shutil.rmtree(workspace.settings.projects)

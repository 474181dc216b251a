"""`keepfit up` as one operator's day: iris on the CPU pool, imdb on the GPU pool, both released, everything stopped."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.artifacts.store import open_store
from infra.stack.leftovers import find_processes
from tests.infra.stack.looking import assert_nothing_is_left, wait_for
from tests.servers.stack import Stack

pytestmark = [
    pytest.mark.servers,
    pytest.mark.engine,
    pytest.mark.end_to_end,
    pytest.mark.slow,
    pytest.mark.xdist_group("stack"),
]

PROJECTS = {"iris": "cpu-worker-1", "imdb": "gpu-worker-0-without-gpu"}
"""Which worker trains which."""


@pytest.fixture(scope="module")
def light(stack: Stack) -> Iterator[None]:
    """The two projects with less to do: 2,000 reviews, one epoch, two folds; the path is the same."""
    iris, imdb = stack.projects / "iris/project.yaml", stack.projects / "imdb/project.yaml"
    rows = stack.projects / "imdb/data.py"
    before = {path: path.read_text() for path in (iris, imdb, rows)}
    change(iris, r"selection: \{.*\}", "selection: {folds: 2, rule: one_standard_error}")
    change(imdb, r"epochs: 10", "epochs: 1")
    change(imdb, r"floors: \{accuracy: 0.8\}", "floors: {accuracy: 0.6}")
    change(rows, r"(    by_class = )", r'    frame = frame.groupby("positive").head(1000).reset_index(drop=True)\n\1')
    yield
    for path, text in before.items():
        path.write_text(text)


def change(path: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, path.read_text())
    assert count == 1, (path, pattern)
    path.write_text(text)


@pytest.fixture(scope="module")
def outcomes(stack: Stack, light: None) -> dict[str, dict[str, Any]]:
    """What `keepfit trigger --wait` told of both, run at the same time."""
    running = {project: stack.start("trigger", project, "--wait", "--json") for project in PROJECTS}
    told = {project: finish(process) for project, process in running.items()}
    return {project: json.loads(text[text.index("{") :]) for project, text in told.items()}


def finish(process: "subprocess.Popen[str]") -> str:
    text, _ = process.communicate(timeout=400)
    assert process.returncode == 0, text
    return text


@pytest.mark.parametrize("project", PROJECTS)
def test_a_triggered_project_is_trained_on_its_pool_and_released(stack, outcomes, project):
    assert outcomes[project]["status"] == "released"
    champions = {each["project"]: each["champion"] for each in json.loads(stack.keepfit("projects", "--json").stdout)}
    assert champions[project] == outcomes[project]["version"]
    shown = json.loads(stack.keepfit("show", outcomes[project]["version"], "--json").stdout)
    hardware = shown["manifest"]["fit"]["hardware"]
    dispatched = PROJECTS[project] if project == "imdb" else ""  # iris trains in its own run's process
    assert hardware["worker"] in {dispatched, PROJECTS[project]}
    assert hardware["device"] == "cpu"
    if project == "imdb":
        assert "GPU" in hardware["note"], "said plainly where a GPU was asked for and none was there"


def test_blobs_lie_in_the_store_and_rows_in_the_database(stack, outcomes, monkeypatch):
    with psycopg.connect(stack.state.database_url("keepfit")) as connection:
        rows = connection.execute("SELECT project, count(*) FROM model_version GROUP BY project").fetchall()
        runs = connection.execute("SELECT project, state FROM run").fetchall()
    assert {project for project, _ in rows} >= set(PROJECTS)
    assert {(project, "completed") for project in PROJECTS} <= set(runs)
    for name, value in stack.state.environment().items():
        monkeypatch.setenv(name, value)
    stored = {blob.digest for blob in open_store(stack.state.environment()["KEEPFIT_STORE_URL"], 30).list_blobs()}
    models = {each["fit"]["chosen"]["artifact"]["digest"] for each in outcomes.values()}
    assert models <= stored


def test_training_again_in_a_fresh_process_gives_the_same_models(stack, outcomes):
    """A network and a classical model, trained on a worker; here without one."""
    told = stack.keepfit("rerun", outcomes["imdb"]["version"], "--json")
    assert told.returncode == 0, told.stdout + told.stderr
    digests = json.loads(told.stdout)
    assert set(digests["recorded"]) == {"network", "tfidf-logistic"}
    assert digests["again"] == digests["recorded"]


def test_schedules_make_runs(stack, outcomes):
    """The server's scheduler works on its own account: nothing else here would miss it."""

    def scheduled() -> bool:
        with psycopg.connect(stack.state.database_url("prefect")) as connection:
            planned = connection.execute("SELECT count(*) FROM flow_run WHERE auto_scheduled").fetchone()
        return bool(planned and planned[0])

    wait_for(scheduled)


def test_only_the_stack_was_written_to(stack, outcomes):
    """The two workers share no folder: parent and child met in the object store and the registry alone."""
    homes = [stack.state.folder / "workers" / name for name in PROJECTS.values()]
    assert all(home.is_dir() for home in homes)
    assert not any((home / name).exists() for home in homes for name in ("store", "registry.db"))
    assert not (stack.home / "registry.db").exists()


def test_down_leaves_no_process_and_no_port_even_where_the_supervisor_was_killed(stack, outcomes):
    """With a retraining under way: its process is in a session of its own, and ends with the rest."""
    started = stack.keepfit("trigger", "iris")
    assert started.returncode == 0, started.stderr
    wait_for(lambda: sum(name == "cpu-worker-1" for name in find_processes(stack.state).values()) > 1)
    supervisor = next(process for process, name in find_processes(stack.state).items() if not name)
    supervisor.kill()
    supervisor.wait(10)
    down = stack.keepfit("down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert_nothing_is_left(stack.state)
    up = stack.keepfit("up", "--detach")
    assert up.returncode == 0, up.stdout + up.stderr
    assert json.loads(stack.keepfit("projects", "--json").stdout), "what was there is there again"

"""Real `keepfit` processes with the temporary server: what they leave behind, however they end (FAULTS.md rows 1, 20)."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from infra.registry.registry import open_registry
from tests.flows.conftest import Place, Zygote

pytestmark = [pytest.mark.engine, pytest.mark.end_to_end, pytest.mark.xdist_group("processes")]

GONE_WITHIN_S = 10.0
LEAKS = ("PREFECT_", "KEEPFIT_", "MPLCONFIGDIR", "KERAS_HOME")
"""What commands set in their own environment; a test that ran one in this process may have left it here."""
WAITING = """\
import time
from pathlib import Path

from sklearn.datasets import load_iris


def load(as_of):
    Path("{folder}/reached").touch()
    while not Path("{folder}/go").exists():
        time.sleep(0.05)
    data = load_iris(as_frame=True)
    rows = data.data.set_axis(["sepal_length", "sepal_width", "petal_length", "petal_width"], axis=1)
    return rows.assign(species=data.target.map(dict(enumerate(data.target_names))))
"""


@dataclass
class Machine:
    """A user's machine: a HOME, a working directory and a folder for temporary files, all empty at first."""

    folder: Path
    projects: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in (self.user, self.cwd, self.temporary):
            path.mkdir(parents=True)

    @property
    def user(self) -> Path:
        return self.folder / "user"

    @property
    def cwd(self) -> Path:
        return self.folder / "cwd"

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    @property
    def home(self) -> Path:
        return self.folder / "keepfit"

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(LEAKS)}
        own = {"HOME": str(self.user), "TMPDIR": str(self.temporary), "COLUMNS": "200"}
        own |= {"KEEPFIT_HOME": str(self.home), "KEEPFIT_PROJECTS": str(self.projects)}
        command = [sys.executable, "-m", "flows.cli.main", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.cwd,
            env={**kept, **own, **self.environment, **environment},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str, **environment: str) -> "Ended":
        return finish(self.start(*arguments, **environment), self)

    def processes(self) -> list[psutil.Process]:
        """Every process alive that works for this KEEPFIT_HOME."""
        return [
            process for process in psutil.process_iter() if _environment(process).get("KEEPFIT_HOME") == str(self.home)
        ]

    def remaining(self) -> list[str]:
        """What is still alive after the time in which all must have gone."""
        give_up = time.monotonic() + GONE_WITHIN_S
        while (alive := self.processes()) and time.monotonic() < give_up:
            time.sleep(0.1)
        return [" ".join(process.cmdline()) for process in alive]


@dataclass
class Ended:
    """How a process ended, and whether a server worked for it meanwhile."""

    code: int
    out: str
    err: str
    server_seen: bool
    seconds: float


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ() if process.status() != psutil.STATUS_ZOMBIE else {}
    except psutil.Error:
        return {}


def finish(process: subprocess.Popen[str], machine: Machine) -> Ended:
    started, server_seen = time.monotonic(), False
    while process.poll() is None and not server_seen and time.monotonic() - started < 120:
        children = psutil.Process(process.pid).children()
        server_seen = any("flows.local_server" in " ".join(_command(child)) for child in children)
        time.sleep(0.05)
    out, err = process.communicate(timeout=150)
    return Ended(process.returncode, out, err, server_seen, time.monotonic() - started)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def list_files(*folders: Path) -> list[str]:
    return sorted(str(path) for folder in folders for path in folder.rglob("*"))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory, light_projects: Path) -> Machine:
    """A machine on which one run has gone well: its server's database is made."""
    machine = Machine(tmp_path_factory.mktemp("machine"), light_projects)
    ended = machine.run("run", "iris")
    assert ended.code == 0, ended.err
    assert ended.server_seen
    return machine


@pytest.fixture
def machine(migrated: Machine, tmp_path: Path) -> Iterator[Machine]:
    """A machine that need not make its server's database and its list of fonts again: that takes six seconds."""
    machine = Machine(tmp_path, migrated.projects)
    for made in ("prefect", "matplotlib"):
        shutil.copytree(migrated.home / made, machine.home / made)
    yield machine
    for process in machine.processes():
        process.kill()


def states(machine: Machine) -> list[str]:
    with open_registry(f"sqlite:///{machine.home / 'registry.db'}") as registry:
        return [run.state for run in registry.runs()][::-1]


def test_a_run_leaves_no_process_and_nothing_outside_its_home(migrated: Machine) -> None:
    assert migrated.remaining() == []
    assert list_files(migrated.user, migrated.cwd, migrated.temporary) == []
    assert states(migrated) == ["completed"]


def test_kill_9_leaves_no_server_and_the_next_run_goes_on(machine: Machine) -> None:
    ended = machine.run("run", "iris", KEEPFIT_FAULT_POINT="score.start")
    assert ended.code == -signal.SIGKILL, ended.err
    assert ended.server_seen
    assert machine.remaining() == []

    ended = machine.run("run", "iris")
    assert ended.code == 0, ended.err
    assert "died without a word" in ended.err
    assert "as before" in ended.err
    assert machine.remaining() == []
    assert states(machine) == ["crashed", "completed"]


def test_a_signal_ends_a_run_with_one_message_and_nothing_left(machine: Machine) -> None:
    ended = machine.run("run", "iris", KEEPFIT_FAULT_POINT="train.start", KEEPFIT_FAULT_SIGNAL="TERM")
    assert ended.server_seen
    assert_stopped_by("TERM", ended, machine)


def assert_stopped_by(name: str, ended: Ended, machine: Machine) -> None:
    assert ended.code == 128 + signal.Signals[f"SIG{name}"], ended.err
    assert f"Stopped by SIG{name}" in ended.err
    assert "Traceback" not in ended.err + ended.out
    assert ended.err.count("keepfit:") == 1
    assert machine.remaining() == []
    assert list_files(machine.user, machine.cwd, machine.temporary) == []
    assert states(machine) == ["cancelled"]


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """Projects whose iris waits in its source until the file `go` is there; returns the folder of that file."""
    folder = tmp_path / "waiting"
    folder.mkdir()
    return folder


def make_waiting_project(machine: Machine, folder: Path) -> None:
    shutil.copytree(machine.projects, folder / "projects")
    machine.projects = folder / "projects"
    iris = folder / "projects" / "iris"
    spec = (iris / "project.yaml").read_text()
    assert "function: data:read" in spec
    (iris / "project.yaml").write_text(spec.replace("function: data:read", "function: waiting:load"))
    (iris / "waiting.py").write_text(WAITING.format(folder=folder))


def test_two_runs_at_once_are_one_run_and_one_clear_refusal(machine: Machine, waiting: Path) -> None:
    shutil.rmtree(machine.home / "prefect")  # both make the server's database at the same time as well
    make_waiting_project(machine, waiting)
    both = [machine.start("run", "iris") for _ in range(2)]
    give_up = time.monotonic() + 120
    while all(process.poll() is None for process in both) and time.monotonic() < give_up:
        time.sleep(0.1)
    (waiting / "go").touch()
    ended = sorted((finish(process, machine) for process in both), key=lambda one: one.code)
    assert [one.code for one in ended] == [0, 1], [one.err for one in ended]
    with open_registry(f"sqlite:///{machine.home / 'registry.db'}") as registry:
        (run,) = registry.runs("iris")
        assert run.state == "completed"
        assert registry.champion("iris").seq == 1
    refused = ended[1].err
    assert run.run_id in refused
    assert "Traceback" not in refused
    assert refused.count("keepfit:") == 1
    assert machine.remaining() == []


def test_ctrl_c_twice_is_not_needed_while_the_source_does_not_answer(machine: Machine, waiting: Path) -> None:
    make_waiting_project(machine, waiting)
    process = machine.start("run", "iris")
    give_up = time.monotonic() + 60
    while not (waiting / "reached").exists() and time.monotonic() < give_up:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert_stopped_by("INT", finish(process, machine), machine)


def test_a_prefect_server_that_is_not_there_is_named_with_a_remedy_and_in_time(machine: Machine) -> None:
    ended = machine.run("run", "iris", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert ended.code == 1
    assert "http://127.0.0.1:9" in ended.err
    assert "PREFECT_API_URL" in ended.err
    assert "Traceback" not in ended.err
    assert ended.seconds < 30
    assert machine.remaining() == []


@pytest.fixture
def broken(machine: Machine, tmp_path: Path, prefect_url: str) -> Machine:
    """A machine with a project whose data break the contract, and somebody's server."""
    folder = tmp_path / "projects" / "table"
    folder.mkdir(parents=True)
    (folder / "rows.csv").write_text("signal,label\n" + "999,left\n1,right\n" * 50)
    spec = (
        "name: table\nsource: {csv: rows.csv}\ncolumns:\n  signal: {type: number, max: 10}\n  label: {type: category}\n"
    )
    (folder / "project.yaml").write_text(
        f"{spec}target: label\ncandidates:\n  dummy: {{estimator: sklearn.dummy.DummyClassifier}}\n"
        "gate: {policy: superiority, floors: {accuracy: 0.1}}\n"
    )
    machine.projects = tmp_path / "projects"
    machine.environment["PREFECT_API_URL"] = prefect_url
    return machine


def test_bad_data_gives_one_message_and_debug_the_traceback(broken: Machine, zygote: Zygote) -> None:
    ended = broken.run("run", "table")
    assert ended.code == 3, ended.err
    assert ended.err.count("keepfit:") == 1
    assert "signal" in ended.err
    assert "Traceback" not in ended.err + ended.out

    place = Place(zygote, broken.home, {"KEEPFIT_PROJECTS": str(broken.projects)})
    code, said = place.keepfit("--debug", "run", "table")
    assert code == 3
    assert "Traceback" in said


def test_a_wrong_spec_gives_one_message_before_anything_starts(broken: Machine) -> None:
    path = broken.projects / "table" / "project.yaml"
    path.write_text(path.read_text().replace("floors", "flors"))
    ended = broken.run("run", "table", "--json")
    assert ended.code == 2
    assert ended.err.count("keepfit:") == 1
    assert "Traceback" not in ended.err + ended.out
    assert json.loads(ended.out)["exit_code"] == 2
    assert not (broken.home / "registry.db").exists()

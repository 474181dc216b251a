"""A Prefect server for the whole session, and processes that run `keepfit` against it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flows.cli.server import keep_no_heartbeats
from flows.local_server import LocalServer
from infra.registry.registry import open_registry
from tests.flows.prepared import prepare_once

ROOT = Path(__file__).parents[2]
WATCHING = ("evidently.presets", "flows.monitoring", "flows.replay", "tasks.monitoring.timeline")


@pytest.fixture(scope="session")
def prefect_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the database of a Prefect server that nothing was told yet: making it takes longer than a start."""

    def make(folder: Path) -> None:
        server = LocalServer(folder)
        server.wait()
        server.stop()

    return prepare_once(tmp_path_factory, "prefect", make)


@pytest.fixture(scope="session")
def prefect_url(prefect_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("prefect")
    shutil.copytree(prefect_database, home, dirs_exist_ok=True)
    server = LocalServer(home)
    server.wait()
    keep_no_heartbeats()  # flows that a test runs in its own process: the server stands for one of their own
    yield server.url
    server.stop()


class Zygote:
    """Runs `keepfit` commands in real processes that are ready in milliseconds.

    `more`: modules to import beforehand, beside those that each run needs.
    """

    def __init__(self, prefect_url: str, home: Path, *more: str) -> None:
        environment = {**os.environ, "PREFECT_API_URL": prefect_url, "PREFECT_HOME": str(home)}
        environment |= {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL", "DO_NOT_TRACK": "1"}
        environment |= {"PREFECT_LOGGING_EXTRA_LOGGERS": "flows,tasks,infra"}
        environment |= {"COLUMNS": "200"}  # the console that all forks share reads it when it is made
        # What is forked must have one thread, those of C libraries included.
        environment |= {
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "JE_ARROW_MALLOC_CONF": "background_thread:false",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.flows.zygote", *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        assert self._reply() == {"ready": True, "threads": 1}, "a fork is safe only where there is one thread"

    def _reply(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def run(self, arguments: list[str], environment: dict[str, str], log: Path, **how: object) -> int:
        assert self.process.stdin is not None
        request = {"arguments": arguments, "environment": environment, "log": str(log), **how}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(str(self._reply()["exit"]))

    def answer(self, question: dict[str, object]) -> dict[str, Any]:
        """Return what stored models answer in a fork, to `tasks.scoring.fresh` of this process."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"answer": question}) + "\n")
        self.process.stdin.flush()
        return self._reply()

    def stop(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def zygote(prefect_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    zygote = Zygote(prefect_url, tmp_path_factory.mktemp("prefect-client"))
    yield zygote
    zygote.stop()


@pytest.fixture
def forked_answers(zygote: Zygote, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where flows run in the test's own process, models answer in a fork of the zygote, not in a new interpreter."""
    from tasks.scoring import fresh
    from tests.flows.zygote import answering_with

    monkeypatch.setattr(fresh, "FreshProcess", answering_with(zygote.answer))


@pytest.fixture(scope="session")
def watching_zygote(prefect_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """One that has imported what monitoring needs as well. Its tests are one group of pytest-xdist: "watching"."""
    zygote = Zygote(prefect_url, tmp_path_factory.mktemp("watching-client"), *WATCHING)
    yield zygote
    zygote.stop()


@dataclass
class Place:
    """One KEEPFIT_HOME, and the commands run in it."""

    zygote: Zygote
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    database: str = ""
    store: str = ""
    forked_scoring: bool = True
    """False: models answer in a new interpreter, as they do for users; that takes two seconds more a run."""
    operator_moves: int = 0
    """How often somebody promotes another version just before a run releases its own."""

    def __post_init__(self) -> None:
        self.database = self.database or f"sqlite:///{self.home / 'registry.db'}"
        self.store = self.store or (self.home / "store").as_uri()

    def keepfit(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run a command; return its exit code (negative: the signal that ended it) and what it printed."""
        log = self.home / "command.log"
        log.unlink(missing_ok=True)
        base = {"KEEPFIT_HOME": str(self.home), "COLUMNS": "200", "KEEPFIT_ACTOR": "tester"}
        base |= {"KEEPFIT_DATABASE_URL": self.database, "KEEPFIT_STORE_URL": self.store}
        how = {"forked_scoring": self.forked_scoring, "operator_moves": self.operator_moves}
        code = self.zygote.run(list(arguments), {**base, **self.environment, **environment}, log, **how)
        return code, log.read_text() if log.exists() else ""

    def answer(self, *arguments: str) -> object:
        """Run a command that must succeed, with --json, and return its answer."""
        code, text = self.keepfit(*arguments, "--json")
        assert code == 0, text
        return json.loads(text[min(text.find(start) for start in "[{" if start in text) :])


@pytest.fixture(scope="session")
def light_projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped projects, with iris choosing between two candidates on two folds: the same path in less time."""
    folder = tmp_path_factory.mktemp("projects") / "projects"
    shutil.copytree(ROOT / "projects", folder, ignore=shutil.ignore_patterns("__pycache__"))
    spec = folder / "iris" / "project.yaml"
    text = spec.read_text()
    lighter = re.sub(r"selection: \{.*\}", "selection: {folds: 2, rule: one_standard_error}", text)
    lighter = re.sub(r"  knn-5:.*?(?=\n  logistic:)", "", lighter, flags=re.DOTALL)
    assert lighter.count("n_neighbors") == 1
    spec.write_text(lighter)
    return folder


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the registry of nothing: half a second of waiting for the disk."""

    def make(home: Path) -> None:
        open_registry(f"sqlite:///{home / 'registry.db'}").close()

    return prepare_once(tmp_path_factory, "registry", make)


@pytest.fixture
def place(zygote: Zygote, light_projects: Path, empty_registry: Path, tmp_path: Path) -> Place:
    shutil.copytree(empty_registry, tmp_path, dirs_exist_ok=True)
    return Place(zygote, tmp_path, {"KEEPFIT_PROJECTS": str(light_projects)})


@pytest.fixture(scope="session")
def iris_released(zygote: Zygote, light_projects: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A KEEPFIT_HOME in which iris@1 is champion, to be copied."""

    def make(home: Path) -> None:
        code, said = Place(zygote, home, {"KEEPFIT_PROJECTS": str(light_projects)}).keepfit("run", "iris")
        assert code == 0, said

    return prepare_once(tmp_path_factory, "iris", make)


@pytest.fixture(scope="session")
def table_released(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A KEEPFIT_HOME in which table@1 is champion, trained on the rows that `table` has at first; to be copied."""

    from tests.flows.tables import make_table

    def make(home: Path) -> None:
        place = Place(zygote, home)
        make_table(place, tmp_path_factory.mktemp("table") / "projects")
        code, said = place.keepfit("run", "table")
        assert code == 0, said

    return prepare_once(tmp_path_factory, "table", make)


@pytest.fixture(scope="module")
def released(
    zygote: Zygote, light_projects: Path, iris_released: Path, tmp_path_factory: pytest.TempPathFactory
) -> Place:
    """A place where iris@1 is champion, for tests that only look."""
    home = tmp_path_factory.mktemp("released")
    shutil.copytree(iris_released, home, dirs_exist_ok=True)
    return Place(zygote, home, {"KEEPFIT_PROJECTS": str(light_projects)})


@pytest.fixture
def iris(place: Place, iris_released: Path) -> Place:
    """A place where iris@1 is champion, for tests that go on from there."""
    shutil.copytree(iris_released, place.home, dirs_exist_ok=True)
    return place


@pytest.fixture(params=["file+sqlite", pytest.param("s3+postgresql", marks=pytest.mark.servers)])
def everywhere(request: pytest.FixtureRequest, place: Place) -> Place:
    """The same commands on the defaults, and on a real S3 server with a real PostgreSQL."""
    if request.param == "s3+postgresql":
        place.database = request.getfixturevalue("postgres_url")
        place.store = request.getfixturevalue("s3_store_url")
        place.environment |= request.getfixturevalue("s3_server").env
    return place


@pytest.fixture
def table(place: Place, tmp_path: Path) -> Path:
    """A project of its own that the test may change; returns its folder."""
    from tests.flows.tables import make_table

    return make_table(place, tmp_path / "projects")


@pytest.fixture
def released_table(place: Place, table: Path, table_released: Path) -> Path:
    """The same project where table@1 is champion."""
    shutil.copytree(table_released, place.home, dirs_exist_ok=True)
    return table

"""A place on real servers whose commands a test can stop in the middle, and which remembers all that they said."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlsplit

import psutil

from infra.registry.registry import Registry, open_registry
from tests.faults.prefect_server import PrefectServer
from tests.flows.conftest import ROOT, Place
from tests.servers.postgres import PostgresServer
from tests.servers.seaweed import S3Server

STOP_WITHIN_S = 60.0


@dataclass
class Command:
    """A command that was stopped at a fault point; `code` and `said` are known once it has gone on to its end."""

    process: psutil.Process
    code: int = -1
    said: str = ""
    seconds: float = 0.0
    """From going on to the end."""
    stops: int = 0
    """How often it reached the point."""


@dataclass
class FaultPlace(Place):
    """One KEEPFIT_HOME on PostgreSQL, an S3 server and a Prefect server of the fault tests alone."""

    postgres: PostgresServer = field(kw_only=True)
    s3: S3Server = field(kw_only=True)
    prefect: PrefectServer = field(kw_only=True)
    canaries: list[str] = field(kw_only=True)
    """What must be nowhere in what was printed, logged or stored."""
    everything_said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.home.mkdir()

    def keepfit(self, *arguments: str, **environment: str) -> tuple[int, str]:
        code, said = super().keepfit(*arguments, **environment)
        self.everything_said.append(said)
        return code, said

    def keepfit_anew(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run a command in a new interpreter, as a user does; that takes seconds more, and ends as it ends for users."""
        with self.start_anew(*arguments, **environment) as process:
            return self._finish(process)

    def start_anew(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "KEEPFIT_"))}
        own = {"KEEPFIT_HOME": str(self.home), "COLUMNS": "200", "KEEPFIT_ACTOR": "tester"}
        own |= {"KEEPFIT_DATABASE_URL": self.database, "KEEPFIT_STORE_URL": self.store}
        own |= {"PREFECT_API_URL": self.prefect.url, "PREFECT_API_AUTH_STRING": self.prefect.auth}
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli.main", *arguments],
            cwd=ROOT,
            env={**kept, **own, **self.environment, **environment},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def _finish(self, process: "subprocess.Popen[str]") -> tuple[int, str]:
        said, _ = process.communicate(timeout=300)
        self.everything_said.append(said)
        return process.returncode, said

    def registry(self) -> Registry:
        """Open the registry past every proxy."""
        return open_registry(self.direct_database)

    @cached_property
    def direct_database(self) -> str:
        """The database's URL past every proxy."""
        url = urlsplit(self.database)
        return url._replace(netloc=f"{url.username}:{url.password}@127.0.0.1:{self.postgres.port}").geturl()

    @cached_property
    def bucket(self) -> tuple[str, str]:
        """The store's bucket, and the prefix of its keys."""
        parts = urlsplit(self.store)
        return parts.netloc, parts.path.strip("/")

    @contextmanager
    def stopped_at(self, point: str, *arguments: str, anew: bool = False, **environment: str) -> Iterator[Command]:
        """Stop a command's process at a fault point for the body, then let it go on to its end.

        `anew`: in a new interpreter.
        """
        environment |= {"KEEPFIT_FAULT_POINT": point, "KEEPFIT_FAULT_SIGNAL": "STOP"}
        answer: list[tuple[int, str]] = []
        if anew:
            popen = self.start_anew(*arguments, **environment)
            thread = threading.Thread(target=lambda: answer.append(self._finish(popen)))
        else:
            thread = threading.Thread(target=lambda: answer.append(self.keepfit(*arguments, **environment)))
        thread.start()
        parent = psutil.Process(self.zygote.process.pid)
        process = _wait_for_stop(thread, lambda: [psutil.Process(popen.pid)] if anew else parent.children())
        command = Command(process)
        try:
            yield command
        finally:
            went_on = time.monotonic()
            command.stops = _let_go_on(process, thread)
            command.code, command.said = answer[0]
            command.seconds = time.monotonic() - went_on


def _wait_for_stop(thread: threading.Thread, candidates: Callable[[], list[psutil.Process]]) -> psutil.Process:
    give_up = time.monotonic() + STOP_WITHIN_S
    while thread.is_alive() and time.monotonic() < give_up:
        with suppress(psutil.NoSuchProcess):
            for process in candidates():
                if process.status() == psutil.STATUS_STOPPED:
                    return process
        time.sleep(0.01)
    raise AssertionError("the command never stopped at its fault point")


def _let_go_on(process: psutil.Process, thread: threading.Thread) -> int:
    """Return how often the process was stopped: a step that is tried again reaches its points again."""
    stops = 0
    while thread.is_alive():
        with suppress(psutil.NoSuchProcess):
            if process.status() == psutil.STATUS_STOPPED:
                stops += 1
                process.resume()
        thread.join(0.02)
    return stops

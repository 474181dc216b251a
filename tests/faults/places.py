"""A place on real servers whose commands a test can stop in the middle, and which remembers all that they said."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from infra.registry.registry import Registry, open_registry
from tests.faults.prefect_server import PrefectServer
from tests.flows.conftest import Place
from tests.servers.postgres import PostgresServer
from tests.servers.seaweed import S3Server

STOP_WITHIN_S = 60.0


@dataclass
class Command:
    """A command that was stopped at a fault point; `code` and `said` are known once it has gone on to its end."""

    pid: int
    code: int = -1
    said: str = ""
    seconds: float = 0.0
    """From going on to the end."""


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
    def stopped_at(self, point: str, *arguments: str, **environment: str) -> Iterator[Command]:
        """Stop a command's process at a fault point for the body, then let it go on to its end."""
        environment |= {"KEEPFIT_FAULT_POINT": point, "KEEPFIT_FAULT_SIGNAL": "STOP"}
        answer: list[tuple[int, str]] = []
        thread = threading.Thread(target=lambda: answer.append(self.keepfit(*arguments, **environment)))
        thread.start()
        process = self._wait_for_stop(thread)
        command = Command(process.pid)
        try:
            assert process.status() == psutil.STATUS_STOPPED, f"{point} was not reached: {answer}"
            yield command
        finally:
            went_on = time.monotonic()
            _let_go_on(process, thread)
            command.code, command.said = answer[0]
            command.seconds = time.monotonic() - went_on

    def _wait_for_stop(self, thread: threading.Thread) -> psutil.Process:
        zygote = psutil.Process(self.zygote.process.pid)
        give_up = time.monotonic() + STOP_WITHIN_S
        while thread.is_alive() and time.monotonic() < give_up:
            for process in zygote.children():
                if process.status() == psutil.STATUS_STOPPED:
                    return process
            time.sleep(0.01)
        raise AssertionError(f"the command never stopped: {self.everything_said[-1:]}")


def _let_go_on(process: psutil.Process, thread: threading.Thread) -> None:
    # A step that is tried again reaches its points again.
    while thread.is_alive():
        if process.is_running() and process.status() == psutil.STATUS_STOPPED:
            process.resume()
        thread.join(0.02)


def copy_projects(place: Place, target: Path) -> Path:
    """Give the place projects of its own, which a test may change; return their folder."""
    import shutil

    folder = Path(shutil.copytree(place.environment["KEEPFIT_PROJECTS"], target))
    place.environment["KEEPFIT_PROJECTS"] = str(folder)
    return folder

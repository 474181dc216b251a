"""The real stack, as `keepfit up` starts it, once for the tests that ask for it.

These tests carry `pytest.mark.xdist_group("stack")`, so that one worker of pytest-xdist runs them all: a second stack
would cost another half minute.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.stack.state import StackState, read_state
from tests.servers.groups import stop_after_group

__all__ = ["Stack", "stack"]

ROOT = Path(__file__).parents[2]
GIVEN = ("KEEPFIT_", "PREFECT_", "AWS_")
"""What a developer's shell may say about other stores, databases and servers."""


@dataclass
class Stack:
    """A stack in a KEEPFIT_HOME of its own."""

    home: Path
    projects: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> StackState:
        """What it is now: ports, credentials, workers."""
        state = read_state(self.home)
        assert state is not None
        return state

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a client that is no keepfit command: everything of this process and of the stack."""
        return {**self._own_environment(), **self.state.environment()}

    def _own_environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(GIVEN)}
        own = {"KEEPFIT_HOME": str(self.home), "KEEPFIT_PROJECTS": str(self.projects), "KEEPFIT_ACTOR": "tester"}
        return {**inherited, **own, "COLUMNS": "200", **self.extra}

    def keepfit(
        self, *arguments: str, timeout_s: float = 300, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a keepfit command as a user of this home does: it finds the stack by itself."""
        return subprocess.run(
            self.command(*arguments),
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**self._own_environment(), **environment},
            timeout=timeout_s,
        )

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        """Start a keepfit command and return its process; its output comes through a pipe."""
        return subprocess.Popen(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={**self._own_environment(), "PYTHONUNBUFFERED": "1", **environment},
        )

    def remove(self) -> None:
        """Stop it and delete its data; where that is done already, nothing."""
        if read_state(self.home) is not None:
            self.keepfit("down", "--delete-data")

    @staticmethod
    def command(*arguments: str) -> list[str]:
        """Return the command line of a keepfit command."""
        return [sys.executable, "-P", "-m", "flows.cli.main", *arguments]


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack on free ports: one worker of cpu-pool, one of gpu-pool without a GPU, everything deployed."""
    folder = tmp_path_factory.mktemp("stack")
    projects = shutil.copytree(ROOT / "projects", folder / "projects", ignore=shutil.ignore_patterns("__pycache__"))
    stack = Stack(folder / "home", Path(projects))
    stop_after_group(request.session, "stack", stack.remove)
    try:
        up = stack.keepfit("up", "--detach", "--new-ports", "--cpu-workers", "1", "--gpu-workers", "1")
        assert up.returncode == 0, up.stdout + up.stderr
        yield stack
    finally:
        stack.remove()

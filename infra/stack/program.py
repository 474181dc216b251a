"""What a program of the stack is, and the environment that it starts with."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from infra.stack.state import CONFLICTING, LOOPBACK

MARKER: Final = "KEEPFIT_STACK"
"""In the environment of every process of a stack, flow runs included: whose it is, also after its supervisor died."""

STORES, SERVER, WORKERS = range(3)


@dataclass(frozen=True)
class Program:
    """What the supervisor keeps running, and what its launcher gives it."""

    name: str
    stage: int
    command: tuple[str, ...]
    folder: Path
    environment: dict[str, str] = field(repr=False)
    ports: dict[str, int] = field(default_factory=dict)
    settles_s: int = 2
    """An end sooner than this after the start is a failed start: the supervisor waits longer before the next one."""
    stop_signal: str = "TERM"
    stop_wait_s: int = 10
    account: str | None = None
    inherits: bool = False
    """Whether it sees the environment of `keepfit up`: workers do, for the projects' own variables."""


PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", MARKER, "SUPERVISOR_PROCESS_NAME")


def complete_environment(program: Program) -> dict[str, str]:
    """Return the environment that a program starts with: its own, and what it may see of this process."""
    if program.inherits:
        # Somebody's own Prefect profile or key must not lead a worker to another server.
        seen = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PREFECT_") and name not in CONFLICTING
        }
    else:
        seen = {name: os.environ[name] for name in PASSED if name in os.environ}
    spared = ",".join(filter(None, (os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), LOOPBACK)))
    return {**seen, "NO_PROXY": spared, "no_proxy": spared, "PYTHONUNBUFFERED": "1", **program.environment}

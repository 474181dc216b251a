"""What takes a while and does not change is made once in a test session, whichever worker of pytest-xdist comes first."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def prepare_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder that `make` has filled, by this worker or by another one; nobody may change it."""
    base = factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = root / "prepared" / name, root / "prepared" / f"{name}.done"
    folder.parent.mkdir(exist_ok=True)
    with (root / "prepared" / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder

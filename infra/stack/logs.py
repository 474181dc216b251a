"""The programs' logs, as people read them: the last lines, or all that comes."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from infra.stack.state import StackState

TAIL_BYTES: Final = 256_000
PAUSE_S: Final = 0.3


def log_of(state: StackState, name: str) -> Path:
    """Return where a program's log lies."""
    return state.logs / f"{name}.log"


def read_tail(state: StackState, name: str, lines: int) -> list[str]:
    """Return the last lines of a program's log, without anything that is a credential of the stack."""
    try:
        with log_of(state, name).open("rb") as file:
            file.seek(max(0, log_of(state, name).stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [hide_credentials(state, line) for line in text.splitlines()[-lines:]] if lines else []


def follow(state: StackState, name: str) -> Iterator[str]:
    """Yield the lines that come from now on, through rotations, without end."""
    path = log_of(state, name)
    start = path.stat().st_size
    while True:
        with path.open(errors="replace") as file:
            file.seek(start)
            rotated = False
            while not rotated:
                time.sleep(PAUSE_S)
                rotated = path.exists() and path.stat().st_ino != os.fstat(file.fileno()).st_ino
                for line in file:  # of a log that was rotated away to its last one
                    yield hide_credentials(state, line.rstrip("\n"))
        start = 0


def hide_credentials(state: StackState, text: str) -> str:
    """Return the text with every credential of the stack replaced; programs should show none, but they are not ours."""
    values = sorted(state.credentials.model_dump().values(), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, values)), "***", text)

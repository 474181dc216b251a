"""Processes of a stack that have no supervisor any more, found by the marker in their environment, ended in order."""

import contextlib
import os
import signal
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

import psutil

from infra.stack.program import MARKER, WORKERS, Program
from infra.stack.state import StackState

GRACE_S: Final = 10.0
SUPERVISOR_GRACE_S: Final = 60.0
"""A supervisor that gets a signal stops its programs first."""

NAME: Final = "SUPERVISOR_PROCESS_NAME"
"""Set by the supervisor for each program, and inherited by what that starts."""


def find_processes(state: StackState) -> dict[psutil.Process, str]:
    """Return every process of this stack with the name of its program; '' for the supervisor and others."""
    found: dict[psutil.Process, str] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            name = _name_program(process, state)
            if name is not None and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found[process] = name
    return found


def find_leaders(state: StackState) -> dict[str, int]:
    """Return by program the process that it consists of, or that started its others."""
    found = find_processes(state)
    below = {each for each in found if (parent := _parent(each)) is not None and found.get(parent) == found[each]}
    return {name: process.pid for process, name in found.items() if name and process not in below}


def _name_program(process: psutil.Process, state: StackState) -> str | None:
    try:
        environment = process.environ()
    except psutil.AccessDenied:
        # Root without the right to trace: only what a command line shows.
        data = str(state.postgres_home / "postgres")
        return "postgres" if Path(data) != state.folder / "postgres" and data in process.cmdline() else None
    if environment.get(MARKER) != str(state.folder):
        return None
    return environment.get(NAME, "")


def end_leftovers(state: StackState, programs: Iterable[Program]) -> list[str]:
    """End what an earlier supervisor left behind, flow runs and workers first, stores last; return their names."""
    found = find_processes(state)
    supervisors = [p for p, name in found.items() if not name]
    _end(supervisors, "TERM", SUPERVISOR_GRACE_S)
    listed = list(programs)
    ended = sorted({name or "supervisor" for name in found.values()})
    for stage in sorted({program.stage for program in listed}, reverse=True):
        at_once = [program for program in listed if program.stage == stage]
        end_flow_runs(state, names_of_workers(at_once))
        for program in at_once:
            end_processes_of(state, program)
    # What is left bears the name of a program that is no longer planned.
    _end(find_processes(state), "TERM", GRACE_S)
    return ended


def end_orphans(folder: Path) -> int:
    """End the processes of a stack whose folder was removed under them, and return how many there were.

    Its state is gone, so only the marker tells them: the supervisor first, which stops its programs in order.
    """
    orphans: dict[psutil.Process, str] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARKER) == str(folder):
                orphans[process] = process.environ().get(NAME, "")
    _end((process for process, name in orphans.items() if not name), "TERM", SUPERVISOR_GRACE_S)
    _end((process for process in orphans if process.is_running()), "TERM", GRACE_S)
    return len(orphans)


def differs(program: Program, pid: int) -> bool:
    """Return whether a worker that runs was given other settings than it would be now: a checkout, projects, a GPU."""
    if program.stage != WORKERS:
        return False
    with contextlib.suppress(psutil.Error):
        given = psutil.Process(pid).environ()
        return any(given.get(name) != value for name, value in program.environment.items())
    return False


def names_of_workers(programs: Iterable[Program]) -> set[str]:
    """Return which of these programs are workers."""
    return {program.name for program in programs if program.stage == WORKERS}


def end_flow_runs(state: StackState, workers: Collection[str]) -> None:
    """End what these workers run, before they end: a worker that ends kills it without a word."""
    found = {process: name for process, name in find_processes(state).items() if name in workers}
    roots = _find_roots(found)
    _end((process for process in found if _parent(process) in roots), "TERM", GRACE_S)


def end_processes_of(state: StackState, program: Program) -> None:
    """End a program with its own signal, and what it started, in whatever session, with it."""
    _end(_find_roots(_find_own(state, program)), program.stop_signal, GRACE_S)
    _end(_find_own(state, program), "TERM", GRACE_S)


def _find_own(state: StackState, program: Program) -> list[psutil.Process]:
    return [process for process, name in find_processes(state).items() if name == program.name]


def _find_roots(processes: Collection[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if _parent(process) not in processes]


def _parent(process: psutil.Process) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        return process.parent()
    return None


def _end(processes: Iterable[psutil.Process], how: str, grace_s: float) -> None:
    """Send the signal, wait, and kill what is still there."""
    asked = list(processes)
    for process in asked:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.Signals[f"SIG{how}"])
    _, alive = psutil.wait_procs(asked, timeout=grace_s)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=grace_s)

"""`keepfit up`, `down`, `status`, `logs`: the local stack as a person starts it, watches it and stops it."""

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import psutil
import typer
from rich.text import Text

from flows.cli.render import console, rows_table
from infra.errors import KeepfitError, UsageError
from infra.settings import load_settings
from infra.stack.leftovers import end_orphans, find_leaders, find_processes
from infra.stack.logs import follow, log_of, read_tail
from infra.stack.planning import (
    StackBusy,
    Wishes,
    check_installation,
    delete_broken,
    delete_data,
    holding_stack,
    make_stack_folder,
    plan_stack,
)
from infra.stack.program import Program
from infra.stack.programs import list_programs
from infra.stack.state import BrokenState, StackState, read_state, stack_folder
from infra.stack.supervision import Status, Supervisor, SupervisorGone, answers
from infra.suggestion import suggest

WATCH_S: Final = 1.0


def start(wishes: Wishes, *, detach: bool) -> None:
    """Bring the stack up; stay with it unless it shall run on its own."""
    from flows.stack import bring_up

    check_installation()
    os.umask(0o077)
    # While the store starts, a put that fails is no news.
    logging.getLogger("infra.artifacts").addHandler(logging.NullHandler())
    settings = load_settings()
    tell = Progress()
    with holding_stack(make_stack_folder(settings.home)):
        if wishes.new_ports:
            _stop_running(settings.home, tell)
        before = read_state(settings.home)
        ran = before is not None and answers(before)
        state = plan_stack(settings.home, settings.projects, wishes)
        tell(f"the stack of {state.folder}")
        try:
            started = bring_up(state, tell)
        except BaseException:
            if not detach and not ran:
                tell("stopping what was started")
                _stop(state, tell)
            raise
    print_places(state, started)
    if not detach:
        stay(state, tell)


def _stop_running(home: Path, tell: Callable[[str], None]) -> None:
    state = read_state(home)
    if state is not None and answers(state):
        tell("stopping, to start again on other ports")
        _stop(state, tell)


class Progress:
    """Prints lines with the seconds since the start."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def __call__(self, line: str) -> None:
        console.print(Text.assemble((f"{time.monotonic() - self.began:6.1f} s  ", "dim"), line), soft_wrap=True)


def print_places(state: StackState, started: list[str]) -> None:
    """Print what is where."""
    running = [program.name for program in list_programs(state)]
    console.print()
    console.print(Text("Everything is up." if started else "Everything was up already.", style="bold"))
    console.print(Text(f"  {', '.join(running)}", style="dim"), soft_wrap=True)
    console.print()
    for what, where in places(state).items():
        console.print(Text(f"  {what:<10}{where}"), soft_wrap=True)
    console.print()


def places(state: StackState) -> dict[str, str]:
    """Return what is where, without a secret."""
    environment = state.environment()
    database = f"postgresql://…@127.0.0.1:{state.ports.postgres}"
    return {
        "UI": f"{state.ui}   sign in with the line in {state.folder / 'sign-in'}",
        "S3": f"{environment['AWS_ENDPOINT_URL_S3']}   {environment['KEEPFIT_STORE_URL']}",
        "databases": f"{database}/keepfit   {database}/prefect",
        "data": f"{state.postgres_home / 'postgres'}   {state.folder / 'seaweed'}",
        "logs": f"{state.logs}   keepfit logs prefect-server -f",
        "shell": f". {state.folder / 'env'}   for programs of your own: addresses and credentials",
        "try": "keepfit trigger iris",
        "stop": "keepfit down",
    }


def stay(state: StackState, tell: Progress) -> NoReturn:
    """Tell of what dies and comes back, until somebody stops this command; then stop the stack."""
    console.print(Text("Ctrl-C stops all of it.", style="dim"))
    try:
        watch(state, tell)
    except SupervisorGone:
        if end_remains(state, tell):
            raise
        tell("another command stopped the stack")
        sys.exit(0)
    except BaseException as reason:
        console.print()
        tell("stopping")
        with holding_stack(state.folder):
            _stop(state, tell)
        tell("stopped; the data stays. `keepfit up` starts it again")
        if isinstance(reason, KeepfitError):
            raise
        sys.exit(0)


def end_remains(state: StackState, tell: Callable[[str], None]) -> bool:
    """Return whether a supervisor that died left something, which is ended then; another command may be at it already."""
    try:
        with holding_stack(state.folder):
            if not find_processes(state):
                return False
            tell("the supervisor died; ending what it left behind")
            _stop(state, tell)
            return True
    except (StackBusy, FileNotFoundError):
        return False


def watch(state: StackState, tell: Callable[[str], None]) -> NoReturn:
    """Tell of each program that ended, and of each that came back, for ever."""
    supervisor = Supervisor(state)
    before = supervisor.statuses()
    while True:
        time.sleep(WATCH_S)
        now = supervisor.statuses()
        for name, status in now.items():
            earlier = before.get(name)
            if earlier is not None and (change := describe_change(earlier, status)):
                tell(f"{name}: {change}")
        before = now


def describe_change(earlier: Status, now: Status) -> str:
    """Return what happened to a program between two looks; nothing where it goes on as it was."""
    if now.pid and now.pid == earlier.pid and now.state in {"RUNNING", "STARTING"}:
        return ""
    if now.pid and earlier.pid and now.pid != earlier.pid:
        return f"process {earlier.pid} ended; started again as {now.pid}"
    if now.pid and now.pid != earlier.pid:
        return f"started again as {now.pid}"
    if (now.state, now.pid) == (earlier.state, earlier.pid):
        return ""
    return f"{now.state.lower()}{f' ({now.detail})' if now.detail else ''}"


def stop(*, delete: bool) -> None:
    """Stop the stack of this KEEPFIT_HOME, whoever started it."""
    folder = stack_folder(load_settings().home)
    try:
        state = read_state(load_settings().home)
    except BrokenState:
        console.print(f"{end_orphans(folder)} processes are ended.")  # what runs is found without the state
        if not delete:
            raise
        delete_broken(folder)
        console.print(f"{folder} is deleted.", soft_wrap=True)
        return
    if state is None:
        ended = end_orphans(folder)
        left = f" {ended} processes of one that was there are ended." if ended else ""
        console.print(f"There is no stack in {folder}.{left}", soft_wrap=True)
        return
    tell = Progress()
    with holding_stack(state.folder):
        _stop(state, tell)
        if delete:
            delete_data(state)
    tell("everything is stopped" + (" and deleted" if delete else "; the data stays"))


def _stop(state: StackState, tell: Callable[[str], None]) -> None:
    from flows.stack import bring_down

    bring_down(state, tell)


def show_status(*, as_json: bool) -> None:
    """Print what runs; exit with 1 unless all of it does."""
    state = read_state(load_settings().home)
    looked = look_at(state) if state else []
    if as_json:
        print(json.dumps({"folder": str(stack_folder(load_settings().home)), "programs": looked}, indent=2))
    elif state is None:
        console.print(f"There is no stack in {stack_folder(load_settings().home)}. `keepfit up` makes one.")
    else:
        print_status(state, looked)
    if not looked or any(program["state"] != "RUNNING" for program in looked):
        raise typer.Exit(1)


def look_at(state: StackState) -> list[dict[str, Any]]:
    """Return each program as JSON shows it; without a supervisor each is DOWN, or LEFT_OVER where it still runs."""
    known = Supervisor(state).statuses() if answers(state) else {}
    left = {} if known else find_leaders(state)
    return [
        _look_at_program(program, known.get(program.name), left.get(program.name)) for program in list_programs(state)
    ]


def _look_at_program(program: Program, status: Status | None, left: int | None) -> dict[str, Any]:
    pid = (status.pid if status else left) or None
    if status is None:
        shown, detail = ("LEFT_OVER", "without a supervisor; `keepfit up` starts it anew") if left else ("DOWN", "")
    else:
        shown, detail = status.state, "" if status.up else status.detail
    return {
        "program": program.name,
        "state": shown,
        "pid": pid,
        "since": status.since.isoformat() if status and status.since and pid else None,
        "ports": program.ports,
        "memory_bytes": measure_memory(pid),
        "detail": detail,
    }


def measure_memory(pid: int | None) -> int | None:
    """Return what a program and the processes it started hold in memory, each page shared among them counted once."""
    if pid is None:
        return None
    total = 0
    with contextlib.suppress(psutil.Error):
        leader = psutil.Process(pid)
        for process in (leader, *leader.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total or None


def name_time(moment: str | None) -> str:
    """Return a time of today without its date, any other with it."""
    if moment is None:
        return ""
    when = datetime.fromisoformat(moment)
    return when.strftime("%H:%M:%S" if when.date() == datetime.now(UTC).date() else "%m-%d %H:%M")


def print_status(state: StackState, looked: list[dict[str, Any]]) -> None:
    """Print the table, and what is where."""
    rows = []
    for program in looked:
        memory = f"{program['memory_bytes'] / 2**20:,.0f} MiB" if program["memory_bytes"] else ""
        first = next(iter(program["ports"].values()), None)
        address = f"127.0.0.1:{first}" if first else ""
        rows.append(
            (program["program"], program["state"].lower(), program["pid"], name_time(program["since"]), address, memory)
        )
    console.print(rows_table(("program", "state", "pid", "since (UTC)", "address", "memory"), rows))
    for program in looked:
        if program["detail"]:
            console.print(Text(f"{program['program']}: {program['detail']}", style="yellow"))
    if all(program["state"] == "RUNNING" for program in looked):
        for what, where in places(state).items():
            console.print(Text(f"  {what:<10}{where}"), soft_wrap=True)
    else:
        console.print("`keepfit up` starts what is missing.")


def show_logs(name: str, *, lines: int, keep_following: bool) -> None:
    """Print the end of a program's log.

    Raises
    ------
    UsageError
        There is no such program, or no stack.
    """
    state = read_state(load_settings().home)
    if state is None:
        raise UsageError("There is no stack here.", remedy="`keepfit up` starts one.")
    known = [*(program.name for program in list_programs(state)), "supervisor", "deploy"]
    if name not in known or not log_of(state, name).exists():
        raise UsageError(f"{name!r}: no such log.{suggest(name, known)}", remedy=f"There are {', '.join(known)}.")
    for line in read_tail(state, name, lines):
        print(line)
    if keep_following:
        for line in follow(state, name):
            print(line, flush=True)

"""What the processes of a stack do on this machine: where they listen, and whether any is left."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import psutil

from infra.stack.leftovers import find_processes
from infra.stack.ports import is_free
from infra.stack.program import Program
from infra.stack.programs import list_programs
from infra.stack.state import StackState

BACK_WITHIN_S = 60


def wait_for(what: Callable[[], object], within_s: float = BACK_WITHIN_S) -> None:
    give_up = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < give_up, what
        time.sleep(0.1)


class Listener(NamedTuple):
    """A socket that takes connections: of TCP with its address, of the Unix kind with its path."""

    program: str
    host: str
    port: int
    path: str


def find_listeners(state: StackState) -> set[Listener]:
    """Return every socket on which a process of the stack listens."""
    return {found for process, name in find_processes(state).items() for found in _listeners_of(process, name)}


def _listeners_of(process: psutil.Process, name: str) -> Iterator[Listener]:
    try:
        connections = process.net_connections("all")
    except psutil.NoSuchProcess:  # a flow run that ended meanwhile
        return
    for each in connections:
        if each.family == socket.AF_UNIX:
            if each.laddr:
                yield Listener(name, "", 0, str(each.laddr))
        elif each.status == psutil.CONN_LISTEN or each.type == socket.SOCK_DGRAM:
            yield Listener(name, each.laddr.ip, each.laddr.port, "")


def ports_of(state: StackState) -> dict[int, str]:
    """Return every port that a program of the stack declares, with what it is."""
    return {port: f"{program.name} {what}" for program in list_programs(state) for what, port in program.ports.items()}


def program_named(state: StackState, name: str) -> Program:
    """Return one program of the stack."""
    return next(program for program in list_programs(state) if program.name == name)


def assert_nothing_is_left(state: StackState) -> None:
    """No process of the stack is there, none of PostgreSQL's, and every port is free again."""
    assert find_processes(state) == {}
    data = str(state.postgres_home)
    assert [p.pid for p in psutil.process_iter() if any(data in word for word in _words(p))] == []
    assert {what: port for port, what in ports_of(state).items() if not is_free(port)} == {}


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []

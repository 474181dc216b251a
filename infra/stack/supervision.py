"""The supervisor of a stack: the package `supervisor` as a program, with a configuration made here, and its interface.

It restarts what dies, waits longer each time, and rotates the logs. It starts nothing by itself: the order of a start
needs to know what is healthy.
"""

import contextlib
import os
import pwd
import socket
import subprocess
import sys
import time
import xmlrpc.client
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil

from infra.errors import KeepfitError
from infra.stack.program import MARKER, Program
from infra.stack.state import StackState, make_private_folder, read_state, write_private

CONFIGURATION: Final = "supervisord.conf"
START_LIMIT_S: Final = 20.0
STOP_LIMIT_S: Final = 60.0
CALL_LIMIT_S: Final = 90.0
"""A call that stops a program returns when it has ended."""
PAUSE_S: Final = 0.1
BAD_NAME: Final = 10
NOT_RUNNING: Final = 70
ALREADY_STARTED: Final = 60
ALREADY_ADDED: Final = 90


class Status(NamedTuple):
    """A program as the supervisor sees it; state is one of its own words: RUNNING, STARTING, BACKOFF, FATAL, …"""

    name: str
    state: str
    pid: int
    since: datetime | None
    detail: str

    @property
    def up(self) -> bool:
        return self.state == "RUNNING"


def is_running(home: Path) -> bool:
    """Return whether the stack of this KEEPFIT_HOME has a supervisor that answers."""
    state = read_state(home)
    return state is not None and answers(state)


def answers(state: StackState) -> bool:
    """Return whether the supervisor takes connections."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(state.socket))
        except OSError:
            return False
    return True


class SupervisorGone(KeepfitError):
    """It does not answer any more."""


class UnixTransport(xmlrpc.client.Transport):
    """Carries the calls over the control socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> HTTPConnection:
        """Return a connection to the socket; the name of the host plays no part."""
        connection = HTTPConnection("supervisor")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(CALL_LIMIT_S)  # the connection sets its own limit only on sockets that it makes
        try:
            connection.sock.connect(str(self._path))
        except OSError:
            connection.sock.close()
            raise
        self._connection = host, connection  # closed with the transport
        return connection


class Supervisor:
    """The interface of a running supervisor."""

    def __init__(self, state: StackState) -> None:
        self._state = state

    def _call(self, name: str, *arguments: object) -> Any:
        try:
            with xmlrpc.client.ServerProxy("http://supervisor", transport=UnixTransport(self._state.socket)) as calls:
                return getattr(calls.supervisor, name)(*arguments)
        except (OSError, HTTPException) as error:
            raise self._gone() from error

    def _gone(self) -> SupervisorGone:
        return SupervisorGone(
            f"The supervisor of the stack in {self._state.folder} does not answer.",
            remedy="`keepfit up` starts it anew; nothing is lost.",
        )

    def statuses(self) -> dict[str, Status]:
        """Return every program that it knows, by name."""
        return {given["name"]: _read_status(given) for given in self._call("getAllProcessInfo")}

    def start(self, name: str) -> None:
        """Have a program started; return at once. One that runs already stays as it is."""
        with _accepting(ALREADY_STARTED):
            self._call("startProcess", name, False)

    def stop(self, name: str) -> None:
        """Stop a program, with its own signal and patience, and return when it has ended."""
        with _accepting(NOT_RUNNING, BAD_NAME):
            self._call("stopProcess", name, True)

    def reload(self) -> None:
        """Take up programs that came into the configuration, stop and forget those that left it."""
        [[added, changed, removed]] = self._call("reloadConfig")
        for name in [*changed, *removed]:
            self.stop(name)
            self._call("removeProcessGroup", name)
        for name in [*changed, *added]:
            with _accepting(ALREADY_ADDED):
                self._call("addProcessGroup", name)

    def shut_down(self) -> None:
        """Let it stop what still runs, and return when it has ended.

        Raises
        ------
        SupervisorGone
            It takes too long, or has ended meanwhile.
        """
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(self._call("getPID")))
            self._call("shutdown")
            try:
                process.wait(STOP_LIMIT_S)
            except psutil.TimeoutExpired as error:
                raise self._gone() from error


@contextlib.contextmanager
def _accepting(*codes: int) -> Any:
    try:
        yield
    except xmlrpc.client.Fault as fault:
        if fault.faultCode not in codes:
            raise


def _read_status(given: dict[str, Any]) -> Status:
    since = datetime.fromtimestamp(given["start"], UTC) if given["start"] else None
    return Status(given["name"], given["statename"], given["pid"], since, given["spawnerr"] or given["description"])


def write_configuration(state: StackState, programs: tuple[Program, ...]) -> Path:
    """Write the supervisor's configuration; no secret stands in it."""
    make_private_folder(state.logs)
    sections = [_describe_supervisor(state), *(_describe_program(state, program) for program in programs)]
    path = state.folder / CONFIGURATION
    text = "\n".join(f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in lines.items()) for each in sections for name, lines in each.items())  # fmt: skip
    write_private(path, text)
    return path


def _describe_supervisor(state: StackState) -> dict[str, dict[str, object]]:
    socket_file = _escape(state.socket)
    return {
        "supervisord": {
            "logfile": _escape(state.logs / "supervisor.log"),
            "logfile_maxbytes": "10MB",
            "logfile_backups": 3,
            "pidfile": _escape(state.runtime / "supervisor.pid"),
            "silent": "true",
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "identifier": f"keepfit-{state.id}",
        },
        "unix_http_server": {"file": socket_file, "chmod": "0600"},
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
        "supervisorctl": {"serverurl": f"unix://{socket_file}"},
    }


def _describe_program(state: StackState, program: Program) -> dict[str, dict[str, object]]:
    launcher = f'"{_escape(sys.executable)}" -P -m infra.stack.launch {program.name}'
    return {
        f"program:{program.name}": {
            "command": launcher,
            "directory": _escape(state.folder),
            "priority": 100 + program.stage,  # where it gets a signal itself, it stops them the other way round
            "autostart": "false",
            "autorestart": "true",
            "startsecs": program.settles_s,
            "startretries": 8,
            "stopsignal": program.stop_signal,
            "stopwaitsecs": program.stop_wait_s,
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": _escape(state.logs / f"{program.name}.log"),
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": 3,
        }
    }


def _escape(text: object) -> str:
    return str(text).replace("%", "%%")


def _without_supervisor() -> dict[str, str]:
    """Return this process's environment without the traces of a supervisor that keeps `keepfit up` itself running."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SUPERVISOR_")}


def start_supervisor(state: StackState, programs: tuple[Program, ...]) -> Supervisor:
    """Start the supervisor as a process of its own, which outlives this one, and return its interface.

    Raises
    ------
    KeepfitError
        It does not answer in time.
    """
    configuration = write_configuration(state, programs)
    state.socket.unlink(missing_ok=True)
    command = [sys.executable, "-P", "-m", "supervisor.supervisord", "--nodaemon", "-c", str(configuration)]
    output = state.logs / "supervisor.out"
    with output.open("wb") as log:
        output.chmod(0o600)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=state.folder,
            env={**_without_supervisor(), MARKER: str(state.folder)},
            umask=0o077,  # for the logs; its own setting holds for daemons alone
            start_new_session=True,  # Ctrl-C reaches the command alone, which then stops all in order
        )
    give_up = time.monotonic() + START_LIMIT_S
    while not answers(state):
        if process.poll() is not None or time.monotonic() > give_up:
            said = output.read_text(errors="replace").strip()[-500:]
            raise KeepfitError(f"The supervisor did not start: {said}", remedy=f"Its log is {output}.")
        time.sleep(PAUSE_S)
    return Supervisor(state)

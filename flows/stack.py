"""Bringing the local stack up and down: which program starts after which, and when it counts as ready."""

import contextlib
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

import flows
import tasks
from flows.stack_registration import TOLD
from infra.artifacts.store import open_store
from infra.errors import KeepfitError, StoreError
from infra.stack import postgres, seaweed
from infra.stack.asking import ask_server
from infra.stack.leftovers import differs, end_flow_runs, end_leftovers, end_processes_of, names_of_workers
from infra.stack.logs import read_tail
from infra.stack.planning import check_ports
from infra.stack.program import MARKER, SERVER, STORES, WORKERS, Program
from infra.stack.programs import list_programs
from infra.stack.state import StackState, enter_environment, make_private_folder, write_private
from infra.stack.supervision import Supervisor, SupervisorGone, answers, start_supervisor, write_configuration

Tell = Callable[[str], None]

FILE: Final = "prefect.yaml"
PAUSE_S: Final = 0.2
LIMITS_S: Final = {STORES: 90.0, SERVER: 180.0, WORKERS: 90.0}
OTHER_PORT: Final = "End that program, or let keepfit choose other ports: `keepfit up --new-ports`."


def bring_up(state: StackState, tell: Tell) -> list[str]:
    """Start what does not run yet, and return the names of what was started.

    Raises
    ------
    KeepfitError
        A program does not start; the others keep running.
    """
    enter_environment(state)  # for the look into the store
    programs = list_programs(state)
    prepare(state, programs)
    start = Start(state, find_supervisor(state, programs, tell), tell)
    stores, rest = [p for p in programs if p.stage == STORES], [p for p in programs if p.stage != STORES]
    database, server = stores[0], rest[0]
    start.begin(*stores)
    start.wait(database)
    if database.name in start.missing:
        postgres.make_databases(state)
    start.begin(server)  # it takes the longest, and needs the database alone
    start.wait(*stores[1:], server)
    deploy_flows(state, tell)
    start.begin(*rest[1:])
    start.wait(*rest[1:])
    return list(start.missing)


class Start:
    """One start: which programs did not run, and since when each is on its way."""

    def __init__(self, state: StackState, supervisor: Supervisor, tell: Tell) -> None:
        self.state, self.supervisor, self.tell = state, supervisor, tell
        self.missing: dict[str, float] = {}

    def begin(self, *programs: Program) -> None:
        """Have the supervisor start those that do not run; return at once."""
        statuses = self.supervisor.statuses()
        for program in programs:
            pid = statuses[program.name].pid
            if statuses[program.name].up:
                if not differs(program, pid):
                    continue
                self.tell(f"{program.name} stops, to start again with other settings")
                end_flow_runs(self.state, {program.name})
                self.supervisor.stop(program.name)
            elif not pid:
                check_ports(program, OTHER_PORT)
            self.missing[program.name] = time.monotonic()
            self.supervisor.start(program.name)

    def wait(self, *programs: Program) -> None:
        """Return when these do their work; tell of each that did not run."""
        for program in programs:
            wait_until_ready(self.state, self.supervisor, program)
            if program.name in self.missing:
                self.tell(f"{program.name} is ready  ({time.monotonic() - self.missing[program.name]:.1f} s)")


def prepare(state: StackState, programs: Iterable[Program]) -> None:
    """Make the folders and files that the programs need; what is there stays."""
    for program in programs:
        if program.name != "postgres":
            make_private_folder(program.folder)
    postgres.prepare_postgres(state)
    seaweed.prepare_seaweed(state)


def find_supervisor(state: StackState, programs: tuple[Program, ...], tell: Tell) -> Supervisor:
    """Return the running supervisor, brought up to date, or a new one after the leftovers of an earlier one ended."""
    if answers(state):
        with contextlib.suppress(SupervisorGone):  # one that takes connections and says nothing is as good as dead
            supervisor = Supervisor(state)
            gone = supervisor.statuses().keys() - {program.name for program in programs}
            end_flow_runs(state, gone)  # those of workers that are no longer wanted
            write_configuration(state, programs)
            supervisor.reload()
            return supervisor
    clean_up(state, programs, tell)
    return start_supervisor(state, programs)


def clean_up(state: StackState, programs: tuple[Program, ...], tell: Tell) -> None:
    """End what a supervisor that was killed left behind."""
    ended = end_leftovers(state, programs)
    if ended:
        tell(f"ended what an earlier start left behind: {', '.join(ended)}")
    seaweed.remove_sockets(state)


def wait_until_ready(state: StackState, supervisor: Supervisor, program: Program) -> None:
    """Return when the program does its work.

    Raises
    ------
    KeepfitError
        It does not in time, or the supervisor gave up on it; with the last lines of its log.
    """
    give_up = time.monotonic() + LIMITS_S[program.stage]
    # The supervisor calls a program running only once it has stayed up for a while; for the last ones that is waited
    # for, so that `keepfit status` agrees with `keepfit up`.
    enough = {"RUNNING"} if program.stage == WORKERS else {"RUNNING", "STARTING"}
    while True:
        status = supervisor.statuses()[program.name]
        if status.state in enough and is_ready(state, program, status.since):
            return
        if not status.pid:
            check_ports(program, OTHER_PORT)  # somebody may have been quicker
        if status.state == "FATAL" or time.monotonic() > give_up:
            tail = "\n".join(f"         | {line}" for line in read_tail(state, program.name, 8))
            raise KeepfitError(
                f"{program.name} does not start ({status.state.lower()}: {status.detail}). Its log ends:\n{tail}",
                remedy=f"`keepfit logs {program.name}` shows all of it; `keepfit up` tries again.",
            )
        time.sleep(PAUSE_S)


def is_ready(state: StackState, program: Program, since: datetime | None) -> bool:
    """Return whether a program that runs does its work: an answer from each, a put to the store, a worker's beat."""
    if program.name == "postgres":
        return postgres.is_ready(state)
    if program.name == "seaweed":
        return _takes_a_put()
    if program.stage == SERVER:
        return ask_server(state, "/admin/version") is not None  # needs our key: another server is not ours
    pool = next(worker.pool for worker in state.workers if worker.name == program.name)
    seen = ask_server(state, f"/work_pools/{pool}/workers/filter", {"limit": 200}) or []
    beats = [w["last_heartbeat_time"] for w in seen if w["name"] == program.name and w["last_heartbeat_time"]]
    return any(since is None or datetime.fromisoformat(beat) >= since for beat in beats)


def _takes_a_put() -> bool:
    try:
        open_store(os.environ["KEEPFIT_STORE_URL"], 5.0).probe()
    except StoreError:
        return False
    return True


def deploy_flows(state: StackState, tell: Tell) -> None:
    """Register pools, deployments and automations, in a process that sees the stack as any client does.

    Skipped where nothing that is deployed has changed, and the server's database is not a new one.
    """
    done = state.folder / "deployed"
    digest = _digest_deployed(state)
    if done.exists() and done.read_text() == digest and ask_server(state, "/deployments/count", {}):
        return
    began = time.monotonic()
    tell("registering pools, deployments and automations …")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {
        **state.environment(),
        MARKER: str(state.folder),
        "PREFECT_HOME": str(state.folder / "deploying"),
        "KEEPFIT_PROJECTS": str(state.projects),
        "KEEPFIT_CHECKOUT": str(state.checkout),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "DO_NOT_TRACK": "1",
    }
    gpu_slots = sum(worker.gpu is not None for worker in state.workers)
    command = [
        sys.executable,
        "-P",
        "-m",
        "flows.stack_registration",
        str(state.checkout),
        str(cpu_slots()),
        str(gpu_slots),
    ]
    _run_told(state, command, environment, tell)
    write_private(done, digest)
    tell(f"deployed prefect.yaml  ({time.monotonic() - began:.1f} s)")


def _run_told(state: StackState, command: list[str], environment: dict[str, str], tell: Tell) -> None:
    log = state.logs / "deploy.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, env=environment, cwd=state.checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        for line in process.stdout or ():
            output.write(line.removeprefix(TOLD))
            if line.startswith(TOLD):
                tell(line.removeprefix(TOLD).rstrip())
    if process.returncode:
        tail = "\n".join(f"         | {line}" for line in read_tail(state, "deploy", 12))
        raise KeepfitError(f"prefect.yaml could not be deployed:\n{tail}", remedy=f"The whole of it is in {log}.")


def cpu_slots() -> int:
    """Return how many retrainings may run at once: one a core that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def _digest_deployed(state: StackState) -> str:
    """Return a digest of the description, the slots, and the code that the forms are made from."""
    code = sorted(path for package in (flows, tasks) for path in Path(package.__path__[0]).rglob("*.py"))
    projects = sorted(path.parent.name for path in state.projects.glob("*/project.yaml"))
    parts = [
        f"{state.workers} {cpu_slots()} {projects}".encode(),
        *(path.read_bytes() for path in (state.checkout / FILE, *code)),
    ]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def bring_down(state: StackState, tell: Tell) -> None:
    """Stop all in order: workers with what they run, the server, the stores, the supervisor; no process stays."""
    programs = list_programs(state)
    if answers(state):
        try:
            _stop_in_order(state, Supervisor(state), programs, tell)
        except SupervisorGone:
            tell("the supervisor does not answer any more; ending what is left")
    clean_up(state, programs, tell)


def _stop_in_order(state: StackState, supervisor: Supervisor, programs: tuple[Program, ...], tell: Tell) -> None:
    known = supervisor.statuses()
    end_flow_runs(state, names_of_workers(programs))
    for program in reversed(programs):
        if program.name in known:
            began = time.monotonic()
            was_up = bool(known[program.name].pid)
            supervisor.stop(program.name)
            end_processes_of(state, program)  # what began meanwhile is in a session of its own
            if was_up:
                tell(f"{program.name} stopped  ({time.monotonic() - began:.1f} s)")
    supervisor.shut_down()

"""The production stack of `keepfit up`: how soon it is there, what a retraining costs on it, and many at once.

Everything is real and starts fresh in a temporary folder: PostgreSQL, SeaweedFS, the Prefect server, one CPU worker
with two slots. Times are wall seconds on this machine; the ratios are what another machine would show as well.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

KEEPFIT = str(Path(sys.executable).parent / "keepfit")
PROJECTS = Path(__file__).parents[1] / "projects"
SINGLE = ("alone-1", "alone-2", "alone-3")
CROWD = tuple(f"crowd-{number:02}" for number in range(1, 21))
SLOTS = 2
LIMIT_S = 1200.0


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="keepfit-bench-") as folder:
        home, projects = Path(folder) / "home", Path(folder) / "projects"
        environment = {**os.environ, "KEEPFIT_HOME": str(home), "KEEPFIT_PROJECTS": str(projects)}
        shutil.copytree(PROJECTS, projects)  # prefect.yaml names them
        for name in (*SINGLE, *CROWD):
            run(environment, "new", name)
        try:
            measure_up(environment)
            environment |= client_environment(home)
            os.environ.update(environment)  # before Prefect is imported
            deploy_like("iris", (*SINGLE, *CROWD))
            alone_s = measure_alone()
            measure_crowd(home, alone_s)
        finally:
            run(environment, "down", "--delete-data")


def run(environment: dict[str, str], *arguments: str) -> float:
    started = time.perf_counter()
    done = subprocess.run([KEEPFIT, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"keepfit {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started


def client_environment(home: Path) -> dict[str, str]:
    from infra.stack.state import read_state

    state = read_state(home)
    assert state is not None
    return state.environment() | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def measure_up(environment: dict[str, str]) -> None:
    first = run(environment, "up", "--detach")
    running = run(environment, "up", "--detach")
    down = run(environment, "down")
    second = run(environment, "up", "--detach")
    print("`keepfit up` to ready            seconds   first = 1")
    for what, seconds in (
        ("first time, empty folder", first),
        ("second time, after `down`", second),
        ("while it runs", running),
        ("`keepfit down`", down),
    ):
        print(f"  {what:<30} {seconds:7.1f}   {seconds / first:9.2f}")


def deploy_like(model: str, names: tuple[str, ...]) -> None:
    """Deploy each project as the model's deployment is."""
    with client() as server:
        known = server.read_deployment_by_name(f"retrain/{model}")
        for name in names:
            server.create_deployment(
                known.flow_id,
                name,
                entrypoint=known.entrypoint,
                path=known.path,
                pull_steps=known.pull_steps,
                work_pool_name=known.work_pool_name,
                work_queue_name=known.work_queue_name,
                parameters={"project": name},
                job_variables=known.job_variables,
            )


@contextmanager
def client() -> Iterator[Any]:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as server:
        yield server


def trigger(name: str) -> Any:
    from prefect.deployments import run_deployment

    return run_deployment(f"retrain/{name}", timeout=0, as_subflow=False)


def wait_for(runs: list[Any]) -> list[Any]:
    """Return the runs once all have ended."""
    end = time.monotonic() + LIMIT_S
    with client() as server:
        while True:
            seen = [server.read_flow_run(each.id) for each in runs]
            if all(each.state and each.state.is_final() for each in seen):
                return seen
            if time.monotonic() > end:
                raise SystemExit(f"not ended after {LIMIT_S:.0f} s: {[each.state_name for each in seen]}")
            time.sleep(0.5)


def tasks_of(flow_run: Any) -> list[Any]:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    with client() as server:
        found = server.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id])))
    return sorted((each for each in found if each.start_time), key=lambda each: each.start_time)


def measure_alone() -> float:
    """Print the times of single retrainings; return the median of the whole."""
    rows = []
    for name in SINGLE:
        [done] = wait_for([trigger(name)])
        rows.append(times_of(name, done))
    print("\nOne retraining of a small table, median of 3      seconds")
    medians = {what: statistics.median(row[what] for row in rows) for what in rows[0]}
    for what, seconds in medians.items():
        print(f"  {what:<46} {seconds:8.2f}")
    return medians["trigger to the end of the run"]


def times_of(name: str, flow_run: Any) -> dict[str, float]:
    from infra.workspace import open_workspace

    registry = open_workspace().registry
    [release] = registry.history(name)
    tasks = tasks_of(flow_run)
    kept = {row.step: row.seconds for row in registry.steps(registry.runs(name, limit=1)[0].run_id)}
    in_tasks = sum(task.total_run_time.total_seconds() for task in tasks)
    work = sum(kept.get(task.name.rsplit("-", 1)[0], task.total_run_time.total_seconds()) for task in tasks)

    def since(moment: datetime) -> float:
        return (moment - flow_run.created).total_seconds()

    return {
        "trigger to the start of the process's flow": since(flow_run.start_time),
        "trigger to first task": since(tasks[0].start_time),
        "trigger to release": since(release.at),
        "trigger to the end of the run": since(flow_run.end_time),
        "work of the steps": work,
        f"orchestration around each of {len(tasks)} steps": (in_tasks - work) / len(tasks)
        + ((tasks[-1].end_time - tasks[0].start_time).total_seconds() - in_tasks) / len(tasks),
    }


def measure_crowd(home: Path, alone_s: float) -> None:
    """Retrain all at once on the slots that there are, and print what was done, lost and used."""
    with sampling_memory(home) as peaks:
        started = time.perf_counter()
        ended = wait_for([trigger(name) for name in CROWD])
        seconds = time.perf_counter() - started
    from infra.workspace import open_workspace

    registry = open_workspace().registry
    released = [name for name in CROWD if registry.champion(name).version == 1]
    runs = [row.state for name in CROWD for row in registry.runs(name)]
    print(f"\n{len(CROWD)} projects retrained at once on {SLOTS} slots")
    print(f"  all done after                 {seconds:7.1f} s, {60 * len(CROWD) / seconds:.1f} a minute")
    print(f"  against one after the other    {len(CROWD) * alone_s / seconds:7.2f} times as fast")
    print(f"  completed in Prefect           {sum(each.state_name == 'Completed' for each in ended):4} of {len(CROWD)}")
    print(f"  released                       {len(released):4} of {len(CROWD)}")
    print(f"  runs in the registry           {json.dumps({state: runs.count(state) for state in sorted(set(runs))})}")
    print("\nmemory while they ran, MB: highest, shared pages counted once")
    for part, peak in sorted(peaks.items(), key=lambda item: -item[1]):
        print(f"  {part:<28} {peak:8.0f}")


@contextmanager
def sampling_memory(home: Path) -> Iterator[dict[str, float]]:
    """Yield the highest memory of each program of the stack, with all that it started."""
    peaks: dict[str, float] = defaultdict(float)
    done = threading.Event()

    def sample() -> None:
        while not done.wait(1.0):
            now: dict[str, float] = defaultdict(float)
            for name, process in programs(home):
                for each in (process, *process.children(recursive=True)):
                    try:
                        now[part_of(name, process, each)] += each.memory_full_info().pss / 1e6
                    except psutil.Error:
                        continue
            now["all together"] = sum(now.values())
            for part, size in now.items():
                peaks[part] = max(peaks[part], size)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()


def programs(home: Path) -> list[tuple[str, psutil.Process]]:
    from infra.stack.state import read_state
    from infra.stack.supervision import Supervisor

    state = read_state(home)
    assert state is not None
    return [(name, psutil.Process(status.pid)) for name, status in Supervisor(state).statuses().items() if status.pid]


def part_of(name: str, program: psutil.Process, process: psutil.Process) -> str:
    return name if process == program or "worker" not in name else f"runs of {name}"


if __name__ == "__main__":
    main()

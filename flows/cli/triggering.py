"""`keepfit trigger`: a retraining on the workers of the Prefect server, watched to its end where asked for."""

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from rich.console import Console
from rich.text import Text

from flows.cli import render
from flows.cli.deployments import find_retraining, prepare
from infra.errors import GateRefused, KeepfitError, LeaseHeld, UsageError, error_named
from infra.registry.records import RunRow
from infra.settings import load_settings
from infra.workspace import open_workspace
from tasks.contracts.release import RunOutcome
from tasks.contracts.runs import Trigger
from tasks.project import load_project
from tasks.release.stored import find_version

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.responses import DeploymentResponse

POLL_S = 1.0
SLOW_AFTER_S = 60.0


class Started(NamedTuple):
    """A flow run that was started, and where people see it."""

    flow_run_id: str
    name: str
    url: str


def trigger_project(
    project: str, as_of: datetime | None, reason: str, *, dry_run: bool, wait: bool, strict: bool, as_json: bool
) -> None:
    """Start the project's deployment; with `wait`, show its steps and end as `keepfit run` ends.

    Raises
    ------
    NoWorker
        Nobody would take the run; none was started.
    KeepfitError
        With `wait`, what the run failed with.
    """
    load_project(load_settings().projects, project)
    prepare()
    from flows.orchestrator import reach_orchestrator
    from flows.workers import require_worker

    said = Console(stderr=True, quiet=as_json)
    with reach_orchestrator() as client:
        deployment = find_retraining(client, project)
        require_worker(client, deployment, project, f"run it in this process: `keepfit run {project}`")
        started = start(client, deployment, project, as_of, reason, dry_run=dry_run)
        said.print(Text(f"{started.name} is started: {started.url or started.flow_run_id}"), soft_wrap=True)
        if not wait:
            if as_json:
                print(json.dumps(started._asdict(), indent=2))
            return
        with only_waiting(started, project):
            ended = watch(client, started, said)
    tell_end(project, started, ended, strict=strict, as_json=as_json)


def start(
    client: "SyncPrefectClient",
    deployment: "DeploymentResponse",
    project: str,
    as_of: datetime | None,
    reason: str,
    *,
    dry_run: bool,
) -> Started:
    """Start a run of the deployment for an operator."""
    from prefect.utilities.urls import url_for

    parameters = {
        "project": project,
        "as_of": as_of and as_of.isoformat(),
        "dry_run": dry_run,
        "trigger": Trigger(kind="operator", why=reason).model_dump(mode="json"),
    }
    made = client.create_flow_run_from_deployment(deployment.id, parameters=parameters, name=f"{project}: operator")
    return Started(str(made.id), made.name, url_for("flow-run", obj_id=made.id) or "")


@contextmanager
def only_waiting(started: Started, project: str) -> Iterator[None]:
    """Let a signal end the waiting, and say that it ended nothing else."""
    try:
        yield
    except Exception:
        raise
    except BaseException as stopped:  # noqa: BLE001  a signal: see flows.cli.main.Stopped
        number = stopped.args[0] if stopped.args and isinstance(stopped.args[0], int) else 2
        sys.stderr.write(
            f"keepfit: only the waiting has stopped; {started.name} goes on: {started.url or started.flow_run_id}\n"
            f"         `keepfit history {project}` shows what came of it.\n"
        )
        raise typer.Exit(128 + number) from None


def watch(client: "SyncPrefectClient", started: Started, said: Console) -> "FlowRun":
    """Return the flow run once it has ended; each step is a line when it ends."""
    shown: set[str] = set()
    began, told = time.monotonic(), False
    while True:
        flow_run = client.read_flow_run(_id(started))
        _show_steps(client, started, shown, said)
        if flow_run.state is not None and flow_run.state.is_final():
            return flow_run
        waits = flow_run.state is None or flow_run.state.is_scheduled()
        if waits and not told and time.monotonic() - began > SLOW_AFTER_S:
            said.print(Text("  … no worker has taken it yet: all slots may be taken", style="yellow"))
            told = True
        time.sleep(POLL_S)


def _show_steps(client: "SyncPrefectClient", started: Started, shown: set[str], said: Console) -> None:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    mine = FlowRunFilter(id=FlowRunFilterId(any_=[_id(started)]))
    ended = [task for task in client.read_task_runs(flow_run_filter=mine) if task.state and task.state.is_final()]
    for task in sorted(ended, key=lambda task: str(task.end_time)):
        if str(task.id) in shown or task.state is None:
            continue
        shown.add(str(task.id))
        mark, style = ("✓", "green") if task.state.is_completed() else ("✗", "red")
        line = Text.assemble((f"  {mark} ", style), f"{task.task_key.partition('-')[0]:<9}")
        line.append(f"{task.total_run_time.total_seconds():6.1f} s", style="dim")
        said.print(line)


def _id(started: Started) -> Any:
    from uuid import UUID

    return UUID(started.flow_run_id)


def tell_end(project: str, started: Started, ended: "FlowRun", *, strict: bool, as_json: bool) -> None:
    """Print what the run came to, from the registry.

    Raises
    ------
    KeepfitError
        It failed, was cancelled or crashed.
    UsageError
        It completed, and this command's registry knows nothing of it.
    GateRefused
        With `strict`, where nothing was released and something has changed.
    """
    run = find_run(project, started)
    if run is None and ended.state and ended.state.is_completed():
        raise UsageError(
            f"{project}: the run completed, in another registry than this command's: {open_workspace().registry!r} has no such run.",
            remedy=f"Set KEEPFIT_DATABASE_URL and KEEPFIT_STORE_URL as the workers have them; its page is {started.url}",
        )
    if run is None or run.state != "completed":
        raise explain_end(project, started, ended, run)
    status, decision = str((run.outcome or {}).get("status")), str((run.outcome or {}).get("decision"))
    outcome = read_outcome(run)
    if as_json:
        brief = {"run_id": run.run_id, "project": project, **(run.outcome or {})}
        full = json.loads(outcome.model_dump_json()) if outcome else brief
        print(json.dumps({**full, "flow_run": started._asdict()}, indent=2))
    elif outcome:
        render.print_outcome(outcome)
    else:
        render.console.print(say_briefly(run, decision))
    if strict and status not in ("released", "unchanged"):
        raised = GateRefused(f"{decision}: {status}.", remedy=f"The run's page says why: {started.url}")
        render.fail_after_answer(raised, as_json=as_json)


def say_briefly(run: RunRow, decision: str) -> str:
    """Return what a run came to that registered no version: the ledger keeps its verdict in one word."""
    champion = open_workspace().registry.champion(run.project)
    stays = f"{run.project}@{champion.version} stays champion" if champion.version else "there is no champion yet"
    if (run.outcome or {}).get("status") == "dry_run":
        return f"A dry run: the gate says {decision}. Nothing was registered or released; {stays}."
    return f"Nothing new: the same model as before; {stays}."


def find_run(project: str, started: Started) -> RunRow | None:
    """Return the registry's run of this flow run, None where it never began one."""
    from flows.orchestrator import FLOW_RUN

    runs = open_workspace().registry.runs(project, limit=200)
    return next((run for run in runs if run.parameters.get(FLOW_RUN) == started.flow_run_id), None)


def read_outcome(run: RunRow) -> RunOutcome | None:
    """Return what the run came to, in full; None where it registered no version."""
    label = (run.outcome or {}).get("version")
    if not isinstance(label, str):
        return None
    stored, champion = find_version(label), open_workspace().registry.champion(run.project)
    return RunOutcome.model_validate(
        {
            **(run.outcome or {}),
            "run_id": run.run_id,
            "project": run.project,
            "champion": f"{run.project}@{champion.version}" if champion.version else None,
            "released": (run.outcome or {}).get("status") == "released",
            "verdict": stored.verdict,
            "evaluation": stored.manifest.evaluation,
            "fit": stored.manifest.fit,
            "snapshot": stored.manifest.snapshot,
            "report": stored.row.payload["report"],
            "seconds": (run.ended_at - run.started_at).total_seconds() if run.ended_at else 0.0,
        }
    )


RAISED = re.compile(r"exception: (?:[\w.]+\.)?(\w+): ?(.*)", re.DOTALL)


def explain_end(project: str, started: Started, ended: "FlowRun", run: RunRow | None) -> KeepfitError:
    """Return the error that the run ended with, of its own class where Prefect tells it."""
    remedy = f"Its log stands at {started.url}" if started.url else f"`prefect flow-run logs {started.flow_run_id}`"
    message = (ended.state.message if ended.state else "") or f"it ended as {ended.state_name}"
    if ended.state and ended.state.is_cancelled() and "concurrency limit" in message:
        return LeaseHeld(f"{project}: another retraining is in flight, so this one was not started.", remedy=remedy)
    raised = RAISED.search(message)
    text = (run.error if run else None) or (raised[2] if raised else message)
    told = error_named(raised[1], text, remedy=remedy) if raised else None
    if told is None and raised and run is None:
        text = f"{raised[1]}: {text}"
    return told or KeepfitError(f"{project}: the run ended as {ended.state_name}: {text}", remedy=remedy)

"""Prefect's view of runs, brought to what the registry's ledger says of them; and runs in Prefect that hang.

Touches only what is keepfit's own: flow runs that the ledger knows by their id, or that carry the tag `keepfit`.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Failed

from flows.orchestrator import FLOW_RUN
from infra.errors import UsageError
from infra.registry.records import RunRow
from infra.registry.registry import Registry

logger = logging.getLogger(__name__)

SETTLE = timedelta(minutes=1)
"""Between its end in the ledger and its end in Prefect a run still writes its page."""
CANCEL_PATIENCE = timedelta(minutes=5)
"""A worker that was asked to cancel a run has done so by then, or is gone."""
START_PATIENCE = timedelta(minutes=5)
"""The first thing that a retraining does is to begin its run in the ledger."""
RECENT = timedelta(days=1)
RUNS_OF_A_PROJECT = 200
PAGE = 200
LEDGERED = ("retrain", "study")
"""Flows whose runs have an entry of their own in the ledger."""
QUICK = ("approve", "promote", "rollback")
"""Flows that take seconds: to wait for a person, `approve` is suspended, not running."""


def reconcile(client: SyncPrefectClient, registry: Registry) -> tuple[str, ...]:
    """Return the names of the retrainings and studies that Prefect had in another state than the ledger.

    Those that Prefect still shows as running when the ledger has their end; and those that it shows as crashed, because
    no heartbeat came through, when the ledger has them completed.
    """
    changed = []
    live = _read(client, LEDGERED, (StateType.RUNNING, StateType.CANCELLING))
    crashed = _read(client, LEDGERED, (StateType.CRASHED,), since=RECENT)
    for flow_run in [*live, *crashed]:
        run = _find_in_ledger(registry, flow_run)
        if run is not None and _contradicts(flow_run, run):
            client.set_flow_run_state(flow_run.id, _state_of(run), force=True)
            changed.append(flow_run.name)
    return tuple(changed)


def _find_in_ledger(registry: Registry, flow_run: FlowRun) -> RunRow | None:
    """Return the newest run that this flow run made; a flow run that is started again makes another."""
    project = flow_run.parameters.get("project")
    try:
        runs = registry.runs(str(project), limit=RUNS_OF_A_PROJECT)
    except UsageError:  # somebody else's flow of that name
        return None
    return next((run for run in runs if run.parameters.get(FLOW_RUN) == str(flow_run.id)), None)


def _contradicts(flow_run: FlowRun, run: RunRow) -> bool:
    if run.ended_at is None or flow_run.state is None:
        return False
    if flow_run.state.is_crashed():
        return run.state == "completed"
    if flow_run.state.is_running() and flow_run.state.timestamp > run.ended_at:
        # Somebody has it run once more, and its process has not come to its own run in the ledger yet.
        return _is_older(flow_run, START_PATIENCE)
    return run.state == "crashed" or run.ended_at < datetime.now(UTC) - SETTLE


def _state_of(run: RunRow) -> State[Any]:
    status = (run.outcome or {}).get("status") or run.state
    said = f"{status}, says the registry's ledger of run {run.run_id}."
    text = f"{run.error} ({said})" if run.error else said
    make = {"completed": Completed, "failed": Failed, "cancelled": Cancelled, "crashed": Crashed}[run.state]
    return make(message=text)


def cancel_children(client: SyncPrefectClient, registry: Registry) -> tuple[str, ...]:
    """Return the names of the trainings that were cancelled: the run that waited for them has ended.

    What such a training still wrote would be refused, for its run's lease has gone.
    """
    changed = []
    open_states = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.CANCELLING, StateType.PAUSED)
    for child in _read(client, ("fit",), open_states):
        run = _find_parent(registry, child)
        if run is not None and run.state != "running" and (state := _ask_to_end(child, run)):
            client.set_flow_run_state(child.id, state, force=True)
            changed.append(child.name)
    return tuple(changed)


def _find_parent(registry: Registry, child: FlowRun) -> RunRow | None:
    parent = child.parameters.get("run")
    try:
        return registry.run(str(parent["run_id"])) if isinstance(parent, dict) and "run_id" in parent else None
    except UsageError:  # of another registry
        return None


def _ask_to_end(child: FlowRun, run: RunRow) -> State[Any] | None:
    """Return the state to set: a worker ends what it has started, nobody else needs to be asked for the others."""
    message = f"Run {run.run_id}, which waited for this training, is {run.state}."
    if child.state_type in {StateType.PENDING, StateType.RUNNING}:
        return Cancelling(message=message)
    if child.state_type == StateType.CANCELLING and not _is_older(child, CANCEL_PATIENCE):
        return None
    return Cancelled(message=message)


def crash_stuck(client: SyncPrefectClient, patience: timedelta) -> tuple[str, ...]:
    """Return the names of the flow runs that were ended: pending for longer than `patience`, or running though quick.

    A run that is stuck in Pending holds its slots, and where a deployment takes one run at a time every later one is
    cancelled.
    """
    waiting = _read(client, (), (StateType.PENDING,), tags=("keepfit",))
    quick = _read(client, QUICK, (StateType.RUNNING,), tags=("keepfit",))
    changed = []
    for flow_run in [*waiting, *quick]:
        if _is_older(flow_run, patience):
            minutes = patience.total_seconds() / 60
            message = f"{flow_run.state_name} for more than {minutes:.0f} minutes: no process answers for it."
            client.set_flow_run_state(flow_run.id, Crashed(message=message), force=True)
            changed.append(flow_run.name)
    return tuple(changed)


def skip_late_sweeps(client: SyncPrefectClient, patience: timedelta) -> None:
    """Cancel sweeps that no worker took in time: after a night without one there would be dozens, and one is enough."""
    for flow_run in _read(client, ("sweep",), (StateType.SCHEDULED,), tags=("keepfit",)):
        planned = flow_run.next_scheduled_start_time
        if planned is not None and planned < datetime.now(UTC) - patience:
            client.set_flow_run_state(flow_run.id, Cancelled(message="A later sweep has done its work."), force=True)


def _is_older(flow_run: FlowRun, age: timedelta) -> bool:
    return flow_run.state is not None and flow_run.state.timestamp < datetime.now(UTC) - age


def _read(
    client: SyncPrefectClient,
    flows: Sequence[str],
    types: Sequence[StateType],
    *,
    tags: Sequence[str] = (),
    since: timedelta | None = None,
) -> list[FlowRun]:
    """Return all flow runs of these flows (of any, where none is named) in these states.

    With `since` only those that ended within it: the server filters, for the crashed runs of years are many.
    """
    wanted = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types))),
        tags=FlowRunFilterTags(all_=list(tags)) if tags else None,
        end_time=FlowRunFilterEndTime(after_=datetime.now(UTC) - since) if since is not None else None,
    )
    names = FlowFilter(name=FlowFilterName(any_=list(flows))) if flows else None
    return list(_pages(client, wanted, names))


def _pages(client: SyncPrefectClient, wanted: FlowRunFilter, names: FlowFilter | None) -> Iterator[FlowRun]:
    offset = 0
    while page := client.read_flow_runs(flow_filter=names, flow_run_filter=wanted, limit=PAGE, offset=offset):
        yield from page
        offset += PAGE

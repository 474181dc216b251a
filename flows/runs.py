"""A run from its first to its last moment: the lease, its heartbeat, and how it ends in the registry's own ledger."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from flows.orchestrator import mark_crashed, name_flow_run
from infra.actor import actor_name
from infra.errors import HeldBack, KeepfitError, LeaseLost, RegistryUnavailable
from infra.registry.holder import describe_process
from infra.registry.records import FinalState, RunGrant
from infra.workspace import Workspace, open_workspace
from tasks.contracts.release import RunOutcome
from tasks.contracts.runs import RunContext, Trigger
from tasks.project import LoadedProject

logger = logging.getLogger(__name__)

LEASE_S = 60.0
HEARTBEAT_S = 15.0
"""A run whose process died is free again after LEASE_S; at once where its host can see that the process is gone."""


class OpenRun(NamedTuple):
    """A run in flight."""

    context: RunContext
    grant: RunGrant
    project: LoadedProject
    trigger: Trigger
    ended: threading.Event


@contextmanager
def running(
    project: LoadedProject, flow: str, trigger: Trigger, as_of: datetime | None, parameters: Mapping[str, object]
) -> Iterator[OpenRun]:
    """Hold the project's lease while the body runs; whatever happens, the run ends in the ledger.

    Raises
    ------
    LeaseHeld
        Another run of this project is in flight.
    DuplicateTrigger
        A run with this trigger's key has been made.
    """
    workspace = open_workspace()
    grant = _begin(workspace, project.spec.name, flow, trigger, parameters)
    for dead in grant.crashed_run_ids:
        logger.warning(
            "run %s had died without a word; it is marked as crashed, and its finished steps are reused", dead
        )
        mark_crashed(workspace.registry, dead, grant.run_id)
    stop = threading.Event()
    beat = threading.Thread(target=_keep_lease, args=(workspace, grant, stop), daemon=True, name="lease")
    beat.start()
    try:
        spec = workspace.store.put_bytes(project.spec.model_dump_json().encode(), "application/json")
        context = RunContext(
            project=project.spec.name,
            run_id=grant.run_id,
            fence=grant.fence,
            spec=spec,
            code=project.code,
            as_of=as_of or datetime.now(UTC),
        )
        yield OpenRun(context, grant, project, trigger, stop)
    except BaseException as error:
        _fail(workspace, grant, error)
        raise
    finally:
        stop.set()


def finish(run: OpenRun, outcome: RunOutcome) -> None:
    """End a retraining well, in the ledger."""
    close(run, {"status": outcome.status, "version": outcome.version, "decision": outcome.decision})


def close(run: OpenRun, summary: Mapping[str, object]) -> None:
    """End the run well, in the ledger, with what it came to; its lease beats no more."""
    run.ended.set()
    open_workspace().registry.finish_run(run.grant, state="completed", outcome=summary, error=None)


def _begin(
    workspace: Workspace, project: str, flow: str, trigger: Trigger, parameters: Mapping[str, object]
) -> RunGrant:
    key = f"{trigger.kind}:{trigger.window}" if trigger.window else None
    return workspace.registry.begin_run(
        project=project,
        flow=flow,
        trigger_kind=trigger.kind,
        trigger_key=key,
        why=trigger.why,
        parameters={**parameters, **name_flow_run()},
        actor=actor_name(),
        holder=describe_process(),
        lease_s=LEASE_S,
    )


def _keep_lease(workspace: Workspace, grant: RunGrant, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_S):
        try:
            workspace.registry.renew_lease(grant, LEASE_S)
        except LeaseLost:
            logger.warning("run %s lost its lease; what it still writes will be refused", grant.run_id)
            return
        except RegistryUnavailable as error:
            logger.warning("the lease of run %s could not be renewed: %s", grant.run_id, error.message)


def _fail(workspace: Workspace, grant: RunGrant, error: BaseException) -> None:
    # Nothing went wrong with a run that a brake holds back.
    state: FinalState = "failed" if isinstance(error, Exception) and not isinstance(error, HeldBack) else "cancelled"
    text = error.message if isinstance(error, KeepfitError) else f"{type(error).__name__}: {error}"
    try:
        # What may pass by itself frees its trigger: the same event may start another run.
        again = isinstance(error, KeepfitError) and error.retryable
        outcome = {"retryable": again} if state == "failed" else {}
        workspace.registry.finish_run(grant, state=state, outcome=outcome, error=text[:2000], retryable=again)
    except KeepfitError as unwritten:
        logger.warning("the end of run %s could not be written: %s", grant.run_id, unwritten.message)

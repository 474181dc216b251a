"""Runs: begun under a lease, one effective run a trigger key, and ended in the transaction that frees the lease."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import insert, select, update

from infra.errors import DuplicateTrigger, LeaseHeld, LeaseLost, UsageError
from infra.registry.engine import Transaction
from infra.registry.leases import (
    Lease,
    explain_death,
    free_lease,
    hold_lease,
    lock_lease,
    refuse_second_run,
    take_lease,
)
from infra.registry.records import Fencing, FinalState, Holder, Json, RunGrant, RunRow, RunState
from infra.registry.schema import columns_of, run

ALARMS = ("drift", "performance")
"""Kinds of triggers that nobody pulled."""
ENDED: tuple[RunState, ...] = ("completed", "failed")
"""States of runs that were neither held back nor killed."""


class RunRequest(NamedTuple):
    """A run that somebody wants to begin; `run_id` is chosen before, so that a second try finds the first."""

    run_id: str
    project: str
    flow: str
    trigger_kind: str
    trigger_key: str | None
    why: str
    parameters: Json
    actor: str
    holder: Holder
    lease_s: float


def begin_run(tx: Transaction, request: RunRequest) -> RunGrant | DuplicateTrigger | LeaseHeld:
    """Return the grant, or the error to raise after the commit: that a dead run was found must not be rolled back."""
    held = lock_lease(tx, request.project)
    now = tx.read_clock()
    if held.run_id == request.run_id:
        return _grant(
            request, held.fence, held.expires_at, _find_crashed(tx, request.project, held.fence - 1, request.run_id)
        )
    crashed = _end_if_dead(tx, held, now, actor=request.actor, finder=request.run_id)
    duplicate = _find_effective(tx, request)
    if duplicate is not None:
        return duplicate
    if held.run_id is not None and not crashed:
        return refuse_second_run(held)
    _insert_run(tx, request, fence=held.fence + 1, now=now)
    fence, until = take_lease(tx, held, run_id=request.run_id, holder=request.holder, now=now, lease_s=request.lease_s)
    tx.note(now, request.actor, "run.begin", request.project, request.run_id, fence=fence, trigger=request.trigger_kind)
    return _grant(request, fence, until, crashed)


def _grant(request: RunRequest, fence: int, until: datetime, crashed: tuple[str, ...]) -> RunGrant:
    return RunGrant(
        run_id=request.run_id, project=request.project, fence=fence, lease_until=until, crashed_run_ids=crashed
    )


def end_dead_run(tx: Transaction, project: str, actor: str, finder: str) -> RunRow | None:
    """Return the project's run in flight, ended as crashed, if its lease is dead; None while it lives.

    `finder` is chosen before, so that a second try finds the run that the first one ended.
    """
    held = lock_lease(tx, project)
    ended = _end_if_dead(tx, held, tx.read_clock(), actor=actor, finder=finder)
    # The fence stays when a lease is freed, and is one more where another run has begun since.
    ended = (
        ended or _find_crashed(tx, project, held.fence, finder) or _find_crashed(tx, project, held.fence - 1, finder)
    )
    return find_run(tx, ended[0]) if ended else None


def _end_if_dead(tx: Transaction, held: Lease, now: datetime, *, actor: str, finder: str) -> tuple[str, ...]:
    reason = explain_death(held, now) if held.run_id is not None else None
    if reason is None:
        return ()
    values = {"state": "crashed", "ended_at": now, "effective_key": None, "error": f"The run died: {reason}."}
    outcome = {"crashed": reason, "found_by": finder}
    tx.execute(update(run).where(run.c.run_id == held.run_id).values(**values, outcome=outcome))
    free_lease(tx, held.project)
    tx.note(now, actor, "run.crash", held.project, held.run_id, reason=reason)
    return (held.run_id,)


def _find_crashed(tx: Transaction, project: str, fence: int, finder: str) -> tuple[str, ...]:
    """Return the dead run that an earlier try of this finder ended: its transaction was committed, its reply lost."""
    before = (run.c.project == project) & (run.c.fence == fence) & (run.c.state == "crashed")
    rows = tx.execute(select(run.c.run_id, run.c.outcome).where(before))
    return tuple(row.run_id for row in rows if row.outcome["found_by"] == finder)


def _find_effective(tx: Transaction, request: RunRequest) -> DuplicateTrigger | None:
    if request.trigger_key is None:
        return None
    same = (run.c.project == request.project) & (run.c.effective_key == request.trigger_key)
    found = tx.execute(select(run.c.run_id, run.c.state).where(same)).one_or_none()
    if found is None:
        return None
    return DuplicateTrigger(
        f"{request.project}: the trigger {request.trigger_key!r} has its run already: {found.run_id} ({found.state}).",
        remedy="Nothing needs to be done. A run that crashed, or failed for a passing reason, frees its trigger.",
        run_id=found.run_id,
    )


def _insert_run(tx: Transaction, request: RunRequest, *, fence: int, now: datetime) -> None:
    values = {name: getattr(request, name) for name in RunRequest._fields if name in run.c}
    values |= {"effective_key": request.trigger_key, "state": "running", "fence": fence, "started_at": now}
    tx.execute(insert(run).values(**values, host=request.holder.host, pid=request.holder.pid))


def finish_run(
    tx: Transaction, fencing: Fencing, *, state: FinalState, outcome: Json, error: str | None, retryable: bool
) -> None:
    """End the run and free its lease. Ending it again in the same state changes nothing. Raises LeaseLost."""
    try:
        hold_lease(tx, fencing)
    except LeaseLost:
        if tx.execute(select(run.c.state).where(run.c.run_id == fencing.run_id)).scalar_one_or_none() == state:
            return
        raise
    now = tx.read_clock()
    values = {"state": state, "ended_at": now, "outcome": outcome, "error": error}
    if state == "failed" and retryable:
        values["effective_key"] = None
    tx.execute(update(run).where(run.c.run_id == fencing.run_id).values(**values))
    free_lease(tx, fencing.project)
    tx.note(now, f"run {fencing.run_id}", f"run.{state}", fencing.project, fencing.run_id, error=error or "")


def find_run(tx: Transaction, run_id: str) -> RunRow:
    """Return the run. Raises UsageError when there is none of this id."""
    found = tx.execute(select(*columns_of(run, RunRow)).where(run.c.run_id == run_id)).mappings().one_or_none()
    if found is None:
        raise UsageError(f"There is no run {run_id}.", remedy="`keepfit history PROJECT` names the runs.")
    return RunRow.model_validate(dict(found))


def list_runs(
    tx: Transaction,
    project: str | None,
    limit: int,
    states: Collection[RunState] = (),
    kinds: Collection[str] = (),
) -> list[RunRow]:
    """Return the newest runs, newest first; of a project, in these states, of these kinds of trigger where given."""
    query = select(*columns_of(run, RunRow)).order_by(run.c.started_at.desc(), run.c.fence.desc()).limit(limit)
    if project is not None:
        query = query.where(run.c.project == project)
    if states:
        query = query.where(run.c.state.in_(states))
    if kinds:
        query = query.where(run.c.trigger_kind.in_(kinds))
    return [RunRow.model_validate(dict(row)) for row in tx.execute(query).mappings()]

"""One run in flight a project: a lease with a fencing token, by the database's clock.

A lease ends when its run ends, when it was not renewed in time, or when its process is known to be dead. An expired
lease that nobody took still belongs to its holder: what counts is the fence, and taking a lease and every write under
it lock the same row, so no write slips in after the fence has moved on.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select, update

from infra.errors import LeaseHeld, LeaseLost
from infra.registry.engine import Transaction
from infra.registry.holder import is_dead
from infra.registry.records import Fencing, Holder
from infra.registry.schema import lease

Lease = Row[Any]


def lock_lease(tx: Transaction, project: str) -> Lease:
    """Return the project's lease, locked until the transaction ends; it is made where there is none."""
    tx.insert_new(lease, project=project, fence=0)
    return tx.execute(select(lease).where(lease.c.project == project).with_for_update()).one()


def hold_lease(tx: Transaction, fencing: Fencing) -> Lease:
    """Return the lease of this run, locked. Raises LeaseLost when it has moved on."""
    found = tx.execute(select(lease).where(lease.c.project == fencing.project).with_for_update()).one_or_none()
    if found is None or (found.run_id, found.fence) != (fencing.run_id, fencing.fence):
        now_held = f"run {found.run_id} with fence {found.fence}" if found is not None and found.run_id else "nobody"
        raise LeaseLost(
            f"{fencing.project}: run {fencing.run_id} with fence {fencing.fence} has lost its lease; "
            f"it is held by {now_held}.",
            remedy="Nothing of this run was written after that. Start a new run: it finds the steps that are done.",
        )
    return found


def take_lease(
    tx: Transaction, found: Lease, *, run_id: str, holder: Holder, now: datetime, lease_s: float
) -> tuple[int, datetime]:
    """Give a free lease to this run; return its new fence and its end."""
    until = now + timedelta(seconds=lease_s)
    values = {"fence": found.fence + 1, "run_id": run_id, "taken_at": now, "expires_at": until}
    tx.execute(update(lease).where(lease.c.project == found.project).values(**values, **holder.model_dump()))
    return found.fence + 1, until


def free_lease(tx: Transaction, project: str) -> None:
    """Let go of the lease; its fence stays, so that an older one never fits again."""
    tx.execute(update(lease).where(lease.c.project == project).values(run_id=None, expires_at=None))


def renew_lease(tx: Transaction, fencing: Fencing, lease_s: float) -> None:
    """Move the end of the lease to `lease_s` from now. Raises LeaseLost when it has moved on."""
    hold_lease(tx, fencing)
    until = tx.read_clock() + timedelta(seconds=lease_s)
    tx.execute(update(lease).where(lease.c.project == fencing.project).values(expires_at=until))


def list_dead(tx: Transaction) -> list[str]:
    """Return the projects whose lease is held by a run that counts as dead, by name."""
    held = tx.execute(select(lease).where(lease.c.run_id.is_not(None)).order_by(lease.c.project)).all()
    now = tx.read_clock()
    return [found.project for found in held if explain_death(found, now) is not None]


def explain_death(found: Lease, now: datetime) -> str | None:
    """Return why the holder of this lease counts as dead, None while it counts as alive."""
    if is_dead(holder_of(found)):
        return f"process {found.pid} on {found.host} is gone"
    if found.expires_at <= now:
        return f"its lease ended at {found.expires_at:%Y-%m-%d %H:%M:%S} UTC without being renewed"
    return None


def holder_of(found: Lease) -> Holder:
    """Return the process that holds this lease."""
    return Holder(host=found.host, boot_id=found.boot_id, pid=found.pid, process_started_s=found.process_started_s)


def refuse_second_run(found: Lease) -> LeaseHeld:
    """Return the error that says who holds the lease."""
    return LeaseHeld(
        f"{found.project}: run {found.run_id} is in flight: process {found.pid} on {found.host}, "
        f"since {found.taken_at:%Y-%m-%d %H:%M:%S} UTC, its lease lasts until {found.expires_at:%H:%M:%S} UTC.",
        remedy="Wait until it has ended. If it is stuck, stop that process: its lease is free once it is gone.",
    )

"""Old studies are forgotten: every version keeps all trials of its own search in its evidence, so these rows only save work."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, exists, or_, select

from infra.registry.engine import Transaction
from infra.registry.leases import lock_lease
from infra.registry.schema import study, trial

AT_ONCE = 100
"""Studies forgotten in one transaction."""


class Forgotten(NamedTuple):
    """What was forgotten."""

    studies: int = 0
    trials: int = 0


def list_stale(tx: Transaction, age: timedelta) -> list[str]:
    """Return the projects that have studies on which nobody has worked for so long, by name."""
    found = select(study.c.project).where(_is_stale(tx.read_clock() - age)).distinct()
    return sorted(tx.execute(found).scalars())


def forget_studies(tx: Transaction, project: str, age: timedelta, actor: str) -> Forgotten:
    """Return how much of the project's stale studies was deleted, the oldest of them; nothing while a run of it is in flight.

    The lease is locked meanwhile, so that no run can begin and open one of them.
    """
    if lock_lease(tx, project).run_id is not None:
        return Forgotten()
    now = tx.read_clock()
    wanted = select(study.c.key).where(study.c.project == project, _is_stale(now - age)).order_by(study.c.opened_at)
    keys = list(tx.execute(wanted.limit(AT_ONCE)).scalars())
    if not keys:
        return Forgotten()
    trials = tx.execute(delete(trial).where(trial.c.study.in_(keys))).rowcount
    tx.execute(delete(study).where(study.c.key.in_(keys)))
    tx.note(now, actor, "study.forget", project, f"{len(keys)} studies", keys=keys, trials=trials)
    return Forgotten(len(keys), trials)


def _is_stale(limit: datetime) -> ColumnElement[bool]:
    """Whether a study was opened, and each of its trials claimed and let go, before this time."""
    later = or_(trial.c.claimed_at >= limit, trial.c.expires_at >= limit, trial.c.finished_at >= limit)
    return (study.c.opened_at < limit) & ~exists().where((trial.c.study == study.c.key) & later)

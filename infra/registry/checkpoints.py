"""Which checkpoint of a training is the newest: a pointer to a blob, moved by whoever trains, gone when the training is committed.

A checkpoint changes no state, it saves time: its writes leave no audit row, and the last of two writers wins.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, insert, select, update

from infra.artifacts.reference import ArtifactRef
from infra.registry.engine import Transaction
from infra.registry.schema import checkpoint


def find_checkpoint(tx: Transaction, key: str) -> ArtifactRef | None:
    """Return the newest checkpoint of a training, None where there is none."""
    query = select(checkpoint.c.digest, checkpoint.c.size_bytes, checkpoint.c.media_type)
    row = tx.execute(query.where(checkpoint.c.key == key)).mappings().one_or_none()
    return None if row is None else ArtifactRef.model_validate(dict(row))


def point_checkpoint(tx: Transaction, *, key: str, project: str, ref: ArtifactRef) -> ArtifactRef | None:
    """Make this the newest one; return the one that it takes the place of, None where that is none or the same."""
    before = find_checkpoint(tx, key)
    values = {"project": project, **ref.model_dump(), "saved_at": tx.read_clock()}
    if tx.execute(update(checkpoint).where(checkpoint.c.key == key).values(values)).rowcount == 0:
        tx.execute(insert(checkpoint).values(key=key, **values))
    return None if before == ref else before


def drop_checkpoint(tx: Transaction, key: str) -> None:
    """Forget the checkpoint of one training."""
    tx.execute(delete(checkpoint).where(checkpoint.c.key == key))


def drop_checkpoints(tx: Transaction, project: str) -> None:
    """Forget all checkpoints of a project."""
    tx.execute(delete(checkpoint).where(checkpoint.c.project == project))


def drop_old_checkpoints(tx: Transaction, age: timedelta) -> int:
    """Forget the checkpoints that were saved longer ago than this by the database's clock; return how many."""
    return int(tx.execute(delete(checkpoint).where(checkpoint.c.saved_at < tx.read_clock() - age)).rowcount)


def named_among(tx: Transaction, digests: Sequence[str]) -> frozenset[str]:
    """Return which of these blobs are checkpoints that a training may yet go on from."""
    return frozenset(tx.execute(select(checkpoint.c.digest).where(checkpoint.c.digest.in_(digests))).scalars())

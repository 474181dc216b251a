"""What is done: the results of steps by what they compute, and the blobs that the registry knows."""

from collections.abc import Sequence
from typing import cast

from sqlalchemy import select

from infra.artifacts.reference import ArtifactRef
from infra.registry.checkpoints import drop_checkpoints, named_among
from infra.registry.engine import Transaction
from infra.registry.leases import hold_lease
from infra.registry.records import Fencing, Json, StepRow
from infra.registry.schema import blob, columns_of, step

TRAINING = "train"
"""The step whose commit ends a training: what it was kept for is done."""


def find_step(tx: Transaction, key: str) -> Json | None:
    """Return the result that is in the ledger under this key, None where there is none."""
    return cast("Json | None", tx.execute(select(step.c.result).where(step.c.key == key)).scalar_one_or_none())


def find_steps(tx: Transaction, keys: Sequence[str]) -> dict[str, Json]:
    """Return the results that are in the ledger under these keys."""
    query = select(step.c.key, step.c.result).where(step.c.key.in_(keys))
    return {key: cast("Json", result) for key, result in tx.execute(query)}


def commit_step(
    tx: Transaction,
    fencing: Fencing,
    *,
    key: str,
    name: str,
    result: Json,
    blobs: Sequence[ArtifactRef],
    seconds: float,
) -> Json:
    """Return what the ledger holds under this key after the commit: the first result that came. Raises LeaseLost."""
    hold_lease(tx, fencing)
    now = tx.read_clock()
    learn_blobs(tx, blobs)
    values = {"run_id": fencing.run_id, "project": fencing.project, "step": name, "result": result}
    digests = sorted({ref.digest for ref in blobs})
    if tx.insert_new(step, key=key, **values, blobs=digests, seconds=seconds, committed_at=now):
        if name == TRAINING:
            drop_checkpoints(tx, fencing.project)
        tx.note(now, f"run {fencing.run_id}", "step.commit", fencing.project, key, step=name)
        return cast("Json", tx.execute(select(step.c.result).where(step.c.key == key)).scalar_one())
    return cast("Json", find_step(tx, key))


def list_steps(tx: Transaction, run_id: str) -> list[StepRow]:
    """Return the steps that this run committed, in that order."""
    query = select(*columns_of(step, StepRow)).where(step.c.run_id == run_id).order_by(step.c.id)
    return [StepRow.model_validate(dict(row)) for row in tx.execute(query).mappings()]


def learn_blobs(tx: Transaction, blobs: Sequence[ArtifactRef]) -> None:
    """Make these blobs known. In the order of their digests: two writers that lock in one order cannot deadlock."""
    now = tx.read_clock()
    for ref in sorted({ref.digest: ref for ref in blobs}.values(), key=lambda ref: ref.digest):
        tx.insert_new(blob, **ref.model_dump(), known_at=now)


def knows_blob(tx: Transaction, digest: str) -> bool:
    """Return whether a committed transaction named this blob."""
    return bool(known_among(tx, [digest]))


def known_among(tx: Transaction, digests: Sequence[str]) -> frozenset[str]:
    """Return which of these blobs a committed transaction named, for good or as a training's newest checkpoint."""
    return named_among(tx, digests) | frozenset(
        tx.execute(select(blob.c.digest).where(blob.c.digest.in_(digests))).scalars()
    )


def list_blobs(tx: Transaction, *, after: str, limit: int) -> list[ArtifactRef]:
    """Return the next known blobs by digest, beginning after `after`."""
    query = select(*columns_of(blob, ArtifactRef)).where(blob.c.digest > after).order_by(blob.c.digest).limit(limit)
    return [ArtifactRef.model_validate(dict(row)) for row in tx.execute(query).mappings()]

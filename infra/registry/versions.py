"""Model versions: numbered without gaps, registered once a key, each with its verdict; and who was tested on what."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, Select, func, insert, select

from infra.artifacts.reference import ArtifactRef
from infra.errors import UsageError
from infra.registry.engine import Transaction
from infra.registry.leases import hold_lease
from infra.registry.ledger import learn_blobs
from infra.registry.records import Fencing, Json, VersionRow
from infra.registry.schema import blob, lease, model_version, test_use, verdict


class VersionRequest(NamedTuple):
    """A version to register; `key` says what it is, so that a second try finds the first."""

    key: str
    manifest: ArtifactRef
    content: str
    payload: Json
    verdict: Json
    decision: str
    test_digest: str
    blobs: Sequence[ArtifactRef]


def register_version(tx: Transaction, fencing: Fencing, request: VersionRequest) -> VersionRow:
    """Return the version of this key, registered now or before. Raises LeaseLost."""
    hold_lease(tx, fencing)  # locks the project: no two transactions count the versions at once
    project = fencing.project
    same = (model_version.c.project == project) & (model_version.c.key == request.key)
    number = tx.execute(select(model_version.c.number).where(same)).scalar_one_or_none()
    if number is None:
        last = select(func.coalesce(func.max(model_version.c.number), 0)).where(model_version.c.project == project)
        number = tx.execute(last).scalar_one() + 1
        _insert_version(tx, fencing, number, request)
    return find_version(tx, project, number)


def _insert_version(tx: Transaction, fencing: Fencing, number: int, request: VersionRequest) -> None:
    now = tx.read_clock()
    learn_blobs(tx, [request.manifest, *request.blobs])
    row = {"project": fencing.project, "number": number}
    values: dict[str, object] = {"key": request.key, "manifest": request.manifest.digest, "content": request.content}
    values |= {"payload": request.payload, "run_id": fencing.run_id, "created_at": now}
    tx.execute(insert(model_version).values(**row, **values))
    judged: dict[str, object] = {
        "decision": request.decision,
        "test_digest": request.test_digest,
        "evidence": request.verdict,
    }
    tx.execute(insert(verdict).values(**row, **judged))
    record_test_use(tx, fencing, test_digest=request.test_digest, content=request.content)
    subject = f"{fencing.project}@{number}"
    tx.note(now, f"run {fencing.run_id}", "version.register", fencing.project, subject, decision=request.decision)


def find_version(tx: Transaction, project: str, number: int) -> VersionRow:
    """Return the version. Raises UsageError when it is not registered."""
    query = _select_versions(project).where(model_version.c.number == number)
    found = tx.execute(query).mappings().one_or_none()
    if found is not None:
        return _version_row(found)
    last = tx.execute(select(func.max(model_version.c.number)).where(model_version.c.project == project)).scalar_one()
    there = f"{project} has the versions 1 to {last}" if last else f"{project} has no version yet"
    raise UsageError(
        f"{project}@{number} is not registered; {there}.", remedy=f"`keepfit history {project}` lists them."
    )


def list_versions(tx: Transaction, project: str) -> list[VersionRow]:
    """Return the project's versions by number."""
    rows = tx.execute(_select_versions(project).order_by(model_version.c.number)).mappings()
    return [_version_row(row) for row in rows]


def list_projects(tx: Transaction) -> list[str]:
    """Return the projects that ever began a run, by name."""
    return list(tx.execute(select(lease.c.project).order_by(lease.c.project)).scalars())


def _select_versions(project: str) -> Select[Any]:
    return (
        select(model_version, verdict.c.decision, verdict.c.test_digest, verdict.c.evidence, blob)
        .join_from(model_version, verdict)
        .join(blob, blob.c.digest == model_version.c.manifest)
        .where(model_version.c.project == project)
    )


def _version_row(row: RowMapping) -> VersionRow:
    values = {name: row[name] for name in VersionRow.model_fields if name not in {"manifest", "verdict"}}
    manifest = ArtifactRef(digest=row["digest"], size_bytes=row["size_bytes"], media_type=row["media_type"])
    return VersionRow(**values, manifest=manifest, verdict=row["evidence"])


def record_test_use(tx: Transaction, fencing: Fencing, *, test_digest: str, content: str) -> int:
    """Return how many candidates these test rows have judged, this one counted once. Raises LeaseLost."""
    hold_lease(tx, fencing)
    now = tx.read_clock()
    row = {"project": fencing.project, "test_digest": test_digest, "content": content}
    if tx.insert_new(test_use, **row, run_id=fencing.run_id, at=now):
        tx.note(now, f"run {fencing.run_id}", "test.use", fencing.project, test_digest, content=content)
    return count_test_uses(tx, fencing.project, test_digest)


def count_test_uses(tx: Transaction, project: str, test_digest: str) -> int:
    """Return how many different candidates these test rows have judged."""
    same = (test_use.c.project == project) & (test_use.c.test_digest == test_digest)
    return tx.execute(select(func.count()).select_from(test_use).where(same)).scalar_one()

"""A person's refusal of a version: it moves nothing, so its audit row is all there is of it."""

from typing import NamedTuple

from sqlalchemy import select

from infra.errors import UsageError
from infra.registry.engine import Transaction
from infra.registry.records import AuditRow, Json
from infra.registry.releases import lock_champion
from infra.registry.schema import audit, columns_of
from infra.registry.versions import find_version

ACTION = "release.refuse"


class RefusalRequest(NamedTuple):
    """A version that somebody will not let out."""

    project: str
    number: int
    why: str
    actor: str
    evidence: Json


def refuse_version(tx: Transaction, request: RefusalRequest) -> None:
    """Append the refusal unless the version has one. Raises UsageError for an unknown version and for the champion."""
    now_out = lock_champion(tx, request.project)  # an approval at the same moment comes first or sees this one
    label = find_version(tx, request.project, request.number).label
    if now_out == request.number:
        raise UsageError(
            f"{label} is the champion: it can be refused no more.",
            remedy=f"`keepfit rollback {request.project}` takes it out of use.",
        )
    if find_refusal(tx, request.project, request.number) is not None:
        return
    tx.note(tx.read_clock(), request.actor, ACTION, request.project, label, why=request.why, evidence=request.evidence)


def require_not_refused(tx: Transaction, project: str, number: int) -> None:
    """Raise UsageError if the version was refused; if not, nobody refuses it until this transaction has ended."""
    lock_champion(tx, project)
    refusal = find_refusal(tx, project, number)
    if refusal is not None:
        raise UsageError(
            f"{refusal.subject} was refused by {refusal.actor}, {refusal.at:%Y-%m-%d %H:%M} UTC: {refusal.detail['why']}",
            remedy=f"`keepfit promote {refusal.subject} --why …` overrules.",
        )


def find_refusal(tx: Transaction, project: str, number: int) -> AuditRow | None:
    """Return the version's refusal, None where there is none."""
    same = (audit.c.project == project) & (audit.c.subject == f"{project}@{number}") & (audit.c.action == ACTION)
    query = select(*columns_of(audit, AuditRow)).where(same).order_by(audit.c.id).limit(1)
    found = tx.execute(query).mappings().one_or_none()
    return None if found is None else AuditRow.model_validate(dict(found))


def list_refusals(tx: Transaction, project: str) -> dict[int, AuditRow]:
    """Return the refusal of each refused version of the project, by its number."""
    same = (audit.c.project == project) & (audit.c.action == ACTION)
    query = select(*columns_of(audit, AuditRow)).where(same).order_by(audit.c.id)
    first: dict[int, AuditRow] = {}
    for row in tx.execute(query).mappings():
        first.setdefault(int(row["subject"].rpartition("@")[2]), AuditRow.model_validate(dict(row)))
    return first

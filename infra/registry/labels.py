"""Labels as they came in: each delivery once, none ever changed. A correction is another delivery."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import RowMapping, select

from infra.artifacts.reference import ArtifactRef
from infra.registry.engine import Transaction
from infra.registry.failures import Contention
from infra.registry.ledger import learn_blobs
from infra.registry.records import LabelDeliveryRow
from infra.registry.schema import blob, label_delivery


class DeliveryRequest(NamedTuple):
    """Labels to add; `digest` is of their content and of when they were known, so that a second try finds the first."""

    project: str
    digest: str
    blob: ArtifactRef
    rows: int
    known_at: datetime
    actor: str


def add_labels(tx: Transaction, request: DeliveryRequest) -> LabelDeliveryRow:
    """Return the delivery of this content, added now or before."""
    found = _find(tx, request)
    if (
        found is not None
    ):  # looked for first: the table refuses a row that meets another, even one that would be ignored
        return found
    learn_blobs(tx, [request.blob])
    now = tx.read_clock()
    values = {**request._asdict(), "blob": request.blob.digest, "delivered_at": now}
    if tx.insert_new(label_delivery, **values):
        known_at = request.known_at.isoformat()
        detail: dict[str, object] = {"rows": request.rows, "known_at": known_at}
        tx.note(now, request.actor, "labels.add", request.project, request.digest, **detail)
    found = _find(tx, request)
    if found is None:
        raise Contention(f"{request.project}: the same labels are being delivered at this moment.", remedy="Try again.")
    return found


def _find(tx: Transaction, request: DeliveryRequest) -> LabelDeliveryRow | None:
    same = (label_delivery.c.project == request.project) & (label_delivery.c.digest == request.digest)
    query = select(label_delivery, blob.c.size_bytes, blob.c.media_type).join_from(label_delivery, blob).where(same)
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else _delivery_row(row)


def list_deliveries(tx: Transaction, project: str, until: datetime | None) -> list[LabelDeliveryRow]:
    """Return the deliveries of labels that were known by `until`, or all of them, in the order in which they came in."""
    query = (
        select(label_delivery, blob.c.size_bytes, blob.c.media_type)
        .join_from(label_delivery, blob)
        .where(label_delivery.c.project == project)
        .order_by(label_delivery.c.id)
    )
    if until is not None:
        query = query.where(label_delivery.c.known_at <= until)
    return [_delivery_row(row) for row in tx.execute(query).mappings()]


def _delivery_row(row: RowMapping) -> LabelDeliveryRow:
    values = {name: row[name] for name in LabelDeliveryRow.model_fields if name != "blob"}
    ref = ArtifactRef(digest=row["blob"], size_bytes=row["size_bytes"], media_type=row["media_type"])
    return LabelDeliveryRow(**values, blob=ref)

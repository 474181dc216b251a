"""Scored batches: one a window, found again by its content; only a batch that was set aside whole gives way to another."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, Select, select, update

from infra.artifacts.reference import ArtifactRef
from infra.errors import UsageError
from infra.registry.admission import check_actor, check_digest, check_json, check_project, check_time, check_window
from infra.registry.engine import Transaction
from infra.registry.failures import Contention
from infra.registry.ledger import learn_blobs
from infra.registry.records import BatchRow, Json
from infra.registry.schema import batch, blob
from infra.registry.versions import find_version

BLOBS = ("rows_blob", "predictions_blob", "quarantine_blob")


class BatchRequest(NamedTuple):
    """A batch to add: `rows` were scored and `quarantined_rows` set aside, together all that came in.

    `key` is the content digest of what came in, so that a second try finds the first; `snapshot` that of the rows in
    `rows_blob`. `findings` is what validation said. `as_of` is the time as of which the rows were read.
    """

    project: str
    window: str
    start: datetime
    end: datetime
    version: int
    key: str
    snapshot: str
    rows_blob: ArtifactRef
    predictions_blob: ArtifactRef
    quarantine_blob: ArtifactRef | None
    rows: int
    quarantined_rows: int
    findings: Json
    as_of: datetime
    actor: str


def check_request(request: BatchRequest) -> BatchRequest:
    """Return the request with its times in UTC. Raises UsageError for what is no batch."""
    window = check_window(request.window)
    start, end = check_time(request.start, "start"), check_time(request.end, "end")
    if start >= end:
        raise UsageError(f"{window}: expected a window whose start comes before its end, received {start} to {end}.")
    scored, aside = request.rows, request.quarantined_rows
    if min(scored, aside) < 0 or not scored + aside:
        raise UsageError(f"{window}: expected rows, received {scored} scored and {aside} set aside.")
    if (request.quarantine_blob is not None) != bool(aside):
        raise UsageError(f"{window}: {aside} rows set aside, but not the blob that holds them.")
    check_project(request.project)
    check_actor(request.actor)
    check_digest(request.key, "key")
    check_digest(request.snapshot, "snapshot")
    check_json(request.findings, "findings")
    return request._replace(start=start, end=end, as_of=check_time(request.as_of, "as_of"))


def add_batch(tx: Transaction, request: BatchRequest) -> BatchRow:
    """Return the window's batch, added now or before. Raises UsageError where another one stands there."""
    there = find_batch(tx, request.project, request.window)
    if there is None and _insert(tx, request):
        return _require_batch(tx, request)
    there = there or _require_batch(tx, request)
    if there.key == request.key and (there.rows or not request.rows):
        return there
    if there.rows:
        raise UsageError(
            describe_other(there, request.key), remedy=f"`keepfit score {request.project}` scores a window once."
        )
    _replace(tx, there, request)
    return _require_batch(tx, request)


def describe_other(there: BatchRow, key: str) -> str:
    """Return the sentence that says which batch stands where another content was meant to go."""
    aside = f", {there.quarantined_rows:,} set aside" if there.quarantined_rows else ""
    return (
        f"{there.label}: expected the content of the batch that stands there, {there.key[:12]}… ({there.rows:,} rows "
        f"scored by {there.model}{aside}, {there.scored_at:%Y-%m-%d %H:%M} UTC by {there.actor}); received {key[:12]}…."
    )


def _values(tx: Transaction, request: BatchRequest) -> dict[str, object]:
    find_version(tx, request.project, request.version)
    refs = {name: getattr(request, name) for name in BLOBS}
    learn_blobs(tx, [ref for ref in refs.values() if ref is not None])
    digests = {name: None if ref is None else ref.digest for name, ref in refs.items()}
    return {**request._asdict(), **digests, "scored_at": tx.read_clock()}


def _insert(tx: Transaction, request: BatchRequest) -> bool:
    values = _values(tx, request)
    added = tx.insert_new(batch, **values)
    if added:
        _note(tx, "batch.add", request)
    return added


def _replace(tx: Transaction, there: BatchRow, request: BatchRequest) -> None:
    """Put the mended rows where nothing could be scored; what was set aside stays known, and in the audit."""
    values = _values(tx, request)
    same = (batch.c.project == there.project) & (batch.c.window == there.window) & (batch.c.rows == 0)
    if tx.execute(update(batch).where(same).values(values)).rowcount != 1:
        raise Contention(f"{there.label}: somebody scores this window at this moment.", remedy="Try again.")
    _note(tx, "batch.replace", request, before=there.key, set_aside=there.quarantined_rows)


def _note(tx: Transaction, action: str, request: BatchRequest, **detail: object) -> None:
    counts: dict[str, object] = {"rows": request.rows, "quarantined_rows": request.quarantined_rows}
    subject = f"{request.project}/{request.window}"
    told = {**counts, "version": request.version, "key": request.key, **detail}
    tx.note(tx.read_clock(), request.actor, action, request.project, subject, **told)


def _require_batch(tx: Transaction, request: BatchRequest) -> BatchRow:
    found = find_batch(tx, request.project, request.window)
    if found is None:
        raise UsageError(f"{request.project}/{request.window}: the batch that was there a moment ago is gone.")
    return found


def find_batch(tx: Transaction, project: str, window: str) -> BatchRow | None:
    """Return the batch of this window, None where there is none."""
    found = tx.execute(_select(project).where(batch.c.window == window)).mappings().one_or_none()
    return None if found is None else _batch_row(found)


def list_batches(tx: Transaction, project: str) -> list[BatchRow]:
    """Return the project's batches by the start of their windows."""
    rows = tx.execute(_select(project).order_by(batch.c.start, batch.c.window)).mappings()
    return [_batch_row(row) for row in rows]


def _select(project: str) -> Select[Any]:
    query = select(batch).where(batch.c.project == project)
    for name in BLOBS:
        named = blob.alias(name)
        query = query.outerjoin_from(batch, named, named.c.digest == batch.c[name]).add_columns(
            named.c.size_bytes.label(f"{name}_size"), named.c.media_type.label(f"{name}_type")
        )
    return query


def _batch_row(row: RowMapping) -> BatchRow:
    values = {name: row[name] for name in BatchRow.model_fields}
    for name in BLOBS:
        if row[name] is not None:
            values[name] = ArtifactRef(digest=row[name], size_bytes=row[f"{name}_size"], media_type=row[f"{name}_type"])
    return BatchRow(**values)

"""What monitoring said of a window as of a time: said once, kept for ever."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select

from infra.artifacts.reference import ArtifactRef
from infra.registry.engine import Transaction
from infra.registry.failures import Contention
from infra.registry.ledger import learn_blobs
from infra.registry.records import Json, WindowReportRow
from infra.registry.schema import columns_of, window_report


class ReportRequest(NamedTuple):
    """A report to add; window and as-of time name it, so that a second try finds the first."""

    project: str
    window: str
    as_of: datetime
    version: int | None
    status: str
    alarm: bool | None
    evidence: Json
    page: ArtifactRef | None
    blobs: tuple[ArtifactRef, ...]
    actor: str


def add_window_report(tx: Transaction, request: ReportRequest) -> WindowReportRow:
    """Return the report on this window as of this time, added now or before."""
    found = _find(tx, request)
    if found is not None:
        return found
    page = [] if request.page is None else [request.page]
    learn_blobs(tx, [*page, *request.blobs])
    now = tx.read_clock()
    values = {name: getattr(request, name) for name in request._fields if name in window_report.c}
    values |= {"page": request.page.digest if request.page else None, "at": now}
    if tx.insert_new(window_report, **values):
        subject = f"{request.project}/{request.window}"
        detail: dict[str, object] = {"as_of": request.as_of.isoformat(), "status": request.status}
        tx.note(now, request.actor, "window.report", request.project, subject, **detail)
    found = _find(tx, request)
    if found is None:
        raise Contention(f"{request.project}: this window is being reported on at this moment.", remedy="Try again.")
    return found


def _find(tx: Transaction, request: ReportRequest) -> WindowReportRow | None:
    table = window_report.c
    same = (table.project == request.project) & (table.window == request.window) & (table.as_of == request.as_of)
    row = tx.execute(select(*columns_of(window_report, WindowReportRow)).where(same)).mappings().one_or_none()
    return None if row is None else WindowReportRow.model_validate(dict(row))


def list_window_reports(tx: Transaction, project: str, limit: int) -> list[WindowReportRow]:
    """Return the newest reports, newest first."""
    query = (
        select(*columns_of(window_report, WindowReportRow))
        .where(window_report.c.project == project)
        .order_by(window_report.c.id.desc())
        .limit(limit)
    )
    return [WindowReportRow.model_validate(dict(row)) for row in tx.execute(query).mappings()]

"""The breaker: while it is open no alarm retrains. Moved by compare-and-swap, each move an append-only row."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, select

from infra.errors import Conflict, UsageError
from infra.registry.engine import Transaction
from infra.registry.records import BreakerRow, BreakerState, Json
from infra.registry.schema import breaker, columns_of


class BreakerRequest(NamedTuple):
    """A move of the breaker; `request` is chosen before, so that a second try finds the first."""

    request: str
    project: str
    state: BreakerState
    why: str
    actor: str
    evidence: Json
    expected_seq: int


def move_breaker(tx: Transaction, request: BreakerRequest) -> BreakerRow:
    """Return the move. Raises Conflict when the breaker moved since `expected_seq`, UsageError when it stands so."""
    done = _find(tx, breaker.c.request == request.request)
    if done is not None:
        return done
    last = find_breaker(tx, request.project)
    seq = last.seq if last is not None else 0
    if seq != request.expected_seq:
        raise _conflict(request, last)
    if (last.state if last is not None else "closed") == request.state:
        since = f" since {_describe(last)}" if last is not None else ": nothing ever opened it"
        raise UsageError(
            f"{request.project}: the breaker is {request.state} already{since}.", remedy="Nothing needs to be done."
        )
    clock = tx.read_clock()
    row = BreakerRow(
        project=request.project,
        seq=seq + 1,
        state=request.state,
        why=request.why,
        actor=request.actor,
        evidence=request.evidence,
        at=max(clock, last.at) if last is not None else clock,  # clocks are set back at times; the history is not
    )
    if not tx.insert_new(breaker, **row.model_dump(), request=request.request):
        raise _conflict(request, find_breaker(tx, request.project))
    action = "breaker.open" if row.state == "open" else "breaker.close"
    tx.note(row.at, row.actor, action, row.project, f"{row.project}#{row.seq}", why=row.why)
    return row


def _conflict(request: BreakerRequest, last: BreakerRow | None) -> Conflict:
    now = f"{last.state} since {_describe(last)}" if last is not None else "none yet"
    return Conflict(
        f"{request.project}: expected the breaker at move {request.expected_seq}, "
        f"found it at move {last.seq if last else 0}: {now}.",
        remedy="Look at it as it stands now, then decide again.",
    )


def _describe(row: BreakerRow) -> str:
    return f"{row.at:%Y-%m-%d %H:%M:%S} UTC (by {row.actor}: {row.why})"


def find_breaker(tx: Transaction, project: str) -> BreakerRow | None:
    """Return the newest move, None before the first."""
    return _find(tx, breaker.c.project == project)


def list_breaker_moves(tx: Transaction, project: str) -> list[BreakerRow]:
    """Return every move, the first one first."""
    query = select(*columns_of(breaker, BreakerRow)).where(breaker.c.project == project).order_by(breaker.c.seq)
    return [BreakerRow.model_validate(dict(row)) for row in tx.execute(query).mappings()]


def _find(tx: Transaction, condition: ColumnElement[bool]) -> BreakerRow | None:
    query = select(*columns_of(breaker, BreakerRow)).where(condition).order_by(breaker.c.seq.desc()).limit(1)
    found = tx.execute(query).mappings().one_or_none()
    return None if found is None else BreakerRow.model_validate(dict(found))

"""The champion: moved by compare-and-swap, each move an append-only row with its evidence."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, insert, select, update

from infra.errors import Conflict, UsageError
from infra.faults import reach
from infra.registry.engine import Transaction
from infra.registry.leases import hold_lease
from infra.registry.records import ChampionRow, Fencing, Json, ReleaseKind, ReleaseRow, VersionRow
from infra.registry.schema import champion, columns_of, release
from infra.registry.versions import find_version


class ReleaseRequest(NamedTuple):
    """A move of the champion; `request` is chosen before, so that a second try finds the first."""

    request: str
    project: str
    number: int
    expected_seq: int
    kind: ReleaseKind
    why: str
    actor: str
    fencing: Fencing | None
    evidence: Json

    @property
    def run_id(self) -> str | None:
        return self.fencing.run_id if self.fencing is not None else None


def release_version(tx: Transaction, request: ReleaseRequest) -> ReleaseRow:
    """Return the release row. Raises Conflict when the champion moved since `expected_seq`, LeaseLost, UsageError."""
    if request.fencing is not None:
        hold_lease(tx, request.fencing)
    lock_champion(tx, request.project)
    last = _find_release(tx, release.c.project == request.project)
    done = _find_done(tx, request, last)
    if done is not None:
        return done
    _check_move(tx, request, last)
    return _move(tx, request, last)


def lock_champion(tx: Transaction, project: str) -> int | None:
    """Return the number of the version in use; nobody moves the champion until this transaction has ended."""
    tx.insert_new(champion, project=project, seq=0)
    query = select(champion.c.version).where(champion.c.project == project).with_for_update()
    return cast("int | None", tx.execute(query).scalar_one())


def _find_release(tx: Transaction, *conditions: ColumnElement[bool]) -> ReleaseRow | None:
    query = select(*_columns()).where(*conditions).order_by(release.c.seq.desc()).limit(1)
    found = tx.execute(query).mappings().one_or_none()
    return None if found is None else ReleaseRow.model_validate(dict(found))


def _columns() -> list[ColumnElement[Any]]:
    return [column for column in release.c if column.name in ReleaseRow.model_fields]


def _find_done(tx: Transaction, request: ReleaseRequest, last: ReleaseRow | None) -> ReleaseRow | None:
    if last is not None and last.run_id is not None and (last.run_id, last.version) == (request.run_id, request.number):
        return last
    return _find_release(tx, release.c.project == request.project, release.c.request == request.request)


def _check_move(tx: Transaction, request: ReleaseRequest, last: ReleaseRow | None) -> None:
    label = f"{request.project}@{request.number}"
    seq = last.seq if last is not None else 0
    if seq != request.expected_seq:
        now = f"{request.project}@{last.version} since {_describe(last)}" if last is not None else "none yet"
        raise Conflict(
            f"{label}: expected the champion at move {request.expected_seq}, found it at move {seq}: {now}.",
            remedy="Compare with the present champion, then decide again.",
        )
    find_version(tx, request.project, request.number)
    if last is not None and last.version == request.number:
        raise UsageError(
            f"{label} is the champion already, since {_describe(last)}.", remedy="Nothing needs to be done."
        )
    if request.kind == "rollback":
        before = (release.c.project == request.project) & (release.c.version == request.number)
        if _find_release(tx, before) is None:
            raise UsageError(f"{label} never was the champion, so nothing can go back to it.", remedy="Promote it.")


def _describe(row: ReleaseRow) -> str:
    return f"{row.at:%Y-%m-%d %H:%M:%S} UTC ({row.kind} by {row.actor}: {row.why})"


def _move(tx: Transaction, request: ReleaseRequest, last: ReleaseRow | None) -> ReleaseRow:
    clock = tx.read_clock()
    row = ReleaseRow(
        project=request.project,
        seq=request.expected_seq + 1,
        kind=request.kind,
        version=request.number,
        previous=last.version if last is not None else None,
        why=request.why,
        actor=request.actor,
        run_id=request.run_id,
        evidence=request.evidence,
        at=max(clock, last.at) if last is not None else clock,  # clocks are set back at times; the history is not
    )
    swap = update(champion).where(champion.c.project == row.project, champion.c.seq == request.expected_seq)
    if tx.execute(swap.values(seq=row.seq, version=row.version, since=row.at)).rowcount != 1:
        raise Conflict(f"{row.project}: the champion is not at move {request.expected_seq}, its history says it is.")
    tx.execute(insert(release).values(**row.model_dump(exclude={"until"}), request=request.request))
    subject = f"{row.project}@{row.version}"
    tx.note(row.at, row.actor, f"release.{row.kind}", row.project, subject, seq=row.seq, previous=row.previous)
    reach("release.in_transaction")
    return row


def find_champion(tx: Transaction, project: str) -> ChampionRow:
    """Return the version in use."""
    query = select(*columns_of(champion, ChampionRow)).where(champion.c.project == project)
    found = tx.execute(query).mappings().one_or_none()
    if found is None:
        return ChampionRow(project=project, seq=0, version=None, since=None)
    return ChampionRow.model_validate(dict(found))


def list_history(tx: Transaction, project: str) -> list[ReleaseRow]:
    """Return every move of the champion, the first one first, each with when it ended."""
    query = select(*_columns()).where(release.c.project == project).order_by(release.c.seq)
    rows = [dict(row) for row in tx.execute(query).mappings()]
    ends = [*(row["at"] for row in rows[1:]), None]
    return [ReleaseRow.model_validate({**row, "until": end}) for row, end in zip(rows, ends, strict=False)]


def find_champion_at(tx: Transaction, project: str, when: datetime) -> ReleaseRow | None:
    """Return the release that was in force at this time, None before the first."""
    found = _find_release(tx, release.c.project == project, release.c.at <= when)
    if found is None:
        return None
    following = _find_release(tx, release.c.project == project, release.c.seq == found.seq + 1)
    return found if following is None else found.model_copy(update={"until": following.at})


def find_rollback_target(tx: Transaction, project: str) -> VersionRow:
    """Return the version to go back to. Raises UsageError where there is no earlier one."""
    moves = select(release.c.kind, release.c.version).where(release.c.project == project).order_by(release.c.seq)
    stack = stack_champions((row.kind, row.version) for row in tx.execute(moves))
    if len(stack) < 2:
        raise UsageError(
            f"{project}: there is no earlier champion to roll back to.",
            remedy=f"`keepfit history {project}` shows what there was.",
        )
    return find_version(tx, project, stack[-2])


def stack_champions(moves: Iterable[tuple[str, int]]) -> list[int]:
    """Return the present champion on top of those that a rollback would lead back to.

    A promotion is put on the stack; a rollback takes off whatever lies above the version that it goes back to. So a
    second rollback goes one further back, never forward again to the version that was just taken out of use, and what
    was rolled back comes back only by a promotion. A rollback to a version that was taken off before counts as a
    promotion of it.

    >>> stack_champions([("promote", 1), ("promote", 2), ("promote", 3), ("rollback", 2)])
    [1, 2]
    >>> stack_champions([("promote", 1), ("promote", 2), ("rollback", 1), ("promote", 3)])
    [1, 3]
    """
    stack: list[int] = []
    for kind, version in moves:
        below = stack[:-1]
        if kind == "rollback" and version in below:
            stack = stack[: len(below) - below[::-1].index(version)]
        else:
            stack.append(version)
    return stack

"""Studies and their trials: one row a trial, claimed under a lease by one process at a time, finished by one claim alone.

A claim whose lease has ended by the database's clock, or whose process is known to be dead, is given to the next that
asks; what the first one still writes is refused, because its token is no longer the row's.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, select, update

from infra.errors import LeaseLost, UsageError
from infra.registry.engine import Transaction
from infra.registry.holder import is_dead
from infra.registry.leases import holder_of
from infra.registry.records import Holder, Json, StudyRow, TrialClaim, TrialRow, TrialState
from infra.registry.schema import columns_of, study, trial


class Proposal(NamedTuple):
    """A trial that may be claimed, with the parameters that belong to its number."""

    number: int
    params: Json


class ClaimRequest(NamedTuple):
    """Somebody wants one of these trials; `token` is chosen before, so that a second try finds the first."""

    study: str
    proposals: Sequence[Proposal]
    token: str
    worker: str
    holder: Holder
    lease_s: float


class TrialResult(NamedTuple):
    """How a trial ended."""

    state: TrialState
    scores: Sequence[float]
    value: float | None
    error: str
    seconds: float
    curve: Sequence[float] = ()


def open_study(tx: Transaction, *, key: str, project: str, candidate: str, settings: Json, actor: str) -> StudyRow:
    """Return the study under this key, opened now or before."""
    now = tx.read_clock()
    values = {"project": project, "candidate": candidate, "settings": settings, "actor": actor, "opened_at": now}
    if tx.insert_new(study, key=key, **values):
        tx.note(now, actor, "study.open", project, key, candidate=candidate)
    return find_study(tx, key)


def find_study(tx: Transaction, key: str) -> StudyRow:
    """Return one study. Raises UsageError when there is none under this key."""
    found = tx.execute(select(*columns_of(study, StudyRow)).where(study.c.key == key)).mappings().one_or_none()
    if found is None:
        raise UsageError(f"study: expected one that was opened, received {key[:12]}….")
    return StudyRow.model_validate(dict(found))


def list_studies(tx: Transaction, project: str) -> list[StudyRow]:
    """Return the project's studies, the newest first."""
    query = select(*columns_of(study, StudyRow)).where(study.c.project == project)
    rows = tx.execute(query.order_by(study.c.opened_at.desc(), study.c.key)).mappings()
    return [StudyRow.model_validate(dict(row)) for row in rows]


def list_trials(tx: Transaction, key: str) -> list[TrialRow]:
    """Return the trials of a study that somebody claimed, by number."""
    query = select(*columns_of(trial, TrialRow)).where(trial.c.study == key).order_by(trial.c.number)
    return [TrialRow.model_validate(dict(row)) for row in tx.execute(query).mappings()]


def claim_trial(tx: Transaction, request: ClaimRequest) -> TrialClaim | None:
    """Return the first of these trials that nobody works on or has finished, given to this claim; None: there is none."""
    wanted = {proposal.number: proposal for proposal in request.proposals}
    if not wanted:
        return None
    query = select(trial).where(trial.c.study == request.study, trial.c.number.between(min(wanted), max(wanted)))
    there = {row.number: row for row in tx.execute(query) if row.number in wanted}
    for row in there.values():
        if row.token == request.token:  # an earlier try of this very claim came through
            return _claim(wanted[row.number], request)
    now = tx.read_clock()
    for number, proposal in sorted(wanted.items()):
        held = there.get(number)
        if _insert(tx, proposal, request, now) if held is None else _take_over(tx, held, request, now):
            return _claim(proposal, request)
    return None


def _claim(proposal: Proposal, request: ClaimRequest) -> TrialClaim:
    return TrialClaim(study=request.study, number=proposal.number, params=proposal.params, token=request.token)


def _holding(request: ClaimRequest, now: datetime) -> dict[str, Any]:
    until = now + timedelta(seconds=request.lease_s)
    times = {"claimed_at": now, "expires_at": until}
    return {"token": request.token, "worker": request.worker, **request.holder.model_dump(), **times}


def _insert(tx: Transaction, proposal: Proposal, request: ClaimRequest, now: datetime) -> bool:
    blank = {"state": "running", "scores": [], "curve": [], "error": "", "claims": 1}
    return tx.insert_new(trial, study=request.study, **proposal._asdict(), **blank, **_holding(request, now))


def _take_over(tx: Transaction, row: Row[Any], request: ClaimRequest, now: datetime) -> bool:
    """Take the trial of a claim that is over; its parameters stay, for they belong to its number."""
    if row.state != "running" or not (row.expires_at <= now or is_dead(holder_of(row))):
        return False
    same = (trial.c.study == row.study) & (trial.c.number == row.number) & (trial.c.token == row.token)
    values = {"claims": row.claims + 1, **_holding(request, now)}
    return tx.execute(update(trial).where(same & (trial.c.state == "running")).values(values)).rowcount == 1


def renew_claim(tx: Transaction, claim: TrialClaim, lease_s: float) -> None:
    """Move the end of the claim's lease to `lease_s` from now. Raises LeaseLost when another claim has the trial."""
    until = tx.read_clock() + timedelta(seconds=lease_s)
    if tx.execute(update(trial).where(_held(claim)).values(expires_at=until)).rowcount != 1:
        raise _lost(claim)


def finish_trial(tx: Transaction, claim: TrialClaim, result: TrialResult) -> None:
    """Keep how the trial ended, once. Raises LeaseLost when another claim has it, or had."""
    now = tx.read_clock()
    values = {**result._asdict(), "scores": list(result.scores), "curve": list(result.curve), "finished_at": now}
    if tx.execute(update(trial).where(_held(claim)).values(values)).rowcount == 1:
        found = find_study(tx, claim.study)
        subject = f"{claim.study}/{claim.number}"
        tx.note(now, found.actor, "trial.finish", found.project, subject, state=result.state, value=result.value)
        return
    same = (trial.c.study == claim.study) & (trial.c.number == claim.number) & (trial.c.token == claim.token)
    if tx.execute(select(trial.c.number).where(same)).one_or_none() is None:
        raise _lost(claim)


def drop_claim(tx: Transaction, claim: TrialClaim) -> None:
    """Let go of a trial that came to no end; one that another claim has stays as it is."""
    tx.execute(delete(trial).where(_held(claim)))


def _held(claim: TrialClaim) -> Any:
    same = (trial.c.study == claim.study) & (trial.c.number == claim.number) & (trial.c.token == claim.token)
    return same & (trial.c.state == "running")


def _lost(claim: TrialClaim) -> LeaseLost:
    return LeaseLost(
        f"study {claim.study[:12]}…: trial {claim.number} is no longer this process's: its lease ended and another took it.",
        remedy="Nothing is lost: the other one finishes it with the same result.",
    )

"""The brakes of the loop at a run: what holds it back, and the breaker that opens after gates in vain."""

import logging
from datetime import UTC, datetime

from flows.runs import OpenRun
from infra.errors import Conflict, HeldBack
from infra.registry.records import BreakerRow, RunRow
from infra.registry.registry import Registry
from infra.workspace import open_workspace
from tasks.contracts.release import RunOutcome
from tasks.release.brakes import AlarmRun, Brake, count_in_vain, find_brake

logger = logging.getLogger(__name__)

ALARMS = ("drift", "performance")
LOOP = "keepfit's loop"
"""Who opens the breaker, in the audit."""


def require_no_brake(run: OpenRun) -> None:
    """Return if no brake is on. The run holds the project's lease: none of those that count changes meanwhile.

    Raises
    ------
    HeldBack
        The breaker is open, the cooldown is not over, or the day has had its retrainings.
    """
    brake = look_at_brakes(run, open_workspace().registry)
    if brake is not None:
        raise HeldBack(f"{run.context.project}: not retrained, {brake.reason}.", remedy=brake.remedy)


def look_at_brakes(run: OpenRun, registry: Registry) -> Brake | None:
    """Return the brake that is on for this run."""
    project, rules = run.context.project, run.project.spec.retraining
    past = list_alarm_runs(registry, project)
    move = registry.breaker(project)
    open_why = move.why if move is not None and move.state == "open" else None
    if open_why is None and (vain := _count_in_vain(past, move)) >= rules.breaker_after:
        open_why = open_breaker(registry, project, vain, move)  # the run that should have opened it died before
    return find_brake(project, past, run.context.as_of, rules, breaker=open_why)


def count_gate(run: OpenRun, outcome: RunOutcome) -> None:
    """Open the breaker where this gate was one too many without a promotion."""
    if _is_promoted(outcome.status) or outcome.status == "dry_run":
        return
    registry, project = open_workspace().registry, run.context.project
    move = registry.breaker(project)
    if move is not None and move.state == "open":
        return
    vain = _count_in_vain(list_alarm_runs(registry, project), move)
    if vain >= run.project.spec.retraining.breaker_after:
        open_breaker(registry, project, vain, move)


def open_breaker(registry: Registry, project: str, vain: int, move: BreakerRow | None) -> str:
    """Open the breaker and return why; somebody else may have done so first."""
    why = f"{vain} gates in a row promoted nothing: a person is asked what has changed"
    runs = [run.run_id for run in registry.started_by_alarm(project, limit=vain)]
    try:
        registry.move_breaker(
            project, "open", why=why, actor=LOOP, evidence={"runs": runs}, expected_seq=move.seq if move else 0
        )
    except Conflict:
        logger.info("%s: somebody else moved the breaker first", project)
    logger.warning("%s: the breaker is open, %s", project, why)
    return why


def list_alarm_runs(registry: Registry, project: str) -> list[AlarmRun]:
    """Return the runs that alarms started and that came to a gate."""
    return [
        AlarmRun(as_known_at(run), _is_promoted(str((run.outcome or {}).get("status"))))
        for run in registry.started_by_alarm(project)
        if run.state == "completed"
    ]


def as_known_at(run: RunRow) -> datetime:
    """Return the time as of which a run knew the data."""
    given = run.parameters.get("as_of")
    return datetime.fromisoformat(given).astimezone(UTC) if isinstance(given, str) else run.started_at


def _is_promoted(status: str) -> bool:
    return status in ("released", "waiting")


def _count_in_vain(past: list[AlarmRun], move: BreakerRow | None) -> int:
    closed = move is not None and move.state == "closed"
    return count_in_vain(past, _closed_at(move) if closed and move else None)


def _closed_at(move: BreakerRow) -> datetime:
    """Return the time up to which the data were known when the breaker was closed: a replayed year has its own clock."""
    given = move.evidence.get("as_of")
    return datetime.fromisoformat(given) if isinstance(given, str) else move.at

"""The brakes of the loop at a run: what holds it back, and the breaker that opens after gates in vain."""

import logging
from datetime import UTC, datetime

from flows.runs import OpenRun
from infra.errors import Conflict, HeldBack
from infra.registry.records import BreakerRow, Json, ReleaseRow, RunRow
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
    past = list_ended(registry, project)
    move = registry.breaker(project)
    open_why = move.why if move is not None and move.state == "open" else None
    if open_why is None and (undone := find_unasked(registry, project, move)) is not None:
        open_why = open_after_rollback(registry, undone, move)  # the process that took it back died before
    if open_why is None and len(vain := find_in_vain(past, move)) >= rules.breaker_after:
        open_why = open_breaker(registry, project, vain, move)  # the run that should have opened it died before
    return find_brake(project, [_judge(each) for each in past], run.context.as_of, rules, breaker=open_why)


def count_gate(run: OpenRun, outcome: RunOutcome) -> str | None:
    """Open the breaker where this gate was one too many without a promotion; return why, None where it was not."""
    if _is_promoted(outcome.status) or outcome.status == "dry_run":
        return None
    registry, project = open_workspace().registry, run.context.project
    move = registry.breaker(project)
    if move is not None and move.state == "open":
        return None
    vain = find_in_vain(list_ended(registry, project), move)
    return (
        open_breaker(registry, project, vain, move) if len(vain) >= run.project.spec.retraining.breaker_after else None
    )


def tell_breaker(project: str) -> str:
    """Return the sentence for the person who is asked while the breaker is open; nothing where it is closed."""
    move = open_workspace().registry.breaker(project)
    if move is None or move.state != "open":
        return ""
    return (
        f"The breaker is open since {move.at:%Y-%m-%d %H:%M} UTC, no alarm retrains: {move.why}. "
        f"`keepfit breaker {project} --close --why …` lets alarms retrain again."
    )


def open_breaker(registry: Registry, project: str, vain: list[RunRow], move: BreakerRow | None) -> str:
    """Open the breaker and return why; somebody else may have done so first."""
    failed = sum(run.state == "failed" for run in vain)
    count = f"{len(vain)} retrainings in a row ({failed} failed)" if failed else f"{len(vain)} gates in a row"
    why = f"{count} promoted nothing: a person is asked what has changed"
    _open(registry, project, why, {"runs": [run.run_id for run in vain]}, move)
    return why


def open_after_rollback(registry: Registry, undone: ReleaseRow, move: BreakerRow | None) -> str:
    """Open the breaker after a release that the loop took back, and return why."""
    why = f"a release was taken back ({undone.why}): a person is asked what has changed"
    _open(registry, undone.project, why, undone.evidence, move)
    return why


def find_unasked(registry: Registry, project: str, move: BreakerRow | None) -> ReleaseRow | None:
    """Return the loop's own rollback that nobody was asked about: the breaker has not moved since."""
    history = registry.history(project)
    if not history or (history[-1].kind, history[-1].actor) != ("rollback", LOOP):
        return None
    return history[-1] if move is None or move.at < history[-1].at else None


def _open(registry: Registry, project: str, why: str, evidence: Json, move: BreakerRow | None) -> None:
    try:
        registry.move_breaker(
            project, "open", why=why, actor=LOOP, evidence=evidence, expected_seq=move.seq if move else 0
        )
    except Conflict:
        logger.info("%s: somebody else moved the breaker first", project)
    logger.warning("%s: the breaker is open, %s", project, why)


def list_ended(registry: Registry, project: str) -> list[RunRow]:
    """Return the runs that alarms started and that came to a gate, or failed for a reason that does not pass."""
    return [
        run
        for run in registry.started_by_alarm(project)
        if run.state == "completed" or not (run.outcome or {}).get("retryable")
    ]


def find_in_vain(ended: list[RunRow], move: BreakerRow | None) -> list[RunRow]:
    """Return the newest runs in a row that promoted nothing since somebody closed the breaker, newest first.

    What was before the closing is forgiven, by the database's clock: a replayed year has another one, and whoever closes
    the breaker has none.
    """
    if move is not None and move.state == "closed":
        ended = [run for run in ended if run.started_at > move.at]
    count = count_in_vain([_judge(run) for run in ended])
    return sorted(ended, key=as_known_at, reverse=True)[:count]


def _judge(run: RunRow) -> AlarmRun:
    return AlarmRun(as_known_at(run), _is_promoted(str((run.outcome or {}).get("status"))))


def as_known_at(run: RunRow) -> datetime:
    """Return the time as of which a run knew the data."""
    given = run.parameters.get("as_of")
    return datetime.fromisoformat(given).astimezone(UTC) if isinstance(given, str) else run.started_at


def _is_promoted(status: str) -> bool:
    return status in ("released", "waiting")

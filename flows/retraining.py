"""Retraining: from the source to a released model, or to the reasons why not."""

import logging
import sys
import time
from typing import Any, NamedTuple

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed
from pydantic import AwareDatetime

from flows.approval import ask_for_approval
from flows.artifacts.history import publish_history
from flows.artifacts.validation import publish_refused_data, publish_validation
from flows.artifacts.verdict import publish_outcome
from flows.brakes import ALARMS, count_gate, require_no_brake, tell_breaker
from flows.dispatch import train_where_asked
from flows.events import tell_news
from flows.forms import ProjectChoice, explained
from flows.progress import showing_stages
from flows.runs import OpenRun, finish, running
from infra.errors import Conflict, DataError, DuplicateTrigger, HeldBack, LeaseHeld
from infra.settings import load_settings
from tasks.contracts.champions import ChampionRef
from tasks.contracts.data import Snapshot, SplitRef, ValidationReport
from tasks.contracts.evaluation import EvaluationReport, Verdict
from tasks.contracts.models import FitReport
from tasks.contracts.release import Manifest, ReleaseOutcome, ReportRef, RunOutcome, VersionRef
from tasks.contracts.runs import RunContext, Trigger
from tasks.contracts.upkeep import GatePolicy
from tasks.evaluation.steps import decide, evaluate
from tasks.ingestion.steps import ingest
from tasks.preparation.steps import split
from tasks.project import load_project
from tasks.release.champions import find_champion
from tasks.release.steps import next_label, register, release, report
from tasks.release.versions import describe_code
from tasks.scoring.fresh import standing_by
from tasks.scoring.steps import score
from tasks.validation.steps import validate

logger = logging.getLogger(__name__)
for root in ("flows", "tasks", "infra"):
    logging.getLogger(root).setLevel(logging.INFO)  # Prefect passes on what these say, but leaves their level alone

BY_HAND = Trigger()
RELEASE_ATTEMPTS = 3
"""Each attempt is judged against the champion of its moment; somebody may move the champion in between."""


def name_run() -> str:
    """Return a name that tells the runs of several projects apart."""
    given = flow_run.parameters
    trigger = given.get("trigger")
    return f"{given['project']}: {trigger.kind if isinstance(trigger, Trigger) else 'operator'}"


@flow(name="retrain", flow_run_name=name_run, persist_result=False, validate_parameters=True)
@explained
def retrain(
    project: ProjectChoice, as_of: AwareDatetime | None = None, trigger: Trigger = BY_HAND, dry_run: bool = False
) -> State[RunOutcome]:
    """Make a candidate from the data as of now, hold it against the champion, and release it if it may go.

    Parameters
    ----------
    project
        The project to retrain: the name of a folder under projects/.
    as_of
        The data as known at this time, with its time zone; empty: now.
    trigger
        Why this run was started; by default somebody wanted it.
    dry_run
        Judge the candidate, but register and release nothing.
    """
    started = time.perf_counter()
    loaded = load_project(load_settings().projects, project)
    trigger = _with_window(trigger)
    parameters = {"as_of": as_of and as_of.isoformat(), "dry_run": dry_run}
    by_alarm = trigger.kind in ALARMS and not dry_run
    try:
        with running(loaded, "retrain", trigger, as_of, parameters) as run, showing_stages(project):
            if by_alarm:
                require_no_brake(run)
            outcome = _retrain(run, dry_run=dry_run)
            outcome = outcome.model_copy(update={"seconds": time.perf_counter() - started})
            finish(run, outcome)
    except DuplicateTrigger as known:
        return Completed(message=known.message, name="Answered")
    except HeldBack as brake:
        tell_news(project)  # it may have opened the breaker
        return Cancelled(message=str(brake), name="HeldBack")
    except LeaseHeld as busy:
        if not by_alarm:
            raise
        return Cancelled(message=str(busy), name="HeldBack")  # one in flight is a brake too: nobody waits for an alarm
    opened = by_alarm and count_gate(run, outcome) is not None
    tell_news(project)
    publish_outcome(outcome)
    if opened or outcome.status == "released":
        publish_history(project)
    if outcome.status == "waiting":
        ask_for_approval(project)
    said = f"{outcome.version or project}: {outcome.status.replace('_', ' ')}. {outcome.verdict.summary}"
    said += f" {tell_breaker(project)}" if opened else ""
    return Completed(message=said, data=outcome)  # called as a function, the flow returns the data


def _with_window(trigger: Trigger) -> Trigger:
    """Return a schedule's trigger with its planned time as the window: a time makes at most one effective run."""
    planned = flow_run.scheduled_start_time
    if trigger.kind != "schedule" or trigger.window or planned is None:
        return trigger
    return trigger.model_copy(update={"window": planned.isoformat()})


def _choose_policy(run: OpenRun) -> GatePolicy:
    spec = run.project.spec
    chosen: GatePolicy | None = getattr(spec.retraining.policies, run.trigger.kind)
    return chosen or spec.gate.policy


def _retrain(run: OpenRun, *, dry_run: bool) -> RunOutcome:
    context = run.context
    snapshot = ingest(context)
    with standing_by(wanted=snapshot.is_new):  # of known rows the ledger mostly knows the answers too
        validation = _validate(context, snapshot)
        parts = split(context, validation)
        fit = train_where_asked(context, parts, run.project.spec)
        return _judge_and_release(run, snapshot, validation, parts, fit, dry_run=dry_run)


def _validate(context: RunContext, snapshot: Snapshot) -> ValidationReport:
    try:
        validation = validate(context, snapshot)
    except DataError:
        publish_refused_data(context.project, context.run_id)
        raise
    publish_validation(context.project, validation)
    return validation


def _judge_and_release(
    run: OpenRun,
    snapshot: Snapshot,
    validation: ValidationReport,
    parts: SplitRef,
    fit: FitReport,
    *,
    dry_run: bool,
) -> RunOutcome:
    """Hold the candidate against the champion and release it if it may go; again where the champion moved meanwhile."""
    context = run.context
    for attempt in range(1, RELEASE_ATTEMPTS + 1):
        champion = find_champion(context.project)
        scored = score(context, parts, fit, champion)
        evaluation = evaluate(context, scored, fit)
        verdict = decide(context, scored, fit, champion, _choose_policy(run))
        outcome = Judged(run, champion, snapshot, fit, evaluation, verdict)
        if dry_run or verdict.policy == "unchanged":
            return outcome.unreleased(dry_run=dry_run)
        manifest = Manifest(
            project=context.project,
            model=fit.chosen,
            snapshot=snapshot,
            split=parts,
            spec=context.spec,
            validation=validation,
            fit=fit,
            evaluation=evaluation,
            code=describe_code(context.code),
        )
        page = report(context, manifest, verdict, next_label(context.project, manifest))
        version = register(context, manifest, verdict, page)
        try:
            return outcome.released(version, release(context, version, verdict, evaluation, page), page)
        except Conflict as conflict:
            if attempt == RELEASE_ATTEMPTS:
                raise
            logger.warning("%s Judging again, against the new champion.", conflict.message)
    raise RuntimeError("RELEASE_ATTEMPTS must be at least 1")


class Judged(NamedTuple):
    """A judged candidate, on its way to the run's outcome."""

    run: OpenRun
    champion: ChampionRef
    snapshot: Snapshot
    fit: FitReport
    evaluation: EvaluationReport
    verdict: Verdict

    def unreleased(self, *, dry_run: bool) -> RunOutcome:
        """Return the outcome of a run that registers nothing."""
        status = "dry_run" if dry_run else "unchanged"
        return self._outcome(status=status, version=None, champion=self.champion.label, released=False)

    def released(self, version: VersionRef, done: ReleaseOutcome, page: ReportRef) -> RunOutcome:
        """Return the outcome of a run that registered a version, released or not."""
        unreleased = {"PROMOTE": "waiting", "HOLD": "held", "REJECT": "rejected"}
        status = "released" if done.released else unreleased[self.verdict.decision]
        champion = version.label if done.released else self.champion.label
        return self._outcome(
            status=status, version=version.label, champion=champion, released=done.released, report=page.page
        )

    def _outcome(self, **fields: Any) -> RunOutcome:
        return RunOutcome(
            run_id=self.run.context.run_id,
            project=self.run.context.project,
            decision=self.verdict.decision,
            verdict=self.verdict,
            evaluation=self.evaluation,
            fit=self.fit,
            snapshot=self.snapshot,
            seconds=0.0,
            **fields,
        )


if __name__ == "__main__":
    retrain(project=sys.argv[1])

"""The values of every candidate that has a `search`, found on the training rows before candidates are compared."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

from infra.actor import actor_name
from infra.errors import TrainingFailed, UsageError
from infra.registry.registry import Registry
from tasks.contracts.project import ProjectSpec
from tasks.contracts.tuning import SearchReport, TrialRecord, TunedCandidate
from tasks.models.checkpoints import CheckpointShelf
from tasks.models.inputs import Table
from tasks.models.model import Load
from tasks.models.searched import give_tuned, require_known_parameters
from tasks.training.reasons import explain_study, weigh_parameters
from tasks.training.rows import digest_table
from tasks.training.selection import Comparison, Progress, open_comparison
from tasks.training.studies import Study, judge_trials, name_study
from tasks.training.trials import work_on

logger = logging.getLogger(__name__)

SHOWN_TRIALS = 5


@dataclass(frozen=True)
class TrialDesk:
    """Where trials are kept, what makes them, and who else works on a study while it is open."""

    registry: Registry
    made_by: str
    """Digest of the code that makes trials."""
    helped: Callable[[Study], AbstractContextManager[object]] = lambda _study: nullcontext()
    shelf: CheckpointShelf | None = None
    """Where checkpoints of networks are kept; None: nowhere."""


@dataclass(frozen=True)
class Tuned:
    """The project as its candidates are compared and fitted, and what was found for those that were searched."""

    spec: ProjectSpec
    candidates: tuple[TunedCandidate, ...] = ()
    studies: tuple[SearchReport, ...] = ()


def tune_candidates(spec: ProjectSpec, frame: Table, load: Load, progress: Progress, desk: TrialDesk | None) -> Tuned:
    """Return the project with the best values in each candidate that has a `search`; as it is where none has.

    Parameters
    ----------
    frame
        The training rows; no other row is ever looked at.
    desk
        Where trials are kept; needed where a candidate is searched.

    Raises
    ------
    SpecError
        A parameter that the estimator does not have; told before any trial is made.
    TrainingFailed
        No trial of a candidate came to a figure.
    """
    searched = [name for name, candidate in spec.candidates.items() if candidate.search]
    if not searched:
        return Tuned(spec)
    if desk is None:
        raise UsageError(f"{spec.name}: expected a registry to keep the trials of {', '.join(searched)} in.")
    for name in searched:
        require_known_parameters(spec, name)
    comparison = open_comparison(judge_trials(spec), frame, load, lambda *_: None, desk.shelf)
    rows, metric = digest_table(frame), comparison.ruler.metric
    studies = [Study.of(spec, name, name_study(spec, name, rows, desk.made_by), metric) for name in searched]
    found = [_tune(study, comparison, progress, desk) for study in studies]
    tuned = tuple(candidate for candidate, _ in found)
    return Tuned(give_tuned(spec, tuned), tuned, tuple(report for _, report in found))


def _tune(
    study: Study, comparison: Comparison, progress: Progress, desk: TrialDesk
) -> tuple[TunedCandidate, SearchReport]:
    _open(study, desk.registry)
    known = len(desk.registry.trials(study.key))
    if known:
        logger.info("the search of %s goes on: %d of %d trials are there", study.candidate, known, study.trials)
    tell = partial(_tell, study, progress)
    with desk.helped(study) if known < study.trials else nullcontext():
        records = work_on(study, desk.registry, comparison, tell)
    best = study.find_best(records)
    if best is None:
        raise TrainingFailed(
            f"{study.spec.name}: candidates.{study.candidate}: none of {len(records)} trials came to a figure; the last one said: "
            f"{records[-1].error}",
            remedy="Look at the spaces in `search`: no value in them can be fitted on these rows.",
        )
    return _conclude(study, records, best)


def _open(study: Study, registry: Registry) -> None:
    registry.open_study(
        key=study.key,
        project=study.spec.name,
        candidate=study.candidate,
        settings={
            "search": {name: space.model_dump(mode="json") for name, space in study.search.items()},
            "tuning": study.spec.tuning.model_dump(mode="json", exclude={"workers", "workers_on"}),
            "metric": study.metric,
        },
        actor=actor_name(),
    )


def _tell(study: Study, progress: Progress, records: Sequence[TrialRecord]) -> None:
    if not records:
        return
    best = study.find_best(records)
    figures = {f"best {study.metric}": best.value} if best is not None and best.value is not None else {}
    progress(f"tuning: {study.candidate}", len(records), study.trials, figures)


def _conclude(study: Study, records: Sequence[TrialRecord], best: TrialRecord) -> tuple[TunedCandidate, SearchReport]:
    importance = weigh_parameters(study, records)
    ranked = sorted(
        (one for one in records if one.value is not None and one.state == "complete"),
        key=lambda one: (-study.sign * (one.value or 0.0), one.number),
    )
    tuned = TunedCandidate(
        candidate=study.candidate,
        study=study.key,
        method=study.spec.tuning.method,
        metric=study.metric,
        params=best.params,
        trial=best.number,
        value=best.value or 0.0,
        trials=len(records),
        pruned=sum(one.state == "pruned" for one in records),
        failed=sum(one.state == "failed" for one in records),
        best=tuple(ranked[:SHOWN_TRIALS]),
        reasons=explain_study(study, records, best, importance),
    )
    report = SearchReport(
        candidate=study.candidate,
        metric=study.metric,
        direction="higher" if study.sign > 0 else "lower",
        search=dict(study.search),
        trials=tuple(records),
        best=best.number,
        importance=importance,
    )
    return tuned, report

"""A study of a project's candidates: all its curves, spreads and tests, and what follows from them."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from infra.errors import UsageError, name_values
from infra.suggestion import suggest
from tasks.contracts.models import FoldDifference
from tasks.contracts.project import ProjectSpec
from tasks.contracts.study_report import CandidateStudy, Diagnosis, LearningCurve, Luck, NestedEstimate, ValidationCurve
from tasks.models.inputs import Table
from tasks.models.model import Floats, Load
from tasks.models.recipes import stated_threads
from tasks.training.fold_scores import compare_all
from tasks.training.selection import Progress
from tasks.training.study.curves import (
    count_points,
    draw_learning_curve,
    draw_validation_curve,
    last_step,
    measure_luck,
)
from tasks.training.study.diagnosis import Case, diagnose, level_of, smallest_that_matters
from tasks.training.study.judging import Judge, Tally, open_judge
from tasks.training.study.nesting import Tune, estimate_nested


def leave_untuned(spec: ProjectSpec, _rows: Table) -> ProjectSpec:
    """Return the project as it is: what is tuned where nothing has a search."""
    return spec


def study_candidates(
    spec: ProjectSpec,
    frame: Table,
    load: Load,
    progress: Progress,
    candidates: Sequence[str] = (),
    *,
    tune: Tune = leave_untuned,
) -> CandidateStudy:
    """Return what the candidates suffer from, and whether they can be told apart; pictures and page are for others to add.

    Parameters
    ----------
    frame
        The training rows: features, target and the split's column. Nothing else is read.
    load
        Resolves `module:function` in the project's folder.
    progress
        Told of every fit.
    candidates
        Only these; empty: all.
    tune
        What a run does to its candidates before it selects: they are studied with the parameters that it finds.

    Raises
    ------
    UsageError
        One of them is not there.
    InsufficientData, SpecError, TrainingFailed
    """
    started = time.perf_counter()
    names = choose_candidates(spec, candidates)
    seen = _measure(tune(spec, frame), names, frame, load, progress, untuned=spec, tune=tune)
    judge, sign = seen.judge, seen.judge.metric.sign
    scores = {each.candidate: sign * np.array(each.points[-1].validation) for each in seen.curves}
    dummy = judge.score_dummy()
    matters = smallest_that_matters(scores, sign * dummy, spec.study.matters)
    best = max(scores, key=lambda name: float(np.mean(scores[name])))
    return CandidateStudy(
        project=spec.name,
        metric=judge.metric.name,
        direction=judge.metric.direction,
        rows=len(judge.rows),
        folds=len(judge.folds),
        parted=_tell_parts(spec, judge),
        dummy=float(np.mean(dummy)),
        matters=matters,
        best=best,
        diagnoses=tuple(_diagnose(judge, seen.curves, scores, sign * dummy, best=best, matters=matters)),
        curves=tuple(seen.curves),
        validation_curve=seen.validation_curve,
        luck=tuple(seen.luck),
        nested=seen.nested,
        seconds=time.perf_counter() - started,
    )


class Measured(NamedTuple):
    """All that was fitted for, before anything is concluded from it."""

    judge: Judge
    curves: list[LearningCurve]
    luck: list[Luck]
    validation_curve: ValidationCurve | None
    nested: NestedEstimate | None


def _measure(
    spec: ProjectSpec,
    names: Sequence[str],
    frame: Table,
    load: Load,
    progress: Progress,
    *,
    untuned: ProjectSpec,
    tune: Tune,
) -> Measured:
    networks = any(spec.candidates[name].network for name in names)
    judge = open_judge(spec, frame, load, Tally(progress), networks=networks)
    judge.tally.of = _count_fits(judge, names, networks=networks)
    wanted = spec.study.validation_curve
    with stated_threads(spec, judge.rows):
        points = count_points(spec, networks=networks)
        curves = [draw_learning_curve(judge, name, points) for name in names]
        luck = _measure_luck(judge, curves) if spec.study.seeds > 1 else []
        curve = draw_validation_curve(judge, wanted) if wanted and wanted.candidate in names else None
        nested = estimate_nested(judge, frame, progress, untuned=untuned, tune=tune) if spec.study.nested else None
    return Measured(judge, curves, luck, curve, nested)


def choose_candidates(spec: ProjectSpec, wanted: Sequence[str]) -> list[str]:
    """Return the candidates to study, in the order of the file.

    Raises
    ------
    UsageError
        One that is asked for is not there.
    """
    for name in wanted:
        if name not in spec.candidates:
            raise UsageError(
                f"{spec.name}: expected one of the candidates {name_values(list(spec.candidates))}, received {name!r}."
                f"{suggest(name, spec.candidates)}"
            )
    return [name for name in spec.candidates if not wanted or name in wanted]


def _count_fits(judge: Judge, names: Sequence[str], *, networks: bool) -> int:
    """Return how many fits are told of at most; those of selections within outer folds tell of themselves."""
    study, folds = judge.spec.study, len(judge.folds)
    each = folds * count_points(judge.spec, networks=networks) + judge.round * (study.seeds - 1)
    curve = study.validation_curve
    return len(names) * each + (folds * len(curve.values) if curve else 0) + (judge.round if study.nested else 0)


def _measure_luck(judge: Judge, curves: Sequence[LearningCurve]) -> list[Luck]:
    found = []
    for curve in curves:
        network = judge.spec.candidates[curve.candidate].network is not None
        own = curve.points[-1].validation
        found.append(measure_luck(judge, curve.candidate, own, seeds=judge.spec.study.seeds, one_fold=network))
    return found


def _diagnose(
    judge: Judge,
    curves: Sequence[LearningCurve],
    scores: Mapping[str, Floats],
    dummy: Floats,
    *,
    best: str,
    matters: float,
) -> list[Diagnosis]:
    sign = judge.metric.sign
    differences: dict[str, FoldDifference] = compare_all(
        {name: tuple(values) for name, values in scores.items()}, best, judge.folds, sign=1
    )
    return [
        diagnose(
            Case(
                name=curve.candidate,
                training=sign * np.array(curve.points[-1].training),
                validation=scores[curve.candidate],
                dummy=dummy,
                others={name: values for name, values in scores.items() if name != curve.candidate},
                step=last_step(curve, sign),
                rows=curve.points[-1].rows,
                difference=differences.get(curve.candidate),
                folds=judge.folds,
                alpha=level_of(len(curves)),
                matters=matters,
                unit=sign,
            )
        )
        for curve in curves
    ]


def _tell_parts(spec: ProjectSpec, judge: Judge) -> str:
    how = {
        "random": "at random" + (", the classes' shares kept" if len(judge.ruler.classes) else ""),
        "ordered": f"by {spec.split.column}, each judged on what comes after it",
        "grouped": f"by whole groups of {spec.split.column}",
    }[spec.split.method]
    return f"{len(judge.folds)} folds of {len(judge.rows):,} training rows, {how}"

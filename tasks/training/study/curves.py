"""Learning curves, validation curves and the spread over seeds, each over the same folds of the training rows."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import JsonValue

from infra.errors import InsufficientData, SpecError, TrainingFailed
from tasks.contracts.project import ProjectSpec
from tasks.contracts.study import ValidationCurveSpec
from tasks.contracts.study_report import CurvePoint, LearningCurve, Luck, ValidationCurve
from tasks.models.partition import Positions
from tasks.training.fold_scores import NO_SPREAD, compare_all, corrected_standard_error
from tasks.training.study.growth import Growth, choose_shares, grow_rows
from tasks.training.study.judging import Judge, Scored

logger = logging.getLogger(__name__)

SMALLEST_ROWS = 20
"""With fewer rows a fit says nothing of what more of them would do."""

POINTS, NETWORK_POINTS = 6, 3

LUCK = 1.96 * 2**0.5
"""In standard deviations: two draws from one normal distribution differ by no more in 95 of 100 cases."""


def count_points(spec: ProjectSpec, *, networks: bool) -> int:
    """Return how many points a learning curve is asked for."""
    return spec.study.learning_curve.points or (NETWORK_POINTS if networks else POINTS)


def draw_learning_curve(judge: Judge, name: str, points: int) -> LearningCurve:
    """Return the candidate's scores at growing numbers of rows, on every fold.

    Each number is twice the one before, so that the last step is "twice the rows", whatever their number (the usual design:
    Perlich, Provost & Simonoff 2003, JMLR 4, sec. 3; Viering & Loog 2021, arXiv:2103.10948, sec. 2). The parts are nested
    within a fold and judged on that fold's rows, so that the steps are paired.

    A number of rows at which the candidate cannot be fitted on every fold (a class is missing, fewer rows than neighbours)
    has no point; all rows always have one.

    Parameters
    ----------
    points
        How many at most.

    Raises
    ------
    InsufficientData, TrainingFailed
        It cannot be fitted on all rows of a fold.
    """
    growths = [_grow(judge, fit, at) for at, (fit, _) in enumerate(judge.folds)]
    fewest = min(len(fit) for fit, _ in judge.folds)
    found = []
    for share in choose_shares(points, fewest, SMALLEST_ROWS):
        parts = [fit[growth.take(share)] for (fit, _), growth in zip(judge.folds, growths, strict=True)]
        scored = _score_parts(judge, name, parts, must=share == 1)
        if scored is not None:
            found.append(make_point(judge, scored, rows=round(float(np.mean([len(part) for part in parts])))))
    return LearningCurve(candidate=name, points=tuple(found))


def _grow(judge: Judge, fit: Positions, fold: int) -> Growth:
    by = None if judge.rows.by is None else judge.rows.by[fit]
    return grow_rows(judge.rows.target[fit], by, judge.spec.split, judge.spec.seed + fold)


def _score_parts(judge: Judge, name: str, parts: Sequence[Positions], *, must: bool) -> list[Scored] | None:
    """Return the scores on every fold; None where they cannot be had and need not."""
    what = f"{name} on {len(parts[0]):,} rows"
    if not must and not all(judge.has_all_classes(part) for part in parts):
        judge.tally.skip(len(parts))
        return None
    scored: list[Scored] = []
    try:
        for part, (_, held) in zip(parts, judge.folds, strict=True):
            scored.append(judge.score(what, name, part, held))
    except (InsufficientData, TrainingFailed) as error:
        if must:
            raise
        logger.info("%s cannot be fitted on %d rows: %s", name, len(parts[0]), error)
        judge.tally.skip(len(parts) - len(scored))
        return None
    return scored


def make_point(judge: Judge, scored: Sequence[Scored], *, rows: int, setting: str = "") -> CurvePoint:
    """Return a point of a curve.

    The errors take the overlap of the folds' training rows for that of all their rows. Parts of them overlap less, so that
    their errors are a little too wide, never too narrow.
    """
    training, validation = (tuple(each) for each in zip(*scored, strict=True))
    return CurvePoint(
        rows=rows,
        setting=setting,
        training=training,
        validation=validation,
        training_mean=float(np.mean(training)),
        training_error=corrected_standard_error(training, judge.folds),
        validation_mean=float(np.mean(validation)),
        validation_error=corrected_standard_error(validation, judge.folds),
    )


def draw_validation_curve(judge: Judge, wanted: ValidationCurveSpec) -> ValidationCurve:
    """Return a candidate's scores over the values of one parameter, on every fold (Hastie, Tibshirani & Friedman 2009, sec. 7.10).

    Raises
    ------
    SpecError
        The estimator has no such parameter, does not take one of the values, or cannot be fitted or answer with it.
    InsufficientData
        The metric is undefined on a fold.
    """
    points = []
    for value in wanted.values:
        spec = _with_parameter(judge.spec, wanted.candidate, wanted.parameter, value)
        what = f"{wanted.candidate} with {wanted.parameter} {value}"
        scored = [_score_setting(judge, what, wanted, spec, part=part) for part in judge.folds]
        rows = round(float(np.mean([len(fit) for fit, _ in judge.folds])))
        points.append(make_point(judge, scored, rows=rows, setting=str(value)))
    best, detail = _read_validation_curve(judge, points, wanted.parameter)
    return ValidationCurve(
        candidate=wanted.candidate, parameter=wanted.parameter, points=tuple(points), best=best, detail=detail
    )


def _score_setting(
    judge: Judge, what: str, wanted: ValidationCurveSpec, spec: ProjectSpec, *, part: tuple[Positions, Positions]
) -> Scored:
    try:
        return judge.score(what, wanted.candidate, *part, spec)
    except TrainingFailed as error:
        raise SpecError(f"study.validation_curve.values: {what} gives no answers: {error.message}") from error


def _with_parameter(spec: ProjectSpec, name: str, parameter: str, value: JsonValue) -> ProjectSpec:
    candidate = spec.candidates[name]
    changed = candidate.model_copy(update={"params": {**candidate.params, parameter: value}})
    return spec.model_copy(update={"candidates": {**spec.candidates, name: changed}})


def _read_validation_curve(judge: Judge, points: Sequence[CurvePoint], parameter: str) -> tuple[str, str]:
    sign = judge.metric.sign
    best = max(points, key=lambda point: sign * point.validation_mean).setting
    scores = {point.setting: point.validation for point in points}
    differences = compare_all(scores, best, judge.folds, sign=sign)
    equals = [name for name, each in differences.items() if not each.told_apart]
    said = f"The best mean is at {parameter} {best}"
    said += f"; {', '.join(equals)} cannot be told apart from it." if equals else ", told apart from all others."
    ends = (points[0].setting, points[-1].setting)
    if best in ends and len(equals) < len(differences):
        said += " It lies at the end of the values: look beyond it."
    if len(equals) == len(differences):
        said += " As far as these rows can tell none of these values is better than another."
    return best, said


def measure_luck(judge: Judge, name: str, own: Sequence[float], *, seeds: int, one_fold: bool) -> Luck:
    """Return the spread over seeds beside the spread over folds.

    The candidate is refitted with other seeds on the same folds (`seed` moves its initial weights, its draws of rows and
    columns, its resampling; the folds stay). The spread over seeds is sqrt(mean over folds of the variance over seeds): what
    is luck and no property of data or method (Bouthillier et al. 2021, MLSys, "Accounting for variance in machine
    learning benchmarks").

    Parameters
    ----------
    own
        Its scores with the project's seed, one a fold.
    one_fold
        Refit on the first fold only and not on a whole round of them: for networks.
    """
    per_fold = []
    for (fit, held), first in zip(judge.folds[: 1 if one_fold else judge.round], own, strict=False):
        scores = [first, *_refit(judge, name, fit, held, seeds)]
        per_fold.append(float(np.var(scores, ddof=1)) if np.ptp(scores) > NO_SPREAD else 0.0)
    seed_std, fold_std = float(np.sqrt(np.mean(per_fold))), float(np.std(own, ddof=1))
    return Luck(
        candidate=name,
        seeds=seeds,
        seed_std=seed_std,
        fold_std=fold_std,
        detail=_tell_luck(judge.metric.name, seed_std, fold_std, len(own)),
    )


def _refit(judge: Judge, name: str, fit: Positions, held: Positions, seeds: int) -> Iterator[float]:
    for further in range(1, seeds):
        spec = judge.spec.model_copy(update={"seed": judge.spec.seed + further})
        yield judge.score(f"{name} with seed {spec.seed}", name, fit, held, spec).validation


def _tell_luck(metric: str, seed_std: float, fold_std: float, folds: int) -> str:
    folds_said = f"over {folds} folds it varies by {fold_std:.4f}"
    if seed_std == 0:
        return f"No other seed changes the score; {folds_said}."
    more = (
        "as much as"
        if 0.8 < seed_std / max(fold_std, 1e-12) < 1.25
        else "more than"
        if seed_std > fold_std
        else "less than"
    )
    return (
        f"With the seed alone {metric} varies by {seed_std:.4f} (standard deviation), {more} over the rows that judge: "
        f"{folds_said}. Two single fits differ by up to {LUCK * seed_std:.4f} by luck alone."
    )


def last_step(curve: LearningCurve, sign: int) -> tuple[np.ndarray, float] | None:
    """Return what the last doubling of the rows brought, one figure a fold, and the mean of the doubling before; positive is better.

    None where the curve has a single point; nan for the step before where there are only two.
    """
    if len(curve.points) < 2:
        return None
    before, at = (np.array(point.validation) for point in curve.points[-2:])
    earlier = curve.points[-3].validation if len(curve.points) > 2 else None
    gained = float("nan") if earlier is None else sign * float(np.mean(before - np.array(earlier)))
    return sign * (at - before), gained

"""Which candidate: all of them on the same folds of the training rows, and one rule."""

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from infra.errors import InsufficientData, TrainingFailed
from tasks.contracts.models import CandidateScore
from tasks.contracts.project import ProjectSpec
from tasks.models.inputs import Rows
from tasks.models.model import Array, Floats, Load
from tasks.models.partition import Positions, cross_validate, hold_out
from tasks.models.recipes import fit_rows
from tasks.training.metrics import SelectionMetric, selection_metric

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int, Mapping[str, float]], None]
"""Told what is being done, how much of it is done, of how much, and figures worth showing."""

HOLDOUT_DRAWS = 200
"""Bootstrap draws for the standard error on a single holdout."""


def select_candidate(spec: ProjectSpec, frame: pd.DataFrame, load: Load, progress: Progress) -> list[CandidateScore]:
    """Return each candidate's score in the order of the file; exactly one is chosen.

    All are fitted and judged on the same folds, made of the training rows alone and parted as the project parts
    its rows (stratified, by group, by time).

    Parameters
    ----------
    frame
        The training rows: features, target and the split's column.
    load
        Resolves the project's functions.
    progress
        Told of each fold.

    Raises
    ------
    InsufficientData
        Too few rows to part, or a metric that is undefined on them.
    TrainingFailed, SpecError
        A candidate cannot be fitted.
    """
    rows = Rows.read(frame, spec)
    folds = _folds(spec, rows)
    classes = np.unique(rows.target)
    metric = selection_metric(spec.evaluation.metric, classes, spec.evaluation.positive)
    scored = {}
    for name in spec.candidates:
        scores, error = _judge(name, spec, rows, folds, metric, load, progress)
        if error is None:
            error = corrected_standard_error(scores, folds)
        scored[name] = (scores, error)
    return _choose(scored, metric, spec)


def corrected_standard_error(scores: Sequence[float], folds: Sequence[tuple[Positions, Positions]]) -> float:
    """Return the standard error of a mean over folds whose training rows overlap.

    sqrt((1/J + n_judge/n_fit) s²) over J folds, s² their sample variance (Nadeau & Bengio 2003, Machine Learning
    52, sec. 3, eq. 9): without the second term, repeating the folds would make the error as small as one likes.
    """
    ratio = float(np.mean([len(judge) / len(fit) for fit, judge in folds]))
    return float(np.sqrt((1 / len(scores) + ratio) * np.var(scores, ddof=1)))


def _folds(spec: ProjectSpec, rows: Rows) -> list[tuple[Positions, Positions]]:
    selection = spec.selection
    if selection.method == "holdout":
        kept, held = hold_out(rows.target, rows.by, spec.split, share=selection.holdout_share, seed=spec.seed)
        found = [(kept, held)]
    else:
        found = cross_validate(
            rows.target, rows.by, spec.split, folds=selection.folds, repeats=selection.repeats, seed=spec.seed
        )
    classes = len(np.unique(rows.target))
    for fit, _ in found:
        if len(np.unique(rows.target[fit])) < classes:
            raise InsufficientData(
                f"{spec.name}: expected all {classes} classes in what each fold fits on; one of {len(found)} lacks one.",
                remedy="More rows are needed, or fewer folds (`selection.folds`).",
            )
    return found


def _judge(
    name: str,
    spec: ProjectSpec,
    rows: Rows,
    folds: Sequence[tuple[Positions, Positions]],
    metric: SelectionMetric,
    load: Load,
    progress: Progress,
) -> tuple[tuple[float, ...], float | None]:
    """Return the candidate's score on each fold and, for a single holdout, the score's standard error."""
    what = f"selection: {name}"
    scores: list[float] = []
    error = None
    # Once for all folds: finding the thread pools takes longer than fitting a small model.
    with threadpool_limits(limits=spec.compute.threads):
        for done, (fit, judge) in enumerate(folds, start=1):
            model = fit_rows(
                name, spec, rows.take(fit), load=load, watch=False, on_epoch=_tell_epochs(what, progress, len(folds))
            )
            judged = rows.take(judge)
            answers = (
                model.predict_inputs(judged.inputs)
                if metric.uses == "labels"
                else model.proba_inputs(judged.inputs)
            )
            scores.append(_require_number(metric.measure(judged.target, answers), name, metric, len(judged)))
            if len(folds) == 1:
                error = _holdout_error(judged.target, answers, metric)
            progress(what, done, len(folds), {metric.name: float(np.mean(scores))})
    return tuple(scores), error


def _tell_epochs(what: str, progress: Progress, folds: int) -> Callable[[int, int, Mapping[str, float]], None] | None:
    if folds > 1:
        return None
    return lambda epoch, of, metrics: progress(f"{what}, epoch", epoch, of, metrics)


def _require_number(score: float, name: str, metric: SelectionMetric, n: int) -> float:
    if not np.isfinite(score):
        raise TrainingFailed(
            f"candidates.{name}: expected a number for {metric.name} on {n} held-out rows, received {score}.",
            remedy="A model that answers NaN is never chosen; look at its scaling and learning rate.",
        )
    return score


def _holdout_error(truth: Array, answers: Array | Floats, metric: SelectionMetric) -> float:
    """Return the bootstrap standard error of a score on one set of rows (Efron & Tibshirani 1993, ch. 6)."""
    rng = np.random.default_rng(0)
    values = []
    for _ in range(HOLDOUT_DRAWS):
        drawn = rng.integers(0, len(truth), len(truth))
        if len(np.unique(truth[drawn])) > 1:
            values.append(metric.measure(truth[drawn], answers[drawn]))
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _choose(
    scored: Mapping[str, tuple[tuple[float, ...], float]], metric: SelectionMetric, spec: ProjectSpec
) -> list[CandidateScore]:
    """Return the scores with the choice: the best mean, or the first listed within one standard error of it.

    The rule of one standard error is Breiman, Friedman, Olshen & Stone 1984, sec. 3.4.3: among candidates that
    the data cannot tell apart, take the one that the project prefers, and do not move with every new sample.
    """
    means = {name: float(np.mean(scores)) for name, (scores, _) in scored.items()}
    best = max(means, key=lambda name: metric.sign * means[name])
    within = scored[best][1] if spec.selection.rule == "one_standard_error" else 0.0
    # 1e-12: a difference of the last digit is none.
    chosen = next(name for name in means if metric.sign * (means[best] - means[name]) <= within + 1e-12)
    return [
        CandidateScore(
            candidate=name,
            metric=metric.name,
            mean=means[name],
            std=float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0,
            standard_error=error,
            scores=scores,
            chosen=name == chosen,
            reason=_reason(name, chosen, best, means, within, metric),
        )
        for name, (scores, error) in scored.items()
    ]


def _reason(
    name: str, chosen: str, best: str, means: Mapping[str, float], within: float, metric: SelectionMetric
) -> str:
    behind = metric.sign * (means[best] - means[name])
    if name == chosen == best:
        return f"Best {metric.name}: {means[name]:.4f}."
    if name == chosen:
        return f"First listed within one standard error ({within:.4f}) of the best, {best} ({means[best]:.4f})."
    if behind <= within:
        return f"Within one standard error of the best as well; {chosen} is listed before it."
    return f"{behind:.4f} behind the best, {best}."

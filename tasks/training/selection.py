"""Which candidate: all of them on the same folds of the training rows, and one rule."""

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import sklearn

from infra.errors import InsufficientData, TrainingFailed
from tasks.contracts.models import CandidateScore
from tasks.contracts.project import ProjectSpec
from tasks.metrics.answers import Answers, Codes
from tasks.metrics.label_sets import read_sets, spread
from tasks.metrics.own import load_own
from tasks.metrics.registry import Metric, find_metric, find_positive
from tasks.models.checkpoints import CheckpointShelf
from tasks.models.inputs import Inputs, Rows, Table
from tasks.models.model import Array, Load, class_labels
from tasks.models.partition import Positions, cross_validate, hold_out
from tasks.models.recipes import fit_rows, stated_threads
from tasks.models.refusals import explaining_refusals
from tasks.models.stored import Stored
from tasks.training.fold_scores import compare_with_chosen, corrected_standard_error

if TYPE_CHECKING:
    from tasks.models.keras_models import KerasModel
    from tasks.models.sklearn_models import SklearnModel

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int, Mapping[str, float]], None]
"""Told what is being done, how much of it is done, of how much, and figures worth showing."""

HOLDOUT_DRAWS = 200
"""Bootstrap draws for the standard error on a single holdout."""


def select_candidate(
    spec: ProjectSpec, frame: Table, load: Load, progress: Progress, shelf: CheckpointShelf | None = None
) -> list[CandidateScore]:
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
    shelf
        Where checkpoints of networks are kept; None: nowhere.

    Raises
    ------
    InsufficientData
        Too few rows to part, or a metric that is undefined on them.
    TrainingFailed, SpecError
        A candidate cannot be fitted.
    """
    comparison = open_comparison(spec, frame, load, progress, shelf)
    metric = comparison.ruler.metric
    chosen = _choose({name: comparison.judge(name) for name in spec.candidates}, metric, spec)
    return compare_with_chosen(chosen, comparison.folds, sign=metric.sign)


def open_comparison(
    spec: ProjectSpec, frame: Table, load: Load, progress: Progress, shelf: CheckpointShelf | None = None
) -> "Comparison":
    """Return what candidates, and trials of their parameters, are judged by. Parameters and errors as above."""
    rows = Rows.read(frame, spec)
    classes, truth = read_truth(rows.target, spec)
    ruler = _Ruler(
        find_metric(spec.evaluation.metric, len(classes), own=load_own(spec.evaluation.metrics, load)),
        classes,
        find_positive(spec.evaluation.positive, class_labels(classes)),
        several=bool(spec.labels),
    )
    return Comparison(spec, rows, truth, _folds(spec, rows), ruler, load, progress, shelf)


def read_truth(target: Array, spec: ProjectSpec) -> tuple[Array, Codes]:
    """Return the classes, or the labels, and each row's code; of a regression none, and the values."""
    if spec.labels:
        return np.array(spec.labels, dtype=object), target.astype(np.int64)
    if spec.is_regression:
        return target[:0], target
    classes, codes = np.unique(target, return_inverse=True)
    return classes, codes


def lacks_a_class(target: Array, spec: ProjectSpec, part: Positions) -> bool:
    """Return whether these of the rows lack a class that others have; of labels, one that all of them have or none."""
    if spec.is_regression:
        return False
    if spec.labels:
        shares = spread(target[part].astype(np.int64), len(spec.labels)).mean(axis=0)
        return bool(((shares == 0) | (shares == 1)).any())
    return len(np.unique(target[part])) < len(np.unique(target))


def _folds(spec: ProjectSpec, rows: Rows) -> list[tuple[Positions, Positions]]:
    selection = spec.selection
    if selection.method == "holdout":
        kept, held = hold_out(
            rows.target,
            rows.by,
            spec.split,
            share=selection.holdout_share,
            seed=spec.seed,
            window=selection.window,
        )
        found = [(kept, held)]
    else:
        found = cross_validate(
            rows.target,
            rows.by,
            spec.split,
            folds=selection.folds,
            repeats=selection.repeats,
            seed=spec.seed,
            window=selection.window,
        )
    for fit, _ in found:
        if lacks_a_class(rows.target, spec, fit):
            what = "rows with and without each label" if spec.labels else f"all {len(np.unique(rows.target))} classes"
            raise InsufficientData(
                f"{spec.name}: expected {what} in what each fold fits on; one of {len(found)} lacks one.",
                remedy="More rows are needed, or fewer folds (`selection.folds`).",
            )
    return found


@dataclass(frozen=True)
class _Ruler:
    """The metric, and the classes that it is measured over; none of a regression."""

    metric: Metric
    classes: Array
    positive: int
    several: bool = False
    """The classes are labels, of which a row may have several."""

    def ask(self, name: str, model: "SklearnModel | KerasModel", inputs: Inputs | Stored) -> Answers:
        """Return the model's answers: labels alone where the metric needs no more."""
        if len(self.classes) == 0:
            return Answers("candidate", name, model.predict_inputs(inputs))
        if self.several:
            codes = read_sets(model.predict_inputs(inputs), self.classes.tolist())
            return Answers("candidate", name, codes, model.proba_inputs(inputs))
        if self.metric.uses == "labels":
            return Answers("candidate", name, np.searchsorted(self.classes, model.predict_inputs(inputs)))
        shares = model.proba_inputs(inputs)
        return Answers("candidate", name, shares.argmax(axis=1), shares)

    def measure(self, truth: Codes, answers: Answers) -> float:
        """Return the metric on these rows."""
        value = self.metric.value(truth, answers, len(self.classes), self.positive)
        if np.isfinite(value):
            return value
        if answers.has_gaps():
            raise TrainingFailed(
                f"candidates.{answers.label}: expected a number for {self.metric.name} on {len(truth)} held-out rows, "
                f"received {value}.",
                remedy="A model that answers NaN is never chosen; look at its scaling and learning rate.",
            )
        raise InsufficientData(
            f"evaluation.metric: {self.metric.name} is undefined on one fold of {len(truth)} rows.",
            remedy="A class is missing from it, or all values are one: more rows are needed, fewer folds (`selection.folds`), or another metric.",
        )

    def bootstrap_error(self, truth: Codes, answers: Answers) -> float:
        """Return the standard error of the metric on one set of rows (Efron & Tibshirani 1993, ch. 6)."""
        rng, n, k = np.random.default_rng(0), len(truth), len(self.classes)
        # One draw at a time: all at once would hold 200 times the rows.
        draws = (np.bincount(rng.integers(0, n, n), minlength=n)[None, :] for _ in range(HOLDOUT_DRAWS))
        values = [float(self.metric.measure(truth, answers, draw.astype(float), k, self.positive)[0]) for draw in draws]
        defined = [value for value in values if np.isfinite(value)]
        return float(np.std(defined, ddof=1)) if len(defined) > 1 else 0.0


@dataclass(frozen=True)
class Comparison:
    """All that stays the same from candidate to candidate, and from trial to trial."""

    spec: ProjectSpec
    rows: Rows
    truth: Codes
    folds: Sequence[tuple[Positions, Positions]]
    ruler: _Ruler
    load: Load
    progress: Progress
    shelf: CheckpointShelf | None = None

    def judge(self, name: str) -> tuple[tuple[float, ...], float]:
        """Return the candidate's score on each fold and the standard error of their mean."""
        what = f"selection: {name}"
        scores: list[float] = []
        error = 0.0
        for done, (truth, answers, score) in enumerate(self.judge_folds(name), start=1):
            scores.append(score)
            if len(self.folds) == 1:
                error = self.ruler.bootstrap_error(truth, answers)
            self.progress(what, done, len(self.folds), {self.ruler.metric.name: float(np.mean(scores))})
        return tuple(scores), error if len(self.folds) == 1 else corrected_standard_error(scores, self.folds)

    def judge_folds(self, name: str) -> Generator[tuple[Codes, Answers, float], None, None]:
        """Yield the truth, the candidate's answers and its score on each fold, as each is fitted."""
        # Once for all folds: finding the thread pools takes longer than fitting a small model.
        with stated_threads(self.spec, self.rows):
            for done, (fit, judge) in enumerate(self.folds, start=1):
                # What the first fold has shown of the parameters, the others need not check again.
                with sklearn.config_context(skip_parameter_validation=done > 1):
                    answers = self._answers(name, fit, judge)
                truth = self.truth[judge]
                yield truth, answers, self.ruler.measure(truth, answers)

    def _answers(self, name: str, fit: Positions, judge: Positions) -> Answers:
        on_epoch = partial(self.progress, f"selection: {name}, epoch") if len(self.folds) == 1 else None
        taught, load, shelf = self.rows.take(fit), self.load, self.shelf
        model = fit_rows(name, self.spec, taught, load=load, watch=False, on_epoch=on_epoch, shelf=shelf)
        with explaining_refusals(self.spec, name, len(fit)):
            return self.ruler.ask(name, model, self.rows.take(judge).inputs)


def _choose(
    scored: Mapping[str, tuple[tuple[float, ...], float]], metric: Metric, spec: ProjectSpec
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
            reason=_chosen_reason(chosen, best, means, within)
            if name == chosen
            else _other_reason(metric.sign * (means[best] - means[name]), chosen, best, within),
        )
        for name, (scores, error) in scored.items()
    ]


def _chosen_reason(chosen: str, best: str, means: Mapping[str, float], within: float) -> str:
    if chosen == best:
        return "The best mean."
    return f"First listed within one standard error ({within:.4f}) of the best, {best} ({means[best]:.4f})."


def _other_reason(behind: float, chosen: str, best: str, within: float) -> str:
    if behind <= within:
        return f"Within one standard error of the best as well; {chosen} is listed before it."
    return f"{behind:.4f} behind the best, {best}."

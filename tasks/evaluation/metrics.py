"""The registry of metrics: direction, range, what each needs, and one vectorised formula over weights.

A bootstrap draw, a permutation and a jackknife are all weights of the same rows, so each formula takes a matrix of
weights (draws, m) and returns one value a draw. A metric that is undefined is NaN, and NaN never passes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np

from infra.errors import SpecError
from tasks.evaluation.answers import Answers, Codes, Floats, Mask

EPS = float(np.finfo(np.float64).eps)
"""Probabilities are clipped to [eps, 1 - eps] in the log loss, as scikit-learn does."""


@dataclass(frozen=True)
class Metric:
    """What a metric is.

    `uses` says whether it reads labels, scores (probabilities) or a regression's values; `loss` gives each row's loss
    (m,) where the metric is a function of their mean.
    """

    name: str
    direction: Literal["higher", "lower"]
    low: float
    high: float
    uses: Literal["labels", "scores", "values"]
    formula: Callable[..., Floats]
    binary_only: bool = False
    loss: Callable[..., Floats] | None = None

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        return 1 if self.direction == "higher" else -1

    def row_losses(self, truth: Codes | Floats, answers: Any) -> Floats:
        """Return each row's loss (m,); zero where the metric is no function of a mean loss."""
        return np.zeros(len(truth)) if self.loss is None else self.loss(truth, answers)

    def measure(self, truth: Codes | Floats, answers: Answers, weights: Floats, k: int, positive: int) -> Floats:
        """Return one value a draw.

        Parameters
        ----------
        truth
            (m,) class codes, or values for a regression.
        answers
            The model's answers on the same m rows.
        weights
            (draws, m), how often each row counts.
        k
            Number of classes.
        positive
            Code of the positive class of a binary metric.
        """
        if self.uses == "labels":
            return self.formula(_confusion(truth, answers.predicted, weights, k), positive)
        if self.uses == "scores":
            return self.formula(truth, answers.proba, weights, positive)
        return self.formula(truth, answers.predicted, weights)

    def value(self, truth: Codes | Floats, answers: Answers, k: int, positive: int) -> float:
        """Return the metric on all rows; NaN where an answer is missing or it is undefined."""
        if self.uses == "scores" and answers.proba is None:
            raise SpecError(
                f"The metric {self.name} needs probabilities, and {answers.label} gives labels only.",
                remedy="Choose a metric of labels, or a candidate that has predict_proba.",
            )
        if answers.has_gaps() or len(truth) == 0:
            return float("nan")
        return float(self.measure(truth, answers, np.ones((1, len(truth))), k, positive)[0])


def _divide(above: Floats, below: Floats, when_zero: float = np.nan) -> Floats:
    """Return above / below, `when_zero` where the divisor is 0."""
    filled: Floats = np.full(np.broadcast_shapes(above.shape, below.shape), when_zero)
    np.divide(above, below, out=filled, where=below != 0)
    return filled


def _confusion(truth: Codes | Floats, predicted: Codes | Floats, weights: Floats, k: int) -> Floats:
    """Return (draws, k, k): truth by row, prediction by column."""
    cell = (truth * k + predicted).astype(np.int64)
    indicator = np.zeros((len(cell), k * k))
    indicator[np.arange(len(cell)), cell] = 1.0
    return (weights @ indicator).reshape(-1, k, k)


def _margins(confusion: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the hits, true counts and predicted counts of each class."""
    return np.einsum("dii->di", confusion), confusion.sum(axis=2), confusion.sum(axis=1)


def _accuracy(confusion: Floats, positive: int) -> Floats:  # noqa: ARG001
    """Share of right answers."""
    return _divide(np.trace(confusion, axis1=1, axis2=2), confusion.sum(axis=(1, 2)))


def _balanced_accuracy(confusion: Floats, positive: int) -> Floats:  # noqa: ARG001
    """Mean recall over the classes that occur (Brodersen et al. 2010, ICPR, eq. 6)."""
    hits, true, _ = _margins(confusion)
    recalls = _divide(hits, true, 0.0)
    return _divide(recalls.sum(axis=1), (true > 0).sum(axis=1).astype(np.float64))


def _precision(confusion: Floats, positive: int) -> Floats:
    """tp / (tp + fp); 0 where nothing was called positive."""
    hits, _, called = _margins(confusion)
    return _divide(hits[:, positive], called[:, positive], 0.0)


def _recall(confusion: Floats, positive: int) -> Floats:
    """tp / (tp + fn); undefined without a positive row."""
    hits, true, _ = _margins(confusion)
    return _divide(hits[:, positive], true[:, positive])


def _f1(confusion: Floats, positive: int) -> Floats:
    """2 tp / (2 tp + fp + fn) (van Rijsbergen 1979, Information Retrieval, ch. 7)."""
    hits, true, called = _margins(confusion)
    return _divide(2 * hits[:, positive], true[:, positive] + called[:, positive])


def _f1_macro(confusion: Floats, positive: int) -> Floats:  # noqa: ARG001
    """Mean F1 over the classes that occur as truth or as answer."""
    hits, true, called = _margins(confusion)
    seen = (true + called) > 0
    return _divide(_divide(2 * hits, true + called, 0.0).sum(axis=1), seen.sum(axis=1).astype(np.float64))


def _mcc(confusion: Floats, positive: int) -> Floats:  # noqa: ARG001
    """R_K = (c s - Σ t_k p_k) / sqrt((s² - Σ p_k²)(s² - Σ t_k²)) (Gorodkin 2004, Comput. Biol. Chem. 28, eq. 8).

    0 where the truth or the answers are all one class, as scikit-learn has it.
    """
    hits, true, called = _margins(confusion)
    total = confusion.sum(axis=(1, 2))
    covariance = hits.sum(axis=1) * total - np.sum(true * called, axis=1)
    spread = (total**2 - np.sum(called**2, axis=1)) * (total**2 - np.sum(true**2, axis=1))
    return _divide(covariance, np.sqrt(np.maximum(spread, 0.0)), 0.0)


def _mean(loss: Floats, weights: Floats) -> Floats:
    return _divide(weights @ loss, weights.sum(axis=1))


def _log_losses(truth: Codes, proba: Floats) -> Floats:
    given = proba[np.arange(len(truth)), truth]
    losses: Floats = -np.log(np.clip(given, EPS, 1 - EPS))
    return losses


def _log_loss(truth: Codes, proba: Floats, weights: Floats, positive: int) -> Floats:  # noqa: ARG001
    """-mean log p(true class), p clipped to [eps, 1 - eps] (Good 1952, J. R. Stat. Soc. B 14)."""
    return _mean(_log_losses(truth, proba), weights)


def _brier_losses(truth: Codes, proba: Floats) -> Floats:
    target = np.zeros_like(proba)
    target[np.arange(len(truth)), truth] = 1.0
    loss = np.sum((proba - target) ** 2, axis=1)
    return np.asarray(loss / 2 if proba.shape[1] == 2 else loss)


def _brier(truth: Codes, proba: Floats, weights: Floats, positive: int) -> Floats:  # noqa: ARG001
    """Mean Σ_k (p_k - y_k)², halved for two classes (Brier 1950, Mon. Weather Rev. 78)."""
    return _mean(_brier_losses(truth, proba), weights)


def _ranked_counts(score: Floats, is_positive: Mask, weights: Floats) -> tuple[Floats, Floats]:
    """Return the weight of positives and of negatives at each distinct score, from the highest down."""
    order = np.argsort(-score, kind="stable")
    ranked, of_positives = score[order], is_positive[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    weights = weights[:, order]
    positives = weights * of_positives
    negatives = weights - positives
    if len(starts) == len(score):
        return positives, negatives
    return np.add.reduceat(positives, starts, axis=1), np.add.reduceat(negatives, starts, axis=1)


def _one_auc(score: Floats, is_positive: Mask, weights: Floats) -> Floats:
    positives, negatives = _ranked_counts(score, is_positive, weights)
    above = np.cumsum(positives, axis=1)
    wins = np.einsum("dm,dm->d", negatives, above - positives / 2)
    return _divide(wins, positives.sum(axis=1) * negatives.sum(axis=1))


def _one_average_precision(score: Floats, is_positive: Mask, weights: Floats) -> Floats:
    positives, negatives = _ranked_counts(score, is_positive, weights)
    hits = np.cumsum(positives, axis=1)
    precision = _divide(hits, hits + np.cumsum(negatives, axis=1), 0.0)
    return _divide(np.einsum("dm,dm->d", positives, precision), positives.sum(axis=1))


def _one_versus_rest(one: Callable[..., Floats], truth: Codes, proba: Floats, weights: Floats, positive: int) -> Floats:
    """Return the binary value, or with more classes the mean over those that occur."""
    if proba.shape[1] == 2:
        return one(proba[:, positive], truth == positive, weights)
    present = np.unique(truth)
    return np.asarray(np.mean([one(proba[:, code], truth == code, weights) for code in present], axis=0))


def _roc_auc(truth: Codes, proba: Floats, weights: Floats, positive: int) -> Floats:
    """P(score of a positive > of a negative) + half the ties (Hanley & McNeil 1982, Radiology 143).

    Several classes: the mean of one-versus-rest over the classes that occur.
    """
    return _one_versus_rest(_one_auc, truth, proba, weights, positive)


def _pr_auc(truth: Codes, proba: Floats, weights: Floats, positive: int) -> Floats:
    """Average precision Σ (R_i - R_{i-1}) P_i over distinct scores (Davis & Goadrich 2006, ICML; no interpolation)."""
    return _one_versus_rest(_one_average_precision, truth, proba, weights, positive)


def _absolute_errors(truth: Floats, predicted: Floats) -> Floats:
    return np.abs(truth - predicted)


def _squared_errors(truth: Floats, predicted: Floats) -> Floats:
    return np.asarray((truth - predicted) ** 2)


def _mae(truth: Floats, predicted: Floats, weights: Floats) -> Floats:
    """Mean absolute error."""
    return _mean(np.abs(truth - predicted), weights)


def _rmse(truth: Floats, predicted: Floats, weights: Floats) -> Floats:
    """Root of the mean squared error."""
    return np.asarray(np.sqrt(_mean(_squared_errors(truth, predicted), weights)))


def _r2(truth: Floats, predicted: Floats, weights: Floats) -> Floats:
    """1 - Σ (y - f)² / Σ (y - mean y)²; undefined where y is constant."""
    centred = truth - truth.mean()
    total = weights.sum(axis=1)
    spread = weights @ centred**2 - _divide((weights @ centred) ** 2, total)
    spread[spread <= EPS * np.maximum(1.0, weights @ truth**2)] = 0.0
    return 1 - _divide(weights @ (truth - predicted) ** 2, spread)


_INF = float("inf")
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "higher", 0, 1, "labels", _accuracy),
        Metric("balanced_accuracy", "higher", 0, 1, "labels", _balanced_accuracy),
        Metric("precision", "higher", 0, 1, "labels", _precision, binary_only=True),
        Metric("recall", "higher", 0, 1, "labels", _recall, binary_only=True),
        Metric("f1", "higher", 0, 1, "labels", _f1, binary_only=True),
        Metric("f1_macro", "higher", 0, 1, "labels", _f1_macro),
        Metric("mcc", "higher", -1, 1, "labels", _mcc),
        Metric("log_loss", "lower", 0, _INF, "scores", _log_loss, loss=_log_losses),
        Metric("brier", "lower", 0, 2, "scores", _brier, loss=_brier_losses),
        Metric("roc_auc", "higher", 0, 1, "scores", _roc_auc),
        Metric("pr_auc", "higher", 0, 1, "scores", _pr_auc),
        Metric("mae", "lower", 0, _INF, "values", _mae, loss=_absolute_errors),
        Metric("rmse", "lower", 0, _INF, "values", _rmse, loss=_squared_errors),
        Metric("r2", "higher", -_INF, 1, "values", _r2, loss=_squared_errors),
    )
}


def find_metric(name: str, k: int | None = None, where: str = "evaluation.metric") -> Metric:
    """Return the metric of this name.

    Parameters
    ----------
    k
        Number of classes, 0 for a regression; None: not known yet, only the name is checked.
    where
        The key of project.yaml, for the message.

    Raises
    ------
    SpecError
        If there is none, with the nearest name, or if it does not go with this number of classes.
    """
    if name not in METRICS:
        near = get_close_matches(name, METRICS, n=1, cutoff=0.4)
        raise SpecError(
            f"{where}: {name!r} is no metric; expected one of {', '.join(METRICS)}.",
            remedy=f"Did you mean {near[0]!r}?" if near else "",
        )
    metric = METRICS[name]
    if k is not None and (metric.uses == "values") != (k == 0):
        kind = "a regression" if k == 0 else "a classification"
        raise SpecError(f"{where}: the metric {name!r} does not go with {kind}.", remedy=_fitting(k))
    if k is not None and metric.binary_only and k != 2:
        raise SpecError(f"{where}: the metric {name!r} is for 2 classes, received {k}.", remedy=_fitting(k))
    return metric


def _fitting(k: int) -> str:
    names = [m.name for m in METRICS.values() if (m.uses == "values") == (k == 0) and not (m.binary_only and k != 2)]
    return f"Choose one of {', '.join(names)}."

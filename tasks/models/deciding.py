"""From a fitted pipeline's probabilities to calibrated ones and to the class that is answered.

Both are learnt from answers to training rows that the answering pipeline was not fitted on, so that neither is too sure.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from infra.errors import SpecError
from tasks.contracts.imbalance import Calibrate, Costs, Decision
from tasks.metrics.registry import Metric, find_metric
from tasks.models.model import Array, Floats

CLIP = 1e-6
"""Probabilities are taken as at least this far from 0 and 1 where their logarithm is taken."""


class Decided(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted pipeline whose probabilities are calibrated, and whose class is decided at a threshold.

    Parameters
    ----------
    pipeline
        Fitted, with `predict_proba`.
    curves
        For each class two rows: raw log odds, ascending, and the calibrated probability there; none where probabilities are
        left as they are. Between the points a line, beyond them the nearest.
    threshold
        Probability of the class `positive` from which it is answered; None: the most probable class is.
    positive
        Place of the positive class.
    """

    def __init__(
        self,
        pipeline: Any = None,
        curves: list[Floats] | None = None,
        threshold: float | None = None,
        positive: int = 1,
    ) -> None:
        self.pipeline = pipeline
        self.curves = curves
        self.threshold = threshold
        self.positive = positive

    @property
    def classes_(self) -> Array:
        """The classes, in the order of `predict_proba`."""
        return np.asarray(self.pipeline.classes_)

    def predict_proba(self, X: Any) -> Floats:
        """Return the calibrated probabilities, shape (n, k); rows sum to 1."""
        return apply_curves(np.asarray(self.pipeline.predict_proba(X), dtype=np.float64), self.curves or [])

    def predict(self, X: Any) -> Array:
        """Return the class of each row, shape (n,)."""
        return np.asarray(self.classes_[choose_classes(self.predict_proba(X), self.threshold, self.positive)])

    def __sklearn_tags__(self) -> Any:
        return self.pipeline.__sklearn_tags__()


def choose_classes(shares: Floats, threshold: float | None, positive: int) -> Array:
    """Return the place of the class that is answered: the positive one from the threshold on, else the most probable, shape (n,)."""
    if threshold is None:
        return np.asarray(shares.argmax(axis=1))
    return np.where(shares[:, positive] >= threshold, positive, 1 - positive)


def learn_curves(truth: Array, shares: Floats, how: Calibrate) -> list[Floats]:
    """Return a curve for each class, fitted one against the rest (Zadrozny & Elkan 2002, KDD); none for `none`.

    sigmoid: p = 1 / (1 + exp(-(a l + b))) with l the raw log odds (Platt 1999; on log odds and not on probabilities, so that
    a = 1, b = 0 leaves them as they are). isotonic: the monotone step function of least squares (pool adjacent violators).

    Parameters
    ----------
    truth
        Class codes, shape (n,).
    shares
        Raw probabilities on rows that were not fitted on, shape (n, k).
    """
    learn: dict[str, Callable[[Floats, Array], Floats]] = {"sigmoid": _learn_sigmoid, "isotonic": _learn_isotonic}
    if how == "none":
        return []
    return [learn[how](log_odds(shares[:, place]), truth == place) for place in range(shares.shape[1])]


def apply_curves(shares: Floats, curves: list[Floats]) -> Floats:
    """Return the calibrated probabilities; rows sum to 1."""
    if not curves:
        return shares
    odds = log_odds(shares)
    turned = np.column_stack([np.interp(odds[:, place], *curve) for place, curve in enumerate(curves)])
    total = turned.sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > 0, turned / np.where(total > 0, total, 1.0), 1 / shares.shape[1]))


def log_odds(shares: Floats) -> Floats:
    """Return log(p / (1 - p))."""
    kept = np.clip(shares, CLIP, 1 - CLIP)
    return np.asarray(np.log(kept) - np.log1p(-kept))


POINTS = 512
"""Points of a sigmoid's curve: a line between two of them is off by less than 1e-4."""


def _learn_sigmoid(odds: Floats, is_class: Array) -> Floats:
    fitted = LogisticRegression(C=1e6, max_iter=1000).fit(odds[:, None], is_class)
    ends = float(log_odds(np.array(1 - CLIP)))
    points = np.linspace(-ends, ends, POINTS)
    return np.vstack([points, fitted.predict_proba(points[:, None])[:, 1]])


def _learn_isotonic(odds: Floats, is_class: Array) -> Floats:
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(odds, is_class.astype(float))
    return np.vstack([fitted.X_thresholds_, fitted.y_thresholds_])


def find_decision_metric(decision: Decision, evaluation_metric: str, classes: int) -> Metric | None:
    """Return the metric of labels that a threshold is tuned for; None where costs decide.

    Raises
    ------
    SpecError
        It is none of labels, or there are not two classes.
    """
    if classes != 2:
        raise SpecError(
            f"decision.threshold: tuned is for two classes, the target has {classes}.",
            remedy="Leave `decision` out: the most probable class is answered.",
        )
    if decision.costs is not None:
        return None
    name = decision.metric or evaluation_metric
    metric = find_metric(name, classes, "decision.metric")
    if metric.uses != "labels":
        raise SpecError(
            f"decision.metric: {name} reads probabilities, no threshold changes it.",
            remedy="Name a metric of labels (balanced_accuracy, f1, mcc, …), or give `decision.costs`.",
        )
    return metric


def tune_threshold(
    truth: Array, share: Floats, positive: int, metric: Metric | None, costs: Costs | None = None
) -> float:
    """Return the probability of the positive class from which it is answered: the best on these rows.

    Considered are a threshold between each two neighbouring probabilities, below the least and above the greatest (as in
    empirical thresholding: Sheng & Ling 2006, AAAI); of equals the one nearest to 1/2.

    Parameters
    ----------
    truth
        Class codes (0, 1), shape (n,).
    share
        Probability of the positive class on rows that were not fitted on, shape (n,).
    metric
        Of labels; None: the mean of `costs` decides.
    """
    values, where = np.unique(share, return_inverse=True)
    cuts = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, [np.nextafter(values[-1], 2.0)]])
    positives = np.bincount(where, weights=truth == positive, minlength=len(values))
    negatives = np.bincount(where, weights=truth != positive, minlength=len(values))
    missed, spared = (np.concatenate([[0.0], np.cumsum(each)]) for each in (positives, negatives))
    if metric is None and costs is not None:
        worth = -(costs.false_negative * missed + costs.false_positive * (negatives.sum() - spared))
    elif metric is not None:
        confusion = np.empty((len(cuts), 2, 2))
        other = 1 - positive
        confusion[:, positive, positive], confusion[:, positive, other] = positives.sum() - missed, missed
        confusion[:, other, other], confusion[:, other, positive] = spared, negatives.sum() - spared
        worth = metric.sign * metric.formula(confusion, positive)
    worth = np.nan_to_num(worth, nan=-np.inf)
    best = np.flatnonzero(worth >= worth.max() - 1e-12)
    return float(cuts[best[np.argmin(np.abs(cuts[best] - 0.5))]])

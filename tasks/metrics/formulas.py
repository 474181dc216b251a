"""The formulas of the metrics, each vectorised over weights: a matrix (draws, m) in, one value a draw out.

A bootstrap draw, a permutation and a jackknife are all weights of the same rows. Undefined is NaN.
"""

from collections.abc import Callable

import numpy as np

from tasks.metrics.answers import Codes, Floats, Mask

EPS = float(np.finfo(np.float64).eps)
"""Probabilities are clipped to [eps, 1 - eps] in the log loss, as scikit-learn does."""


def _divide(above: Floats, below: Floats, when_zero: float = np.nan) -> Floats:
    """Return above / below, `when_zero` where the divisor is 0."""
    filled: Floats = np.full(np.broadcast_shapes(above.shape, below.shape), when_zero)
    np.divide(above, below, out=filled, where=below != 0)
    return filled


def count_confusion(truth: Codes | Floats, predicted: Codes | Floats, weights: Floats, k: int) -> Floats:
    """Return (draws, k, k): truth by row, prediction by column."""
    cell = (truth * k + predicted).astype(np.int64)
    indicator = np.zeros((len(cell), k * k))
    indicator[np.arange(len(cell)), cell] = 1.0
    return (weights @ indicator).reshape(-1, k, k)


def _margins(confusion: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the hits, true counts and predicted counts of each class."""
    return np.einsum("dii->di", confusion), confusion.sum(axis=2), confusion.sum(axis=1)


def accuracy(confusion: Floats, positive: int) -> Floats:  # noqa: ARG001
    """Share of right answers."""
    return _divide(np.trace(confusion, axis1=1, axis2=2), confusion.sum(axis=(1, 2)))


def balanced_accuracy(confusion: Floats, positive: int) -> Floats:  # noqa: ARG001
    """Mean recall over the classes that occur (Brodersen et al. 2010, ICPR, eq. 6)."""
    hits, true, _ = _margins(confusion)
    recalls = _divide(hits, true, 0.0)
    return _divide(recalls.sum(axis=1), (true > 0).sum(axis=1).astype(np.float64))


def precision(confusion: Floats, positive: int) -> Floats:
    """tp / (tp + fp); 0 where nothing was called positive."""
    hits, _, called = _margins(confusion)
    return _divide(hits[:, positive], called[:, positive], 0.0)


def recall(confusion: Floats, positive: int) -> Floats:
    """tp / (tp + fn); undefined without a positive row."""
    hits, true, _ = _margins(confusion)
    return _divide(hits[:, positive], true[:, positive])


def f1(confusion: Floats, positive: int) -> Floats:
    """2 tp / (2 tp + fp + fn) (van Rijsbergen 1979, Information Retrieval, ch. 7)."""
    hits, true, called = _margins(confusion)
    return _divide(2 * hits[:, positive], true[:, positive] + called[:, positive])


def f1_macro(confusion: Floats, positive: int) -> Floats:  # noqa: ARG001
    """Mean F1 over the classes that occur as truth or as answer."""
    hits, true, called = _margins(confusion)
    seen = (true + called) > 0
    return _divide(_divide(2 * hits, true + called, 0.0).sum(axis=1), seen.sum(axis=1).astype(np.float64))


def mcc(confusion: Floats, positive: int) -> Floats:  # noqa: ARG001
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


def log_losses(truth: Codes, proba: Floats) -> Floats:
    """-log p(true class) of each row, (m,)."""
    given = proba[np.arange(len(truth)), truth]
    losses: Floats = -np.log(np.clip(given, EPS, 1 - EPS))
    return losses


def log_loss(truth: Codes, proba: Floats, weights: Floats, positive: int) -> Floats:  # noqa: ARG001
    """-mean log p(true class), p clipped to [eps, 1 - eps] (Good 1952, J. R. Stat. Soc. B 14)."""
    return _mean(log_losses(truth, proba), weights)


def brier_losses(truth: Codes, proba: Floats) -> Floats:
    """Σ_k (p_k - y_k)² of each row, (m,); halved for two classes."""
    target = np.zeros_like(proba)
    target[np.arange(len(truth)), truth] = 1.0
    loss = np.sum((proba - target) ** 2, axis=1)
    return np.asarray(loss / 2 if proba.shape[1] == 2 else loss)


def brier(truth: Codes, proba: Floats, weights: Floats, positive: int) -> Floats:  # noqa: ARG001
    """Mean Σ_k (p_k - y_k)², halved for two classes (Brier 1950, Mon. Weather Rev. 78)."""
    return _mean(brier_losses(truth, proba), weights)


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


def roc_auc(truth: Codes, proba: Floats, weights: Floats, positive: int) -> Floats:
    """P(score of a positive > of a negative) + half the ties (Hanley & McNeil 1982, Radiology 143).

    Several classes: the mean of one-versus-rest over the classes that occur.
    """
    return _one_versus_rest(_one_auc, truth, proba, weights, positive)


def pr_auc(truth: Codes, proba: Floats, weights: Floats, positive: int) -> Floats:
    """Average precision Σ (R_i - R_{i-1}) P_i over distinct scores (Davis & Goadrich 2006, ICML; no interpolation)."""
    return _one_versus_rest(_one_average_precision, truth, proba, weights, positive)


def absolute_errors(truth: Floats, predicted: Floats) -> Floats:
    """|y - f| of each row, (m,)."""
    return np.abs(truth - predicted)


def squared_errors(truth: Floats, predicted: Floats) -> Floats:
    """(y - f)² of each row, (m,)."""
    return np.asarray((truth - predicted) ** 2)


def mae(truth: Floats, predicted: Floats, weights: Floats) -> Floats:
    """Mean absolute error."""
    return _mean(np.abs(truth - predicted), weights)


def rmse(truth: Floats, predicted: Floats, weights: Floats) -> Floats:
    """Root of the mean squared error."""
    return np.asarray(np.sqrt(_mean(squared_errors(truth, predicted), weights)))


def r2(truth: Floats, predicted: Floats, weights: Floats) -> Floats:
    """1 - Σ (y - f)² / Σ (y - mean y)²; undefined where y is constant."""
    centred = truth - truth.mean()
    total = weights.sum(axis=1)
    spread = weights @ centred**2 - _divide((weights @ centred) ** 2, total)
    spread[spread <= EPS * np.maximum(1.0, weights @ truth**2)] = 0.0
    return 1 - _divide(weights @ (truth - predicted) ** 2, spread)

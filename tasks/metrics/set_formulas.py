"""The formulas of metrics of label sets, each vectorised over weights as in `formulas`: (draws, m) in, one value a draw out.

Truth and answers are tables of yes and no, or probabilities, shape (m, labels). Tsoumakas, Katakis & Vlahavas 2010, Mining
Multi-label Data (Data Mining and Knowledge Discovery Handbook, ch. 34), has all of them.
"""

from collections.abc import Callable

import numpy as np

from tasks.metrics.answers import Floats
from tasks.metrics.label_sets import Bits

PAIRS_AT_ONCE = 8_000_000


def label_f1_micro(truth: Bits, answered: Bits, weights: Floats) -> Floats:
    """2 tp / (2 tp + fp + fn) over all rows and labels together; undefined where no label is there and none is answered."""
    both, apart = weights @ (truth & answered).sum(axis=1), weights @ (truth ^ answered).sum(axis=1)
    return _ratio(2 * both, 2 * both + apart)


def label_f1_macro(truth: Bits, answered: Bits, weights: Floats) -> Floats:
    """Mean over the labels of each one's F1; those that no row has and none is answered with are left out."""
    both, apart = weights @ (truth & answered), weights @ (truth ^ answered)
    seen = (2 * both + apart) > 0
    each = np.divide(2 * both, 2 * both + apart, out=np.zeros_like(both), where=seen)
    return _ratio(each.sum(axis=1), seen.sum(axis=1).astype(np.float64))


def label_f1_samples(truth: Bits, answered: Bits, weights: Floats) -> Floats:
    """Mean over the rows of 2 |T and A| / (|T| + |A|), 1 where both are empty."""
    total = truth.sum(axis=1) + answered.sum(axis=1)
    both = (truth & answered).sum(axis=1)
    return _mean(np.where(total > 0, 2 * both / np.maximum(total, 1), 1.0), weights)


def subset_accuracy(truth: Bits, answered: Bits, weights: Floats) -> Floats:
    """Share of the rows of which every label is right."""
    return _mean((truth == answered).all(axis=1).astype(np.float64), weights)


def hamming_loss(truth: Bits, answered: Bits, weights: Floats) -> Floats:
    """Share of wrong answers among all rows and labels (Schapire & Singer 2000, Machine Learning 39)."""
    return _mean((truth ^ answered).mean(axis=1), weights)


def ranking_loss(truth: Bits, scores: Floats, weights: Floats) -> Floats:
    """Mean share of a row's pairs of a label that it has and one that it has not in which the latter scores as high or higher.

    0 for rows with all labels or none (Schapire & Singer 2000; ties count as wrong, as scikit-learn has it).
    """
    return _mean(_by_blocks(_wrong_pairs, truth, scores), weights)


def ranking_precision(truth: Bits, scores: Floats, weights: Floats) -> Floats:
    """Mean over a row's labels of the share of its labels among those that score at least as high; 1 for rows with all or none.

    Label ranking average precision (Schapire & Singer 2000).
    """
    return _mean(_by_blocks(_precision_of_ranks, truth, scores), weights)


def _wrong_pairs(truth: Bits, scores: Floats) -> Floats:
    wrong = ((scores[:, :, None] <= scores[:, None, :]) & truth[:, :, None] & ~truth[:, None, :]).sum(axis=(1, 2))
    pairs = truth.sum(axis=1) * (~truth).sum(axis=1)
    return np.asarray(wrong / np.maximum(pairs, 1))


def _precision_of_ranks(truth: Bits, scores: Floats) -> Floats:
    above = scores[:, None, :] >= scores[:, :, None]  # label, then those at or above it
    precision = (above & truth[:, None, :]).sum(axis=2) / above.sum(axis=2)
    has = truth.sum(axis=1)
    each = (precision * truth).sum(axis=1) / np.maximum(has, 1)
    return np.where((has == 0) | (has == truth.shape[1]), 1.0, each)


def _by_blocks(each: Callable[[Bits, Floats], Floats], truth: Bits, scores: Floats) -> Floats:
    """Return one value a row, so many rows at a time that all their pairs of labels fit into memory."""
    rows = max(1, PAIRS_AT_ONCE // truth.shape[1] ** 2)
    blocks = [each(truth[at : at + rows], scores[at : at + rows]) for at in range(0, len(truth), rows)]
    return np.concatenate(blocks) if blocks else np.zeros(0)


def _mean(each: Floats, weights: Floats) -> Floats:
    return _ratio(weights @ each, weights.sum(axis=1))


def _ratio(above: Floats, below: Floats) -> Floats:
    filled: Floats = np.full(np.shape(below), np.nan)
    np.divide(above, below, out=filled, where=np.asarray(below) != 0)
    return filled

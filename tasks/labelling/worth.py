"""How much a label would say: how unsure a model is of a row, and how far several models are from agreeing on it. Pure."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import rankdata

from tasks.contracts.labelling import Disagreement, Uncertainty
from tasks.models.model import Floats

TINY = float(np.finfo(np.float64).tiny)


def measure_uncertainty(shares: Floats, measure: Uncertainty = "margin") -> Floats:
    """Return how unsure the probabilities are, 0 (one class has all) to 1 (all classes have the same), shape (n,).

    With p1 ≥ p2 ≥ … the probabilities of the k classes (Settles 2009, Active Learning Literature Survey, section 3.1):
    margin: 1 - (p1 - p2). entropy: -Σ p log p / log k. least_confidence: (1 - p1) k / (k - 1). For two classes all three
    order rows alike; for more, margin asks which of two it is, entropy prefers rows that could be anything.

    Parameters
    ----------
    shares
        Probabilities, shape (n, k), k of at least 2.

    >>> measure_uncertainty(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    k = shares.shape[1]
    ordered = np.sort(shares, axis=1)
    measures: dict[Uncertainty, Callable[[], Floats]] = {
        "margin": lambda: 1 - (ordered[:, -1] - ordered[:, -2]),
        "entropy": lambda: entropy(shares) / np.log(k),
        "least_confidence": lambda: (1 - ordered[:, -1]) * k / (k - 1),
    }
    return np.clip(measures[measure](), 0.0, 1.0)


def measure_disagreement(committee: Floats, measure: Disagreement = "divergence") -> Floats:
    """Return how far models are from agreeing, 0 (they do) to 1, shape (n,).

    divergence: the Jensen-Shannon divergence of their probabilities, H(mean of p_c) - mean of H(p_c), which is the mean
    Kullback-Leibler divergence from their mean (McCallum & Nigam 1998, ICML, section 3). votes: the entropy of the shares of
    their votes (Engelson & Dagan 1996, ACL, section 4). Both over log min(c, k), the most that c models over k classes reach.

    Parameters
    ----------
    committee
        Probabilities of each model, shape (c, n, k), c of at least 2.
    """
    models, _, k = committee.shape
    most = np.log(min(models, k))
    if measure == "divergence":
        spread = entropy(committee.mean(axis=0)) - entropy(committee).mean(axis=0)
    else:
        votes = committee.argmax(axis=2)
        spread = entropy(np.stack([(votes == each).mean(axis=0) for each in range(k)], axis=1))
    return np.asarray(np.clip(spread / most, 0.0, 1.0), dtype=np.float64)


def combine_worth(measures: Sequence[Floats]) -> Floats:
    """Return one worth for rows that several measures speak of: the mean of their ranks, 0 to 1, shape (n,).

    Ranks and not values: how far apart two values are means something within a measure and nothing between two.
    """
    ranks = [rankdata(values, method="average") / len(values) for values in measures]
    return np.asarray(np.mean(ranks, axis=0), dtype=np.float64)


def entropy(shares: Floats) -> Floats:
    """Return -Σ p log p over the last axis, in nats; 0 log 0 is 0."""
    return np.asarray(-(shares * np.log(np.maximum(shares, TINY))).sum(axis=-1), dtype=np.float64)

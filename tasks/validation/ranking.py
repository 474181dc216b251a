"""How well one number parts classes: the area under the ROC curve of the pair that it parts worst."""

import numpy as np
import numpy.typing as npt
import pandas as pd


def least_pairwise_auc(values: npt.NDArray[np.float64], classes: npt.NDArray[np.intp]) -> float:
    """Return how well one number parts the two classes that it parts worst: 0.5 nothing, 1 perfectly.

    For each pair of classes i, j the AUC is the Mann-Whitney statistic A(i|j) = P(x_i > x_j) + P(x_i = x_j) / 2
    (Hanley and McNeil 1982); Hand and Till (2001) average it over pairs, here the least counts. Either direction.

    Parameters
    ----------
    values
        Shape (n,), finite or infinite, not NaN.
    classes
        Shape (n,), 0 to k-1, each class at least once.
    """
    codes, distinct = pd.factorize(values, sort=True)
    k = int(classes.max()) + 1
    counts = np.zeros((len(distinct), k))
    np.add.at(counts, (codes, classes), 1.0)
    below = np.cumsum(counts, axis=0) - counts
    wins = counts.T @ (below + counts / 2)
    totals = counts.sum(axis=0)
    auc = wins / np.outer(totals, totals)
    pairs = np.triu_indices(k, 1)
    return float(np.maximum(auc, auc.T)[pairs].min())

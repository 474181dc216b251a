"""Classes of different size: what a fit sees of them."""

import numpy as np

from tasks.contracts.imbalance import Balance
from tasks.models.inputs import Rows
from tasks.models.model import Floats
from tasks.models.partition import Positions


def balance_rows(rows: Rows, balance: Balance, seed: int) -> Rows:
    """Return the rows that a fit sees: all of them, with some twice (over) or without some (under).

    Every class then has as many as the largest, or as the smallest. Drawn with replacement beyond what is there (over), and
    without (under); the order of the rows is kept.
    """
    if balance.resample == "none":
        return rows
    return rows.take(_draw(rows, balance, np.random.default_rng(seed)))


def weigh_rows(rows: Rows, balance: Balance) -> Floats | None:
    """Return how much each row counts, mean 1; None: all alike.

    balanced: w = n / (k n_c) for a row of class c, n_c of n rows in k classes (King & Zeng 2001, Political Analysis 9:137-163,
    section 4.2), times what age makes of it; n_c counts ages as well.
    """
    ages = rows.weights
    if balance.weights == "none":
        return ages
    _, codes = np.unique(rows.target, return_inverse=True)
    counts = np.ones(len(rows)) if ages is None else ages
    totals = np.bincount(codes, weights=counts)
    weights = counts / totals[codes]
    return np.asarray(weights / weights.mean(), dtype=np.float64)


def _draw(rows: Rows, balance: Balance, random: np.random.Generator) -> Positions:
    _, codes, sizes = np.unique(rows.target, return_inverse=True, return_counts=True)
    drawn = []
    for code, size in enumerate(sizes):
        own = np.flatnonzero(codes == code)
        if balance.resample == "over":
            drawn.append(np.concatenate([own, random.choice(own, sizes.max() - size)]))
        else:
            drawn.append(random.choice(own, sizes.min(), replace=False))
    return np.sort(np.concatenate(drawn))

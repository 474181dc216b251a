"""Classes of different size: what a fit sees of them, as far as that needs no look at the rows' content."""

import numpy as np

from tasks.contracts.imbalance import Balance
from tasks.models.inputs import Rows
from tasks.models.model import Array, Floats
from tasks.models.partition import Positions


def balance_rows(rows: Rows, balance: Balance, seed: int) -> Rows:
    """Return the rows that a fit sees: all of them, with some twice (over) or without some (under).

    Every class then has at least `ratio` times as many as the largest, or at most 1 / `ratio` times as many as the smallest.
    Drawn with replacement beyond what is there (over), and without (under); the order of the rows is kept.
    """
    if balance.resample not in ("over", "under"):
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


def wanted_sizes(sizes: Array, ratio: float) -> Array:
    """Return how many rows each class has once the smaller ones have `ratio` times as many as the largest.

    >>> wanted_sizes(np.array([100, 10, 60]), 0.5).tolist()
    [100, 50, 60]
    """
    return np.maximum(sizes, round(ratio * int(sizes.max())))


def _draw(rows: Rows, balance: Balance, random: np.random.Generator) -> Positions:
    _, codes, sizes = np.unique(rows.target, return_inverse=True, return_counts=True)
    more, most = wanted_sizes(sizes, balance.ratio), round(int(sizes.min()) / balance.ratio)
    drawn = []
    for code, size in enumerate(sizes):
        own = np.flatnonzero(codes == code)
        if balance.resample == "over":
            drawn.append(np.concatenate([own, random.choice(own, more[code] - size)]))
        else:
            drawn.append(random.choice(own, min(int(size), most), replace=False))
    return np.sort(np.concatenate(drawn))

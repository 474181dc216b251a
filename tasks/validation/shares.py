"""Whether a share of a window's rows is more than a true share explains: a small window varies more."""

from scipy.stats import binom

CHANCE = 0.001
"""A share is exceeded when so many rows or more would come with at most this probability."""


def exceeds(count: int, rows: int, share: float) -> bool:
    """Return whether `count` of `rows` is more than a true share of `share` explains.

    The exact one-sided binomial test (Clopper and Pearson 1934, Biometrika 26): P(X >= count) < 0.001 for X ~ B(rows, share).

    >>> exceeds(1, 50, 0.01), exceeds(500, 50_000, 0.005), exceeds(1, 50, 0.0)
    (False, True, True)
    """
    return count > share * rows and float(binom.sf(count - 1, rows, share)) < CHANCE

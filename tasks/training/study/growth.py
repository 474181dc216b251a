"""Growing numbers of training rows: each part holds all rows of the smaller ones, and is taken as the project parts rows."""

from typing import NamedTuple

import numpy as np

from tasks.contracts.project import Split
from tasks.models.model import Array
from tasks.models.partition import Positions


class Growth(NamedTuple):
    """Rows in the order in which they are added, and the numbers of rows at which one may stop."""

    order: Positions
    cuts: Positions

    def take(self, share: float) -> Positions:
        """Return the positions of about this share of the rows, sorted; 1 gives all of them."""
        wanted = share * len(self.order)
        return np.sort(self.order[: self.cuts[np.argmin(np.abs(self.cuts - wanted))]])


def grow_rows(target: Array, by: Array | None, split: Split, seed: int) -> Growth:
    """Return the rows in an order of which every beginning is a fair smaller set of training rows.

    random
        Every beginning has the shares of the classes: the i-th of a class's n rows, shuffled, stands at (i - 1/2) / n
        (systematic stratified sampling; Cochran 1977, Sampling Techniques, sec. 5A).
    grouped
        Whole groups in random order: rows of one group say less than as many rows of several.
    ordered
        The newest rows first: with fewer rows one would keep those next to what is judged, so the curve says what a longer
        past is worth.

    Parameters
    ----------
    target
        Class (or value) of each row, shape (n,).
    by
        Value of `split.column`, shape (n,); None for a random split.
    """
    n, rng = len(target), np.random.default_rng(seed)
    every = np.arange(1, n + 1)
    if split.method == "ordered" and by is not None:
        return Growth(np.argsort(by, kind="stable")[::-1], every)
    if split.method == "grouped" and by is not None:
        _, member, sizes = np.unique(by, return_inverse=True, return_counts=True)
        shuffled = rng.permutation(len(sizes))
        place = np.empty_like(shuffled)
        place[shuffled] = np.arange(len(sizes))
        return Growth(np.argsort(place[member], kind="stable"), np.cumsum(sizes[shuffled]))
    shuffled = rng.permutation(n)
    if target.dtype.kind == "f":
        return Growth(shuffled, every)
    return Growth(shuffled[np.argsort(_places(target[shuffled]), kind="stable")], every)


def _places(classes: Array) -> Array:
    """Return (i - 1/2) / n for the i-th of the n rows of a class."""
    _, member, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    order = np.argsort(member, kind="stable")
    rank = np.empty(len(classes))
    rank[order] = np.arange(len(classes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return (rank + 0.5) / sizes[member]


def choose_shares(points: int, rows: int, smallest: int) -> list[float]:
    """Return the shares of the rows at which a curve has its points: each twice the one before, the last all rows.

    Those below `smallest` rows are left out, and with very few rows all but the last.

    >>> choose_shares(4, 100, smallest=20)
    [0.25, 0.5, 1.0]
    """
    shares = [2.0**-halvings for halvings in reversed(range(points))]
    return [share for share in shares if share == 1 or share * rows >= smallest]

"""Windows in which nothing changed, drawn from the reference: what the tests give on them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tasks.monitoring.counting import MISSING, Codes, Floats
from tasks.monitoring.differences import Counts, Difference, compare_missing, effective_rows
from tasks.monitoring.summaries import ReferenceSummary

MOST_ROWS = 1_000
"""Rows of a pseudo-window at most; `drift.calibrate` says why that is enough. A value of fewer than one row in so many
is a rare one."""

FIXED = 1e4
"""The reference counts as so many times larger: pseudo-windows of m rows vary about one that is known."""


class Null(NamedTuple):
    """What a test gives without a change: p and sqrt(m) times the effect, shape (draws,) each."""

    p: Floats
    size: Floats


class PseudoWindows:
    """Whole rows drawn with replacement from the reference's sample, so that features stay as correlated as they are.

    One object serves all windows of about the same size: what a test gives is computed once.

    Parameters
    ----------
    reference
        Where the rows come from.
    window_rows
        Rows of the windows that are judged by it.
    draws
        Number of pseudo-windows.
    seed
        Of the rows; the same for every window, so that thresholds do not flicker.
    """

    def __init__(self, reference: ReferenceSummary, window_rows: int, *, draws: int, seed: int) -> None:
        self.draws = draws
        self.size = size_for(reference.rows, window_rows)
        self._seed = seed
        self._codes = reference.read_sample()
        self._widths = [len(each.counts) for each in reference.measures]
        rows = self._codes.shape[1]
        self._picked = np.random.default_rng(seed).integers(max(rows, 1), size=(draws, self.size if rows else 0))
        self._known: dict[tuple[int, str], Null] = {}

    def sampled(self, place: int) -> Floats:
        """Return the counts of the rows drawn from, missing left out, shape (codes,)."""
        codes = self._codes[place]
        return np.bincount(codes[codes >= 0], minlength=self._widths[place]).astype(np.float64)

    def null_of_values(self, place: int, compare: Callable[[Counts, Counts], Difference]) -> Null:
        """Return what this comparison of the measure's counts gives."""
        key = (place, "values")
        if key not in self._known:
            counts = self._count(place)[:, :-1]
            drawn = compare(counts, self.sampled(place) * FIXED)
            self._known[key] = Null(drawn.p, np.sqrt(counts.sum(axis=1)) * drawn.effect)
        return self._known[key]

    def null_of_missing(self, place: int) -> Null:
        """Return what the comparison of missing shares gives."""
        key = (place, "missing")
        if key not in self._known:
            before, rows = float(np.sum(self._codes[place] == MISSING)), len(self._codes[place])
            drawn = compare_missing(self._count(place)[:, -1], self.size, before * FIXED, rows * FIXED)
            self._known[key] = Null(drawn.p, np.sqrt(self.size) * drawn.effect)
        return self._known[key]

    def draw_p(self, place: int, test: int) -> Floats:
        """Return p-values of a test whose law without a change is known: uniform."""
        return np.random.default_rng([self._seed, place, test]).random(self.draws)

    def _count(self, place: int) -> Codes:
        """Return the counts of each pseudo-window, shape (draws, codes + 1); missing last."""
        codes, width = self._codes[place], self._widths[place] + 1
        cells = np.where(codes == MISSING, width - 1, codes)[self._picked]
        cells += (np.arange(self.draws) * width)[:, None]
        return np.bincount(cells.ravel(), minlength=self.draws * width).reshape(self.draws, width)


def size_for(reference_rows: int, window_rows: int) -> int:
    """Return the rows of a pseudo-window: nN / (n + N), at most `MOST_ROWS`."""
    return max(1, min(MOST_ROWS, round(float(effective_rows(float(window_rows), reference_rows)))))

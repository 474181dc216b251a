"""The seeds of one candidate as one figure: mean, the interval over the seeds, the interval of the test rows, what it says of a published figure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Literal

from scipy.stats import t as student

from benchmarks.results.rows import Row, Rows, name_code
from benchmarks.results.subjects import Published, Subject

CONFIDENCE = 0.95
Said = Literal["passed", "not told apart", "not reached", "not measured"]


@dataclass(frozen=True)
class Summary:
    """All seeds of one candidate that were measured; of none, only the name says anything."""

    candidate: str
    rows: tuple[Row, ...]
    is_earlier: bool = False
    """Any of them is of the candidate as it was before its keys, its project's columns or Python were changed."""

    @property
    def is_measured(self) -> bool:
        return bool(self.rows)

    @property
    def metric(self) -> str:
        return self.rows[0].figures[0].metric

    @property
    def values(self) -> list[float]:
        return [row.figures[0].value for row in self.rows]

    @property
    def mean(self) -> float:
        return fmean(self.values)

    @property
    def over_seeds(self) -> tuple[float, float] | None:
        """Interval of the mean over networks drawn anew on the same rows; None with fewer than two seeds."""
        return student_interval(self.values)

    @property
    def of_test_rows(self) -> tuple[float, float]:
        """Interval of one such model over test rows drawn anew: the mean of the ends that its seeds have."""
        return fmean(row.figures[0].low for row in self.rows), fmean(row.figures[0].high for row in self.rows)

    @property
    def widest(self) -> tuple[float, float]:
        """From the lowest to the highest end of the two intervals."""
        ends = (*self.of_test_rows, *(self.over_seeds or ()))
        return min(ends), max(ends)

    @property
    def epoch_seconds(self) -> float | None:
        return _median([row.epoch_seconds for row in self.rows])

    @property
    def epoch_cpu_seconds(self) -> float | None:
        return _median([row.epoch_cpu_seconds for row in self.rows])

    @property
    def fit_seconds(self) -> float:
        return median(row.fit_seconds for row in self.rows)

    @property
    def was_disturbed(self) -> bool:
        """Whether others worked on the machine in any of the fits: the load was over its processors, and one for the fit's own helpers."""
        return any(row.machine.load > row.machine.cpu_count + 1 for row in self.rows)

    def hold_against(self, published: Published) -> Said:
        """Return what the figure says of the published one: above it, below it, or within the wider of the two intervals.

        The published figure is taken as it is: with 25,000 test rows its own interval would be half a point wide each way.
        """
        if not self.is_measured:
            return "not measured"
        low, high = self.widest
        better = self.rows[0].figures[0].direction == "higher"
        ends = (published.low, published.high or published.low)
        if low > max(ends):
            return "passed" if better else "not reached"
        if high < min(ends):
            return "not reached" if better else "passed"
        return "not told apart"


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def student_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return mean ± t(0.975, n - 1) s / √n (Student 1908, Biometrika 6:1-25), s the standard deviation with n - 1.

    None of fewer than two values. With n = 3 the factor is 4.30: wide, and right only where seeds give something like a
    normal distribution.

    >>> student_interval([1.0, 2.0, 3.0])
    (-0.48413..., 4.48413...)
    """
    n = len(values)
    if n < 2:
        return None
    half = float(student.ppf((1 + CONFIDENCE) / 2, n - 1)) * stdev(values) / math.sqrt(n)
    return fmean(values) - half, fmean(values) + half


def summarise(subject: Subject, rows: Rows) -> list[Summary]:
    """Return each candidate of the project in its order, also those without a row."""
    own = [rows[place] for place in sorted(rows) if place[0] == subject.name]
    return [
        _summarise(subject, name, [row for row in own if row.candidate == name]) for name in subject.spec.candidates
    ]


def _summarise(subject: Subject, name: str, rows: list[Row]) -> Summary:
    code = name_code(subject, name)
    return Summary(name, tuple(rows), any(row.key != code for row in rows))

"""Every test of one window against one reference, each with what it gives on windows in which nothing changed."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import special

from tasks.monitoring.counting import Floats
from tasks.monitoring.differences import (
    Counts,
    Difference,
    compare_missing,
    compare_numbers,
    compare_values,
    effective_rows,
    keep_values,
    sd_of_shift,
)
from tasks.monitoring.pseudo_windows import Null, PseudoWindows
from tasks.monitoring.summaries import THREADS, MeasureCounts, ReferenceMeasure, ReferenceSummary, WindowSummary
from tasks.monitoring.texts import compare_texts
from tasks.monitoring.watched import Measure

MIN_VALUES = 30
"""Fewer values than this on either side are not compared."""

WHOLE_DAYS = {"hour": 0.95, "weekday": 6.5, "month": 350.0}
"""Rows from a shorter time show only some hours, weekdays or months, whatever they are like."""

FLOOR = 0.05
"""Smallest effect that counts, however many rows show it: a KS distance of 0.05 is a normal moved by 0.13 sd, two thirds
of what Cohen (1988, Statistical Power Analysis, section 2.2) calls small; for values, one row in twenty."""

TEXT_FLOOR = 0.1
"""2 AUC - 1 of 0.1: a classifier is right on 55 of 100 pairs."""


@dataclass(frozen=True)
class Comparison:
    """One test, and what it gives without a change; `rows` are its effective rows m."""

    measure: Measure
    test: str
    effect_name: str
    floor: float
    seen: Difference
    rows: float
    reference_rows: int
    window_rows: int
    null: Null
    note: str = ""


@dataclass(frozen=True)
class NoComparison:
    """A measure that could not be tested, and why."""

    measure: Measure
    reference_rows: int
    window_rows: int
    note: str


def compare_window(
    reference: ReferenceSummary, window: WindowSummary, pseudo: PseudoWindows
) -> list[Comparison | NoComparison]:
    """Return one comparison or more of each measure, in the order of the measures."""

    def compare(place: int) -> list[Comparison | NoComparison]:
        before = reference.measures[place]
        pair = _Pair(before, window.measures[place], pseudo, place)
        if before.measure.kind != "text":
            return list(pair.compare())
        column = before.measure.column
        return list(pair.compare_texts(window.texts.get(column, ()), reference.texts.get(column, ())))

    with ThreadPoolExecutor(THREADS) as pool:
        return [each for found in pool.map(compare, range(len(reference.measures))) for each in found]


@dataclass(frozen=True)
class _Pair:
    """One measure of the reference and of the window."""

    before: ReferenceMeasure
    now: MeasureCounts
    pseudo: PseudoWindows
    place: int

    def compare(self) -> Iterator[Comparison | NoComparison]:
        part, days = self.before.measure.part, min(self.before.days, self.now.days)
        if min(self.before.present, self.now.present) < MIN_VALUES:
            yield self._not_compared(self._say_too_few())
        elif part in WHOLE_DAYS and days < WHOLE_DAYS[part]:
            yield self._not_compared(f"{days:.1f} days are too short to show every {part}")
        elif self.before.measure.kind == "number":
            yield self._compare("ks", "KS distance", compare_numbers, self._describe_numbers)
        else:
            kept = keep_values(np.array(self.before.counts), self.pseudo.size)
            yield self._compare("chi2", "total variation", partial(compare_values, kept=kept), self._describe_values)
        if self.before.measure.is_first:  # once a column
            yield from self._compare_missing()

    def compare_texts(self, now: Sequence[str], before: Sequence[str]) -> Iterator[Comparison | NoComparison]:
        """Yield the tests of a text column. What they give without a change is known, and drawn from that."""
        if min(len(now), len(before)) < MIN_VALUES:
            yield self._not_compared(self._say_too_few())
            yield from self._compare_missing()
            return
        for at, each in enumerate(compare_texts(now, before, seed=0)):
            p = self.pseudo.draw_p(self.place, at)
            classifier = each.test == "domain classifier"
            yield Comparison(
                measure=self.before.measure,
                test=each.test,
                effect_name=each.effect_name,
                floor=TEXT_FLOOR if classifier else FLOOR,
                seen=each.difference,
                rows=each.rows,
                reference_rows=len(before),
                window_rows=len(now),
                null=Null(p, _size_at(p, classifier=classifier)),
                note=f"on {len(now):,} texts against {len(before):,}",
            )
        yield from self._compare_missing()

    def _compare(
        self,
        test: str,
        effect_name: str,
        compare: Callable[[Counts, Counts], Difference],
        describe: Callable[[float], str],
    ) -> Comparison:
        seen = compare(np.array(self.now.counts), np.array(self.before.counts, dtype=np.float64))
        return Comparison(
            measure=self.before.measure,
            test=test,
            effect_name=effect_name,
            floor=FLOOR,
            seen=seen,
            rows=float(effective_rows(float(self.now.present), self.before.present)),
            reference_rows=self.before.present,
            window_rows=self.now.present,
            null=self.pseudo.null_of_values(self.place, compare),
            note=describe(float(seen.effect)),
        )

    def _compare_missing(self) -> Iterator[Comparison]:
        n, total = self.now.present + self.now.missing, self.before.present + self.before.missing
        if not (self.before.missing or self.now.missing):
            return
        yield Comparison(
            measure=self.before.measure.model_copy(update={"part": ""}),
            test="nulls",
            effect_name="difference of the missing share",
            floor=FLOOR,
            seen=compare_missing(np.array(self.now.missing), n, self.before.missing, total),
            rows=float(effective_rows(float(n), total)),
            reference_rows=total,
            window_rows=n,
            null=self.pseudo.null_of_missing(self.place),
            note=f"missing {self.now.missing / max(n, 1):.1%}, in the reference {self.before.missing / max(total, 1):.1%}",
        )

    def _not_compared(self, note: str) -> NoComparison:
        return NoComparison(self.before.measure, self.before.present, self.now.present, note)

    def _say_too_few(self) -> str:
        if self.now.present == 0 or self.before.present == 0:
            both = "here and in the reference" if self.now.present == self.before.present else ""
            return f"all missing {both or ('here' if self.now.present == 0 else 'in the reference')}"
        return f"too few values: {self.now.present} here, {self.before.present} in the reference, {MIN_VALUES} needed"

    def _describe_numbers(self, distance: float) -> str:
        now, before = np.array(self.now.counts), np.array(self.before.counts)
        if distance == 0 and np.count_nonzero(before) == 1:
            return "constant"
        gaps = np.cumsum(now) / now.sum() - np.cumsum(before) / before.sum()
        lower = gaps[np.argmax(np.abs(gaps))] > 0
        said = [f"like a shift of {sd_of_shift(distance):.2f} sd, to {'lower' if lower else 'higher'} values"]
        outside = (now[0] + now[-1]) / now.sum() - (before[0] + before[-1]) / before.sum()
        if outside >= 0.001:
            said.append(f"{outside:.1%} beyond the reference's range")
        if self.now.infinite:
            said.append(f"{self.now.infinite} infinite")
        return "; ".join(said)

    def _describe_values(self, effect: float) -> str:
        now, before = np.array(self.now.counts), np.array(self.before.counts)
        if effect == 0 and np.count_nonzero(before) == 1:
            return "constant"
        fresh = now[-1] / now.sum() - before[-1] / before.sum()
        return f"{fresh:.1%} of the rows hold values that are new, or rare in the reference" if fresh >= 0.001 else ""


def _size_at(p: Floats, *, classifier: bool) -> Floats:
    """Return sqrt(m) times the effect that has this p: Kolmogorov's law; of 2 AUC - 1 on half the rows the variance 2 / 3m."""
    if classifier:
        return np.asarray(np.maximum(0.0, special.ndtri(1 - p)) * np.sqrt(2 / 3))
    return np.asarray(special.kolmogi(p))

"""Candidate against champion on the same rows: the difference, its bounds, and two one-sided tests."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from tasks.evaluation.answers import AnswerTable
from tasks.metrics.answers import Answers, Floats
from tasks.metrics.proportions import (
    detectable_difference,
    mcnemar_p,
    not_above_p,
    rows_needed,
    tango_interval,
)
from tasks.metrics.registry import Metric
from tasks.metrics.resampling import (
    Sample,
    draw_weights,
    find_adverse_row,
    gather,
    tail_p,
    wants_adverse_rows,
    widen,
)

MIN_GROUPS = 10
"""Fewer independent groups than this say too little of how much groups differ (Cameron, Gelbach & Miller 2008)."""

MOST_UNDEFINED = 0.01
"""With a larger share of draws in which the metric does not exist, the others are no fair picture."""

POWER = 0.8


@dataclass(frozen=True)
class Comparison:
    """A paired comparison; differences are candidate minus champion in the sense in which more is better.

    `p_better` belongs to H0: difference <= -margin, small where the candidate is good enough. `p_worse` belongs to
    H0: difference >= -margin, small where it is proven to be worse than allowed. With margin 0 these are superiority
    and harm. Both are 1 where nothing can be said, and `reason` says why.
    """

    candidate: float
    champion: float
    difference: float
    low: float
    high: float
    p_better: float
    p_worse: float
    spread: float
    discordance: float
    n: int
    detectable: float
    reason: str = ""

    @classmethod
    def impossible(
        cls, n: int, reason: str, candidate: float = float("nan"), champion: float = float("nan")
    ) -> "Comparison":
        """Return the comparison that could not be made."""
        nan, inf = float("nan"), float("inf")
        return cls(candidate, champion, nan, nan, nan, 1.0, 1.0, nan, nan, n, inf, reason)

    def rows_for(self, difference: float, alpha: float) -> int:
        """Return about how many rows would tell this difference from 0 with power 0.8."""
        if not difference > 0 or self.n == 0:
            return 0
        if not np.isnan(self.discordance):
            return rows_needed(min(difference, 1.0), max(self.discordance, 1 / self.n), alpha)
        per_row = self.spread**2 * self.n
        return int(np.ceil(per_row * ((stats.norm.isf(alpha) + stats.norm.ppf(POWER)) / difference) ** 2))


def compare(
    metric: Metric,
    table: AnswerTable,
    candidate: Answers,
    champion: Answers,
    *,
    margin: float = 0.0,
    alpha: float = 0.025,
    draws: int = 2_000,
    seed: int = 0,
) -> Comparison:
    """Return the paired comparison on all rows of the table.

    Accuracy of independent rows: McNemar's exact test for superiority (margin 0), Tango's interval, and his test at
    the margin otherwise (`proportions`; up to 100 rows the test is exact and may ask a little more than the interval
    shows). Everything else: the paired bootstrap of `_bootstrap`.

    Parameters
    ----------
    margin
        Largest tolerated loss, in units of the metric; 0 asks for superiority.
    alpha
        One-sided level of each bound and of the detectable difference.
    """
    k = len(table.classes)
    values = [metric.value(table.truth, answers, k, table.positive) for answers in (candidate, champion)]
    if np.isnan(values).any() or table.n < 2:
        who = [model.label for model, value in zip((candidate, champion), values, strict=True) if np.isnan(value)]
        reason = f"{metric.name} is undefined for {' and '.join(who)}" if who else f"only {table.n} rows"
        return Comparison.impossible(table.n, reason, *values)
    if metric.name == "accuracy" and table.groups is None:
        return _compare_accuracy(table, candidate, champion, margin, alpha)
    return _bootstrap(metric, table, candidate, champion, margin=margin, alpha=alpha, draws=draws, seed=seed)


def _compare_accuracy(
    table: AnswerTable, candidate: Answers, champion: Answers, margin: float, alpha: float
) -> Comparison:
    right, other = candidate.predicted == table.truth, champion.predicted == table.truth
    n, b, c = table.n, int(np.sum(right & ~other)), int(np.sum(other & ~right))
    low, high = tango_interval(b, c, n, alpha)
    if margin > 0:
        p_better, p_worse = not_above_p(b, c, n, -margin), not_above_p(c, b, n, margin)
    else:
        p_better, p_worse = mcnemar_p(b, c), mcnemar_p(c, b)
    discordance = (b + c) / n
    return Comparison(
        candidate=float(right.mean()),
        champion=float(other.mean()),
        difference=(b - c) / n,
        low=low,
        high=high,
        p_better=p_better,
        p_worse=p_worse,
        spread=float(np.sqrt(max(discordance - ((b - c) / n) ** 2, 0.0) / n)),
        discordance=discordance,
        n=n,
        detectable=detectable_difference(n, discordance, alpha),
    )


def _bootstrap(
    metric: Metric,
    table: AnswerTable,
    candidate: Answers,
    champion: Answers,
    *,
    margin: float,
    alpha: float,
    draws: int,
    seed: int,
) -> Comparison:
    """Return the comparison by the paired bootstrap (Efron & Tibshirani 1993, ch. 16; by group as in `draw_weights`).

    Each draw takes the same rows for both models. p is the share of draws on the wrong side of the margin, corrected
    by `tail_p`; a draw in which the metric is undefined counts as wrong. Up to 2,000 units (of values: always) each side draws from the
    sample and one adverse row (`find_adverse_row`), so that a few discordant rows, all in one direction, prove nothing
    that the exact test would not (for accuracy, Bonett & Price 2012, J. Educ. Behav. Stat. 37, add one discordant
    row each way).
    """
    k = len(table.classes)
    sample = gather(metric, table.truth, (candidate, champion), k=k, positive=table.positive, groups=table.groups)
    units = sample.units
    values = [float(v[0]) for v in sample.measure(metric, sample.counts[None, :].astype(np.float64))]
    if units < (2 if table.groups is None else MIN_GROUPS):
        reason = f"only {units} independent groups, at least {MIN_GROUPS} are needed"
        return Comparison.impossible(table.n, reason, *values)
    down, up = _differences(metric, sample, draws, seed)
    undefined = float(np.mean(np.isnan(down) | np.isnan(up)))
    if undefined > MOST_UNDEFINED:
        reason = f"{metric.name} is undefined in {undefined:.0%} of the resamples: a class is too rare on these rows"
        return Comparison.impossible(table.n, reason, *values)
    tail = widen(alpha, units)
    spread = float(np.nanstd(down))
    difference = metric.sign * (values[0] - values[1])
    return Comparison(
        candidate=values[0],
        champion=values[1],
        difference=difference,
        low=min(difference, float(np.nanquantile(down, tail))),
        high=max(difference, float(np.nanquantile(up, 1 - tail))),
        p_better=tail_p(int(np.sum(~(down > -margin))), draws, units),
        p_worse=tail_p(int(np.sum(~(up < -margin))), draws, units),
        spread=spread,
        discordance=float("nan"),
        n=table.n,
        detectable=float((stats.norm.isf(alpha) + stats.norm.ppf(POWER)) * spread),
    )


def _differences(metric: Metric, sample: Sample, draws: int, seed: int) -> tuple[Floats, Floats]:
    """Return the drawn differences (draws,) for the lower and for the upper bound."""
    units = sample.units

    def drawn(longer: Sample) -> Floats:
        pairs = [longer.measure(metric, w) for w in draw_weights(longer, draws, seed, units)]
        return metric.sign * np.concatenate([first - second for first, second in pairs])

    if not wants_adverse_rows(metric, units):
        plain = drawn(sample)
        return plain, plain
    against, in_favour = (find_adverse_row(metric, sample, to_first=to_first) for to_first in (True, False))
    return drawn(sample.append(against)), drawn(sample.append(in_favour))

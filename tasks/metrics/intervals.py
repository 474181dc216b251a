"""A metric of one model with its confidence interval."""

from typing import Protocol

import numpy as np

from tasks.contracts.evaluation import MetricValue
from tasks.metrics.answers import Answers, Codes, Floats, Label
from tasks.metrics.proportions import wilson_interval
from tasks.metrics.registry import Metric
from tasks.metrics.resampling import draw_weights, find_adverse_row, gather, wants_adverse_rows, widen

NAN = float("nan")


class AnsweredRows(Protocol):
    """n rows with their truth: class codes (positions in `classes`), or values where there are no classes."""

    @property
    def n(self) -> int: ...
    @property
    def truth(self) -> Codes | Floats: ...
    @property
    def classes(self) -> tuple[Label, ...]: ...
    @property
    def positive(self) -> int: ...
    @property
    def groups(self) -> Codes | None: ...


def measure_with_interval(
    metric: Metric,
    table: AnsweredRows,
    answers: Answers,
    *,
    draws: int = 2_000,
    seed: int = 0,
    alpha: float = 0.025,
) -> MetricValue:
    """Return the metric on all rows of the table and its interval, each bound at one-sided level `alpha`.

    Accuracy of independent rows has Wilson's interval. All others: the percentile bootstrap (Efron & Tibshirani 1993,
    An Introduction to the Bootstrap, ch. 13), by group where the table has groups, with two corrections for small n:
    percentiles expanded as in `widen`, and up to 2,000 units (of values: always) one row that harms and one that helps added to those drawn
    from (`find_adverse_row`), as Agresti & Coull (1998, Am. Stat. 52) add successes and failures. Without them 30 right of 30 would have the
    interval [1, 1]. BCa (Efron 1987) is not used: its correction is of order 1/sqrt(n), where it matters it is itself
    estimated from few rows, and it collapses on [1, 1] as well.

    NaN answers, or a metric that is undefined here, give NaN throughout.
    """
    n = table.n
    k = len(table.classes)
    value = metric.value(table.truth, answers, k, table.positive)
    low = high = NAN
    if not np.isnan(value):
        if metric.name == "accuracy" and table.groups is None:
            low, high = wilson_interval(round(value * n), n, alpha)
        else:
            low, high = _bootstrap(metric, table, answers, draws=draws, seed=seed, alpha=alpha)
        low, high = min(low, value), max(high, value)
    return MetricValue(metric=metric.name, value=value, low=low, high=high, n=n, direction=metric.direction)


def _bootstrap(
    metric: Metric, table: AnsweredRows, answers: Answers, *, draws: int, seed: int, alpha: float
) -> tuple[float, float]:
    k = len(table.classes)
    sample = gather(metric, table.truth, (answers,), k=k, positive=table.positive, groups=table.groups)
    units = sample.units
    if units < 2:
        return NAN, NAN
    if wants_adverse_rows(metric, units):
        harms, helps = (find_adverse_row(metric, sample, to_first=to_first) for to_first in (True, False))
        sample = sample.append(harms).append(helps)
    values = np.concatenate([sample.measure(metric, w)[0] for w in draw_weights(sample, draws, seed, units)])
    tail = widen(alpha, units)
    # A draw in which the metric is undefined says nothing of where it lies.
    low, high = np.nanquantile(values, [tail, 1 - tail]) if not np.all(np.isnan(values)) else (NAN, NAN)
    return float(low), float(high)

"""Bootstrap draws of rows or of groups of rows, as weights.

Equal rows are put together first: the draws then depend on the seed and on the content, never on the order of rows,
and a metric of labels costs as little for a million rows as for a hundred.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from tasks.metrics.answers import Answers, Codes, Floats, Mask
from tasks.metrics.label_sets import spread
from tasks.metrics.registry import Metric

ADVERSE_UP_TO = 2_000
"""Above so many units one adverse row moves nothing, and both bounds are read from the same draws."""

CHUNK_CELLS = 2_000_000
"""Weights held in memory at a time: 16 MB."""


@dataclass(frozen=True)
class Sample:
    """Distinct rows: truth and answers (m,), how often each occurs, and which group it belongs to."""

    truth: Codes | Floats
    models: tuple[Answers, ...]
    counts: Codes
    groups: Codes | None
    k: int
    positive: int

    @property
    def units(self) -> int:
        """Number of independent units: groups, or else rows."""
        return int(self.counts.sum()) if self.groups is None else int(self.groups.max(initial=-1)) + 1

    def append(self, rows: "Sample") -> "Sample":
        """Return this sample with more rows, each a unit of its own."""
        models = tuple(_join(mine, theirs) for mine, theirs in zip(self.models, rows.models, strict=True))
        groups = None
        if self.groups is not None:
            groups = np.r_[self.groups, self.units + np.arange(len(rows.truth))]
        return replace(
            self,
            truth=np.r_[self.truth, rows.truth],
            models=models,
            counts=np.r_[self.counts, rows.counts],
            groups=groups,
        )

    def take_row(self, place: int) -> "Sample":
        """Return one of the rows, once."""
        row: Mask = np.arange(len(self.counts)) == place
        models = tuple(model.take(row) for model in self.models)
        return replace(self, truth=self.truth[row], models=models, counts=np.array([1]), groups=None)

    def measure(self, metric: Metric, weights: Floats) -> tuple[Floats, ...]:
        """Return the metric of each model, one value a draw."""
        return tuple(metric.measure(self.truth, model, weights, self.k, self.positive) for model in self.models)


def _join(first: Answers, second: Answers) -> Answers:
    proba = None if first.proba is None or second.proba is None else np.r_[first.proba, second.proba]
    return replace(first, predicted=np.r_[first.predicted, second.predicted], proba=proba)


def gather(
    metric: Metric,
    truth: Codes | Floats,
    models: tuple[Answers, ...],
    *,
    k: int,
    positive: int,
    groups: Codes | None = None,
) -> Sample:
    """Return the distinct rows, in an order that follows from their content alone."""
    parts = [np.zeros(len(truth)) if groups is None else groups, truth]
    for model in models:
        parts.append(
            model.proba if metric.uses in ("scores", "rankings") and model.proba is not None else model.predicted
        )
    table = np.column_stack([np.asarray(part, dtype=np.float64) for part in parts])
    order = np.lexsort(table.T[::-1])
    table = table[order]
    starts = np.flatnonzero(np.r_[True, np.any(table[1:] != table[:-1], axis=1)])
    first = order[starts]
    dense = None if groups is None else np.unique(groups, return_inverse=True)[1][first]
    return Sample(
        truth=truth[first],
        models=tuple(
            replace(m, predicted=m.predicted[first], proba=None if m.proba is None else m.proba[first]) for m in models
        ),
        counts=np.diff(np.r_[starts, len(truth)]),
        groups=dense,
        k=k,
        positive=positive,
    )


def draw_weights(sample: Sample, draws: int, seed: int, size: int) -> Iterator[Floats]:
    """Yield weights (chunk, m) of `draws` bootstrap samples, each of `size` units drawn with replacement.

    Units are rows, or whole groups where rows are not independent (the cluster bootstrap: Davison & Hinkley 1997,
    Bootstrap Methods and their Application, section 3.8, resampling at the highest level only).
    """
    rng = np.random.default_rng(seed)
    m, units = len(sample.counts), sample.units
    step = max(1, CHUNK_CELLS // max(m, units))
    for start in range(0, draws, step):
        many = min(step, draws - start)
        if sample.groups is not None:
            yield _pick(rng, many, size, units)[:, sample.groups] * sample.counts
        elif 4 * m < units:
            yield rng.multinomial(size, sample.counts / units, size=many).astype(np.float64)
        else:
            row_of = np.repeat(np.arange(m), sample.counts)
            yield _count(row_of[rng.integers(units, size=(many, size))], m)


def _pick(rng: np.random.Generator, many: int, size: int, units: int) -> Floats:
    return _count(rng.integers(units, size=(many, size)), units)


def _count(picked: Codes, m: int) -> Floats:
    """Return how often each of m things was picked in each draw."""
    many = len(picked)
    flat = (picked + np.arange(many)[:, None] * m).ravel()
    return np.bincount(flat, minlength=many * m).reshape(many, m).astype(np.float64)


def widen(share: float, units: int) -> float:
    """Return the tail share at which to read a percentile so that the interval is as wide as Student's.

    α' = Φ(-t_{α, u-1} sqrt(u / (u-1))): bootstrap draws of u units vary too little by (u-1)/u and know nothing of
    estimating the spread (Hesterberg 2015, Am. Stat. 69, section 5.3 "expanded percentile interval").
    """
    return float(stats.norm.cdf(-stats.t.isf(share, units - 1) * np.sqrt(units / (units - 1))))


def tail_p(beyond: int, draws: int, units: int) -> float:
    """Return the p-value of `beyond` of the draws on the wrong side: the inverse of `widen`.

    (beyond + 1) / (draws + 1) is never 0 (Davison & Hinkley 1997, eq. 4.11).
    """
    share = (beyond + 1) / (draws + 1)
    return float(stats.t.sf(stats.norm.isf(share) * np.sqrt((units - 1) / units), units - 1))


def wants_adverse_rows(metric: Metric, units: int) -> bool:
    """Return whether an adverse row is added: up to 2,000 units, and to a regression's losses always.

    Losses of values have no worst one, and where their tails are heavy the mean hangs on a few rows however many there are: of
    errors from Student's t with three degrees of freedom an equal model passed in 3.7 % of trials at a nominal 2.5 % and
    n = 2,500 without the row (squared errors then have no variance, and the bootstrap fails: Athreya 1987, Ann. Stat. 15).
    """
    return units <= ADVERSE_UP_TO or (metric.uses == "values" and metric.loss is not None)


def find_adverse_row(metric: Metric, sample: Sample, *, to_first: bool) -> Sample:
    """Return a row, one more unit to draw from, that speaks against the first model (or else for it).

    A few discordant rows, all in one direction, or none at all, would otherwise look like certainty to the bootstrap.
    For labels it is imagined: the first model is wrong and the second right (alone: the model is wrong), in the class
    where that moves the metric most; for sets of labels every label of the row is wrong. For ranks, where a row may do more or less harm, it is the most harmful row that
    was seen, once more; where no row does any, imagined as well. So too for a project's own metric of values. For mean losses, which have no worst value, it is
    always the most harmful row seen.
    """
    if metric.loss is not None:
        return sample.take_row(_most_harmful_loss(metric, sample, to_first=to_first))
    if metric.uses in ("scores", "values"):
        seen = _most_harmful_rank(metric, sample, to_first=to_first)
        if seen is not None:
            return sample.take_row(seen)
    if metric.uses == "values":
        return sample.take_row(0)  # none does harm, so one is like another; a worst value cannot be imagined
    imagine, codes = _imagined, list(range(sample.k))
    if metric.uses in ("sets", "rankings"):
        imagine, codes = _imagined_set, [*(1 << label for label in codes), (1 << sample.k) - 1]
    rows = [imagine(sample, code, first_wrong=to_first) for code in codes]
    longer = [sample.append(row) for row in rows]
    harms = [_harm(metric, each, each.counts[None, :].astype(np.float64), to_first=to_first)[0] for each in longer]
    return rows[int(np.argmax(np.nan_to_num(harms)))]


def _harm(metric: Metric, sample: Sample, weights: Floats, *, to_first: bool) -> Floats:
    """Return how bad the first model looks against the second, or alone, in each draw."""
    values = sample.measure(metric, weights)
    better = values[0] - values[1] if len(values) > 1 else values[0]
    return (-1 if to_first else 1) * metric.sign * better


def _imagined(sample: Sample, code: int, *, first_wrong: bool) -> Sample:
    wrong = (code + 1) % sample.k
    answers = (wrong, code) if first_wrong else (code, wrong)
    models = tuple(
        replace(
            model,
            predicted=np.array([answer]),
            proba=None if model.proba is None else np.eye(sample.k)[[answer]],
        )
        for model, answer in zip(sample.models, answers, strict=False)
    )
    return replace(sample, truth=np.array([code]), models=models, counts=np.array([1]), groups=None)


def _imagined_set(sample: Sample, code: int, *, first_wrong: bool) -> Sample:
    """Return a row with this set of labels that one model answers rightly and the other with just the labels it has not."""
    wrong = ((1 << sample.k) - 1) ^ code
    answers = (wrong, code) if first_wrong else (code, wrong)
    models = tuple(
        replace(
            model,
            predicted=np.array([answer]),
            proba=None if model.proba is None else spread(np.array([answer]), sample.k).astype(np.float64),
        )
        for model, answer in zip(sample.models, answers, strict=False)
    )
    return replace(sample, truth=np.array([code]), models=models, counts=np.array([1]), groups=None)


def _most_harmful_loss(metric: Metric, sample: Sample, *, to_first: bool) -> int:
    """Return the place of the row with the largest loss of the first model over the second, or of the model alone."""
    losses = [
        metric.row_losses(sample.truth, model.proba if metric.uses == "scores" else model.predicted)
        for model in sample.models
    ]
    harms = losses[0] - losses[1] if len(losses) > 1 else losses[0]
    return int(np.argmax(harms if to_first else -harms))


def _most_harmful_rank(metric: Metric, sample: Sample, *, to_first: bool) -> int | None:
    """Return the place of the row whose doubling harms most, or None where none does."""
    counts = sample.counts.astype(np.float64)
    m = len(counts)
    step = max(1, CHUNK_CELLS // m)
    doubled = (counts + np.eye(min(step, m - at), m, at) for at in range(0, m, step))
    harms = np.concatenate([_harm(metric, sample, weights, to_first=to_first) for weights in doubled])
    worst = int(np.argmax(np.nan_to_num(harms, nan=-np.inf)))
    before = _harm(metric, sample, counts[None, :], to_first=to_first)[0]
    return worst if harms[worst] > before + 1e-12 else None

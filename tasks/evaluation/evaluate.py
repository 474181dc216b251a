"""What a candidate is worth on the test rows: each metric with its interval, beside dummy, champion and others."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from infra.artifacts.reference import ArtifactRef
from tasks.contracts.evaluation import EvaluationReport, GroupRates, MetricValue, ScoredRows, SliceValue
from tasks.contracts.project import ProjectSpec
from tasks.evaluation.answers import AnswerTable
from tasks.evaluation.baseline import answer_by_shares
from tasks.evaluation.bounds import require_model
from tasks.evaluation.comparison import POWER, compare
from tasks.evaluation.groups import measure_groups
from tasks.evaluation.rarity import explain, find_rarity
from tasks.metrics.answers import Answers, Label
from tasks.metrics.intervals import measure_with_interval
from tasks.metrics.proportions import detectable_difference
from tasks.metrics.registry import Metric, find_metric

Confusion = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class EvaluationNumbers:
    """An evaluation without its pictures; the fields are those of `EvaluationReport`."""

    metrics: tuple[MetricValue, ...]
    baseline: tuple[MetricValue, ...]
    beside: dict[str, tuple[MetricValue, ...]]
    champion: tuple[MetricValue, ...]
    slices: tuple[SliceValue, ...]
    groups: tuple[GroupRates, ...]
    notes: tuple[str, ...]
    confusion: Confusion
    classes: tuple[Label, ...]
    smallest_detectable: float

    def with_pictures(self, pictures: Mapping[str, ArtifactRef]) -> EvaluationReport:
        """Return the report, pictures included."""
        return EvaluationReport(**vars(self), pictures=dict(pictures))


def evaluate_rows(
    spec: ProjectSpec,
    table: AnswerTable,
    scored: ScoredRows,
    class_prior: Mapping[str, float],
    centre: float | None = None,
) -> EvaluationNumbers:
    """Return every metric of every model on all test rows, each with its two-sided 95 % interval.

    Parameters
    ----------
    table
        Truth and answers, from `read_answers`.
    scored
        Which models answered.
    class_prior
        Share of each class among the training rows, by the class as text.
    centre
        What the dummy of a regression answers.

    Raises
    ------
    InsufficientData
        If the test rows are fewer than two or of one class: no figure on them would mean anything.
    SpecError
        If a metric does not exist or does not fit the number of classes.
    """
    table.require_measurable()
    candidate, _ = require_model(table, scored, "candidate")
    metrics, notes = _metrics(spec, table, class_prior, has_scores=candidate.proba is not None)
    champion = table.of("champion")
    return EvaluationNumbers(
        metrics=_measure(spec, metrics, table, candidate),
        baseline=_measure(spec, metrics, table, answer_by_shares(table, class_prior, centre, metrics[0].name)),
        beside={m.label: _measure(spec, metrics, table, m) for m in table.models if m.role == "beside"},
        champion=_measure(spec, metrics, table, champion) if champion else (),
        slices=_measure_slices(spec, metrics[0], table, candidate),
        groups=measure_groups(table, candidate),
        notes=notes,
        confusion=count_confusion(table, candidate),
        classes=table.classes,
        smallest_detectable=smallest_detectable(spec, metrics[0], table),
    )


def _metrics(
    spec: ProjectSpec, table: AnswerTable, class_prior: Mapping[str, float], *, has_scores: bool
) -> tuple[list[Metric], tuple[str, ...]]:
    """Return the primary metric first, then those that are shown, bounded or guarded, then those that rare classes ask for.

    With them what is to be said of rare classes.
    """
    evaluation, gate, k = spec.evaluation, spec.gate, len(table.classes)
    named = {
        evaluation.metric: "evaluation.metric",
        **dict.fromkeys(evaluation.also, "evaluation.also"),
        **dict.fromkeys(gate.floors, "gate.floors"),
        **dict.fromkeys(gate.guards, "gate.guards"),
    }
    rarity = find_rarity(class_prior) if k and not table.several else None
    wanted = [find_metric(name, k) for name in rarity.metrics if name not in named] if rarity else []
    added = [metric for metric in wanted if has_scores or metric.uses != "scores"]
    notes = explain(rarity, tuple(metric.name for metric in added), evaluation.metric) if rarity else ()
    return [*(find_metric(name, k, where, table.own) for name, where in named.items()), *added], notes


def _measure(spec: ProjectSpec, metrics: list[Metric], table: AnswerTable, answers: Answers) -> tuple[MetricValue, ...]:
    draws, seed = spec.evaluation.bootstrap_draws, spec.evaluation.seed
    usable = [metric for metric in metrics if metric.uses not in ("scores", "rankings") or answers.proba is not None]
    return tuple(measure_with_interval(metric, table, answers, draws=draws, seed=seed) for metric in usable)


def _measure_slices(
    spec: ProjectSpec, metric: Metric, table: AnswerTable, candidate: Answers
) -> tuple[SliceValue, ...]:
    values = []
    for name, mask in table.slices.items():
        part = _measure(spec, [metric], table.take(mask), candidate.take(mask))
        values += [SliceValue(slice=name, value=value) for value in part]
    return tuple(values)


def count_confusion(table: AnswerTable, answers: Answers) -> Confusion:
    """Return how often each class (row) was answered as each class (column); empty for a regression and for sets of labels."""
    k = len(table.classes)
    if k == 0 or table.several:
        return ()
    given = answers.predicted >= 0
    counts = np.zeros((k, k), dtype=np.int64)
    np.add.at(counts, (table.truth[given].astype(np.int64), answers.predicted[given].astype(np.int64)), 1)
    return tuple(tuple(int(cell) for cell in row) for row in counts)


def smallest_detectable(spec: ProjectSpec, metric: Metric, table: AnswerTable) -> float:
    """Return the smallest difference of the primary metric that a paired test on these rows shows with power 0.8.

    With a champion: from how much the two differ row by row. Without one, for accuracy the share of rows on which two
    models would disagree is taken to be the candidate's own share of errors, and for other metrics the paired
    difference is taken to vary as much as the metric itself: both hold when two equal models share half their errors.
    """
    candidate, champion = table.of("candidate"), table.of("champion")
    alpha, evaluation = spec.gate.alpha, spec.evaluation
    if candidate is None:
        return math.inf
    if champion is not None:
        rows = table.take(table.comparable)
        first, second = candidate.take(table.comparable), champion.take(table.comparable)
        draws, seed = evaluation.bootstrap_draws, evaluation.seed
        return compare(metric, rows, first, second, alpha=alpha, draws=draws, seed=seed).detectable
    if metric.name == "accuracy" and table.groups is None:
        return detectable_difference(table.n, float(np.mean(candidate.predicted != table.truth)), alpha)
    seen = _measure(spec, [metric], table, candidate)
    if not seen:
        return math.inf
    spread = (seen[0].high - seen[0].low) / (2 * stats.norm.isf(0.025))
    return math.inf if math.isnan(spread) else float((stats.norm.isf(alpha) + stats.norm.ppf(POWER)) * spread)

"""The champion's figure on the rows of a window whose labels are known, and whether it fell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from infra.figures import tell
from tasks.contracts.evaluation import MetricValue
from tasks.contracts.monitoring import PerformanceReport
from tasks.contracts.project import ProjectSpec
from tasks.contracts.upkeep import Performance
from tasks.metrics.answers import Answers, Codes, Floats, Label
from tasks.metrics.intervals import measure_with_interval
from tasks.metrics.label_sets import read_sets
from tasks.metrics.registry import NONE_OF_ITS_OWN, Metric, find_metric, find_positive

ALPHA = 0.025
MOST_DRAWN = 200_000_000
"""Rows drawn for one interval, in all its bootstrap samples together: about ten seconds."""

FEWEST_DRAWS = 200


@dataclass(frozen=True)
class Matured:
    """Rows whose label is known, as intervals read them: see `tasks.metrics.intervals.AnsweredRows`."""

    n: int
    truth: Codes | Floats
    classes: tuple[Label, ...]
    positive: int
    groups: Codes | None


def measure_performance(
    matured: pd.DataFrame,
    spec: ProjectSpec,
    *,
    classes: Sequence[Label],
    scored: int,
    due: int,
    expected: float | None,
    group: "pd.Series | None" = None,
    own: Mapping[str, Metric] = NONE_OF_ITS_OWN,
) -> PerformanceReport:
    """Return the primary metric on matured rows, and whether it fell.

    It fell when the whole interval (one-sided 2.5 %, `tasks.metrics.intervals`) lies beyond expected - margin: worse by more
    than is tolerated, with confidence, as a non-inferiority test turned round (Schuirmann 1987, J. Pharmacokinet. Biopharm.
    15:657-680, one side). `expected` counts as known; it was itself measured on the test rows.

    Parameters
    ----------
    matured
        One row for each scored row whose label is due and known: `truth`, `prediction`, and `p_<class>` where the model gives
        scores. The order of rows does not count.
    spec
        The project, with `monitoring`.
    classes
        The champion's classes, in its order; none of a regression.
    scored, due
        Rows that were scored, and how many of them have a label that is due by now.
    expected
        The champion's value on its test rows; None: it was never measured, nothing can have fallen.
    group
        Of each matured row, where `evaluation.group` says that rows are not independent.
    own
        The project's own metrics by name.
    """
    rules = spec.monitoring.performance if spec.monitoring else Performance()
    known: tuple[Label, ...] = ()
    if spec.labels:
        known = tuple(classes)
    elif not spec.is_regression:
        unseen = set(matured["truth"].dropna().tolist()) - set(classes)
        known = tuple(dict.fromkeys([*classes, *sorted(unseen, key=repr)]))
    metric = find_metric(spec.evaluation.metric, len(known), own=own)
    rows = len(matured)
    bare = PerformanceReport(
        metric=metric.name, rows=scored, due=due, matured=rows, expected=expected, fell=None, reason=""
    )
    if refusal := _find_refusal(rows, due, rules):
        return bare.model_copy(update={"reason": refusal})
    encode = read_sets if spec.labels else _encode
    table = Matured(
        n=rows,
        truth=encode(matured["truth"], known) if known else matured["truth"].to_numpy(np.float64),
        classes=known,
        positive=find_positive(spec.evaluation.positive, known),
        groups=None if group is None else np.asarray(pd.factorize(group, sort=True)[0], dtype=np.int64),
    )
    draws = max(FEWEST_DRAWS, min(spec.evaluation.bootstrap_draws, MOST_DRAWN // rows))
    answers = _read_answers(matured, known, encode)
    seen = measure_with_interval(metric, table, answers, draws=draws, seed=spec.evaluation.seed, alpha=ALPHA)
    if np.isnan([seen.value, seen.low, seen.high]).any():
        return bare.model_copy(
            update={
                "reason": f"{metric.name} is undefined on these {rows:,} rows: one class or value alone, or answers are missing."
            }
        )
    fell = _judge(metric, seen, expected, rules.margin)
    figures = {"value": seen.value, "low": seen.low, "high": seen.high, "fell": fell}
    return bare.model_copy(update={**figures, "reason": _say(bare, seen, rules.margin, fell=fell)})


def _find_refusal(matured: int, due: int, rules: Performance) -> str:
    if due == 0:
        return "No label is due yet."
    if matured < rules.min_rows:
        return f"{matured:,} of {due:,} due labels are known, at least {rules.min_rows:,} are needed (performance.min_rows)."
    if matured < rules.min_matured * due:
        return (
            f"{matured:,} of {due:,} due labels are known ({matured / due:.1%}), {rules.min_matured:.0%} are needed "
            "(performance.min_matured): those that come late may differ."
        )
    return ""


def _judge(metric: Metric, seen: MetricValue, expected: float | None, margin: float) -> bool | None:
    if expected is None:
        return None
    return seen.high < expected - margin if metric.sign > 0 else seen.low > expected + margin


def _say(bare: PerformanceReport, seen: MetricValue, margin: float, *, fell: bool | None) -> str:
    interval = f"{tell(seen.value)} [{tell(seen.low)}, {tell(seen.high)}]"
    figure = f"{bare.metric} {interval} on {bare.matured:,} of {bare.due:,} matured rows"
    if bare.expected is None:
        return f"{figure}; there is no value on test rows to hold it against."
    against = f"{tell(bare.expected)} on the test rows, margin {margin:g}"
    return f"{figure}: {'worse than' if fell else 'not proven worse than'} {against}."


def _encode(values: "pd.Series", classes: Sequence[Label]) -> Codes:
    index = pd.Index(list(classes), dtype=object)
    return np.asarray(index.get_indexer(pd.Index(values.astype(object), dtype=object)), dtype=np.int64)


def _read_answers(
    matured: pd.DataFrame, classes: Sequence[Label], encode: Callable[[Any, Sequence[Label]], Codes]
) -> Answers:
    """Return the champion's answers; a class that it never saw has the score 0."""
    if not classes:
        return Answers("champion", "champion", matured["prediction"].to_numpy(np.float64))
    predicted = encode(matured["prediction"], classes)
    if not any(f"p_{name}" in matured.columns for name in classes):
        return Answers("champion", "champion", predicted)
    nothing = pd.Series(0.0, index=matured.index)
    scores = [matured.get(f"p_{name}", nothing).to_numpy(np.float64) for name in classes]
    return Answers("champion", "champion", predicted, np.column_stack(scores))

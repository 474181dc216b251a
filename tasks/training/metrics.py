"""The metrics by which selection compares candidates: the names and meanings of evaluation, in scikit-learn's terms.

Stages do not import one another, so the two lists are two; a test holds them against each other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
from sklearn import metrics

from infra.errors import SpecError
from tasks.models.model import Array, Floats

Measure = Callable[[Array, Any], float]

LOWER_IS_BETTER = frozenset({"log_loss", "brier"})


@dataclass(frozen=True)
class SelectionMetric:
    """A metric, which way is better, and whether it reads labels (n,) or probabilities (n, k)."""

    name: str
    uses: Literal["labels", "probabilities"]
    measure: Measure

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        return -1 if self.name in LOWER_IS_BETTER else 1


def selection_metric(name: str, classes: Array, positive: object = None) -> SelectionMetric:
    """Return the metric of this name for these classes (sorted, as the columns of probabilities are).

    Parameters
    ----------
    positive
        Binary metrics: the class that scores are for; None for the last.

    Raises
    ------
    SpecError
        Selection cannot go by this metric.
    """
    by_labels, by_probabilities = _label_metrics(classes, positive), _probability_metrics(classes, positive)
    if name in by_labels:
        return SelectionMetric(name, "labels", by_labels[name])
    if name in by_probabilities:
        return SelectionMetric(name, "probabilities", by_probabilities[name])
    known = [*by_labels, *by_probabilities]
    near = get_close_matches(name, known, n=1)
    raise SpecError(
        f"evaluation.metric: selection cannot go by {name!r} with {len(classes)} classes; it can by "
        f"{', '.join(known)}.",
        remedy=f"Did you mean {near[0]!r}?" if near else "",
    )


def _label_metrics(classes: Array, positive: object) -> dict[str, Measure]:
    found: dict[str, Measure] = {
        "accuracy": _accuracy,
        "balanced_accuracy": lambda t, p: float(metrics.balanced_accuracy_score(t, p)),
        "f1_macro": lambda t, p: float(metrics.f1_score(t, p, average="macro", zero_division=0.0)),
        "mcc": lambda t, p: float(metrics.matthews_corrcoef(t, p)),
    }
    if len(classes) == 2:
        chosen = classes[-1] if positive is None else positive
        for name, score in (
            ("precision", metrics.precision_score),
            ("recall", metrics.recall_score),
            ("f1", metrics.f1_score),
        ):
            found[name] = _of_positive(score, chosen)
    return found


def _of_positive(score: Callable[..., float], positive: object) -> Measure:
    return lambda truth, predicted: float(score(truth == positive, predicted == positive, zero_division=0.0))


def _accuracy(truth: Array, predicted: Array) -> float:
    # Not accuracy_score: its checks take longer than a small model's answer.
    return float(np.mean(truth == predicted))


def _probability_metrics(classes: Array, positive: object) -> dict[str, Measure]:
    def brier(truth: Array, shares: Floats) -> float:
        squared = ((truth[:, None] == classes[None, :]) - shares) ** 2
        return float(squared.sum(axis=1).mean()) / (2 if len(classes) == 2 else 1)

    def of_each(score: Callable[..., float]) -> Measure:
        """Return the binary value, or with more classes the mean over those that occur."""
        if len(classes) == 2:
            at = 1 if positive is None else int(np.flatnonzero(classes == positive)[0])
            return lambda truth, shares: float(score(truth == classes[at], shares[:, at]))
        return lambda truth, shares: float(
            np.mean([score(truth == c, shares[:, at]) for at, c in enumerate(classes) if (truth == c).any()])
        )

    return {
        "log_loss": lambda t, p: float(metrics.log_loss(t, p, labels=classes)),
        "brier": brier,
        "roc_auc": of_each(metrics.roc_auc_score),
        "pr_auc": of_each(metrics.average_precision_score),
    }

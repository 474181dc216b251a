"""The registry of metrics: direction, range, what each needs and its formula.

Selection and evaluation measure by this one list. A metric that is undefined is NaN, and NaN never passes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from infra.errors import SpecError, name_values
from tasks.metrics import formulas, set_formulas
from tasks.metrics.answers import Answers, Codes, Floats, Label
from tasks.metrics.label_sets import spread


@dataclass(frozen=True)
class Metric:
    """What a metric is.

    `uses` says whether it reads labels, scores (probabilities), a regression's values, sets of labels, or the probabilities of
    each label of a set (rankings); `loss` gives each row's loss
    (m,) where the metric is a function of their mean.
    """

    name: str
    direction: Literal["higher", "lower"]
    low: float
    high: float
    uses: Literal["labels", "scores", "values", "sets", "rankings"]
    formula: Callable[..., Floats]
    binary_only: bool = False
    loss: Callable[..., Floats] | None = None

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        return 1 if self.direction == "higher" else -1

    def row_losses(self, truth: Codes | Floats, answers: Any) -> Floats:
        """Return each row's loss (m,); zero where the metric is no function of a mean loss."""
        return np.zeros(len(truth)) if self.loss is None else self.loss(truth, answers)

    def measure(self, truth: Codes | Floats, answers: Answers, weights: Floats, k: int, positive: int) -> Floats:
        """Return one value a draw.

        Parameters
        ----------
        truth
            (m,) class codes, codes of label sets, or values for a regression.
        answers
            The model's answers on the same m rows.
        weights
            (draws, m), how often each row counts.
        k
            Number of classes, or of labels.
        positive
            Code of the positive class of a binary metric.
        """
        if self.uses == "labels":
            return self.formula(formulas.count_confusion(truth, answers.predicted, weights, k), positive)
        if self.uses == "scores":
            return self.formula(truth, answers.proba, weights, positive)
        if self.uses == "sets":
            return self.formula(
                spread(truth.astype(np.int64), k), spread(answers.predicted.astype(np.int64), k), weights
            )
        if self.uses == "rankings":
            return self.formula(spread(truth.astype(np.int64), k), answers.proba, weights)
        return self.formula(truth, answers.predicted, weights)

    def value(self, truth: Codes | Floats, answers: Answers, k: int, positive: int) -> float:
        """Return the metric on all rows; NaN where an answer is missing or it is undefined."""
        if self.uses in ("scores", "rankings") and answers.proba is None:
            raise SpecError(
                f"The metric {self.name} needs probabilities, and {answers.label} gives labels only.",
                remedy="Choose a metric of labels, or a candidate that has predict_proba.",
            )
        if answers.has_gaps() or len(truth) == 0:
            return float("nan")
        return float(self.measure(truth, answers, np.ones((1, len(truth))), k, positive)[0])


_INF = float("inf")
NONE_OF_ITS_OWN: Mapping[str, Metric] = MappingProxyType({})
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "higher", 0, 1, "labels", formulas.accuracy),
        Metric("balanced_accuracy", "higher", 0, 1, "labels", formulas.balanced_accuracy),
        Metric("precision", "higher", 0, 1, "labels", formulas.precision, binary_only=True),
        Metric("recall", "higher", 0, 1, "labels", formulas.recall, binary_only=True),
        Metric("f1", "higher", 0, 1, "labels", formulas.f1, binary_only=True),
        Metric("f1_macro", "higher", 0, 1, "labels", formulas.f1_macro),
        Metric("mcc", "higher", -1, 1, "labels", formulas.mcc),
        Metric("log_loss", "lower", 0, _INF, "scores", formulas.log_loss, loss=formulas.log_losses),
        Metric("brier", "lower", 0, 2, "scores", formulas.brier, loss=formulas.brier_losses),
        Metric("roc_auc", "higher", 0, 1, "scores", formulas.roc_auc),
        Metric("pr_auc", "higher", 0, 1, "scores", formulas.pr_auc),
        Metric("label_f1_micro", "higher", 0, 1, "sets", set_formulas.label_f1_micro),
        Metric("label_f1_macro", "higher", 0, 1, "sets", set_formulas.label_f1_macro),
        Metric("label_f1_samples", "higher", 0, 1, "sets", set_formulas.label_f1_samples),
        Metric("subset_accuracy", "higher", 0, 1, "sets", set_formulas.subset_accuracy),
        Metric("hamming_loss", "lower", 0, 1, "sets", set_formulas.hamming_loss),
        Metric("ranking_loss", "lower", 0, 1, "rankings", set_formulas.ranking_loss),
        Metric("ranking_precision", "higher", 0, 1, "rankings", set_formulas.ranking_precision),
        Metric("mae", "lower", 0, _INF, "values", formulas.mae, loss=formulas.absolute_errors),
        Metric("rmse", "lower", 0, _INF, "values", formulas.rmse, loss=formulas.squared_errors),
        Metric("r2", "higher", -_INF, 1, "values", formulas.r2, loss=formulas.squared_errors),
    )
}


def find_metric(
    name: str, k: int | None = None, where: str = "evaluation.metric", own: Mapping[str, Metric] = NONE_OF_ITS_OWN
) -> Metric:
    """Return the metric of this name.

    Parameters
    ----------
    k
        Number of classes, 0 for a regression; None: not known yet, only the name is checked.
    where
        The key of project.yaml, for the message.
    own
        The project's own metrics, from `tasks.metrics.own.load_own`.

    Raises
    ------
    SpecError
        If there is none, with the nearest name, or if it does not go with this number of classes.
    """
    known = {**METRICS, **own}
    if name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0.4)
        raise SpecError(
            f"{where}: {name!r} is no metric; expected one of {', '.join(known)}.",
            remedy=f"Did you mean {near[0]!r}?" if near else "",
        )
    metric = known[name]
    if k is not None and (metric.uses == "values") != (k == 0):
        kind = "a regression" if k == 0 else "a classification"
        raise SpecError(f"{where}: the metric {name!r} does not go with {kind}.", remedy=_fitting(k))
    if k is not None and metric.binary_only and k != 2:
        raise SpecError(f"{where}: the metric {name!r} is for 2 classes, received {k}.", remedy=_fitting(k))
    return metric


def _fitting(k: int) -> str:
    kinds = ("values",) if k == 0 else ("labels", "scores")
    names = [m.name for m in METRICS.values() if m.uses in kinds and not (m.binary_only and k != 2)]
    return f"Choose one of {', '.join(names)}."


def find_positive(wanted: Label | None, classes: Sequence[Label]) -> int:
    """Return the code of the class that a binary metric is about; -1 where there are not two classes.

    Parameters
    ----------
    wanted
        `evaluation.positive`; None for the last in sorted order. A category's class may be given as a number.

    Raises
    ------
    SpecError
        If it is none of the classes.
    """
    if len(classes) != 2:
        return -1
    if wanted is None:
        return classes.index(max(classes, key=lambda name: (str(type(name)), name)))
    if all(isinstance(name, str) for name in classes):
        wanted = str(wanted)  # the classes of a category are named by text: 1 is the class "1"
    if wanted not in classes or isinstance(wanted, bool) != isinstance(classes[0], bool):
        raise SpecError(
            f"evaluation.positive: expected one of {name_values(classes)}, received {wanted!r}.",
            remedy="Name the class that the scores are for, or leave the key out.",
        )
    return classes.index(wanted)

"""How much each feature matters to a model: what its primary metric loses when the feature's values are shuffled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tasks.contracts.project import ProjectSpec
from tasks.metrics.answers import Answers, Codes, Floats, Label
from tasks.metrics.label_sets import read_sets
from tasks.metrics.registry import NONE_OF_ITS_OWN, Metric, find_metric, find_positive
from tasks.models.inputs import read_target

ROWS = 2_000
"""Rows that are asked, drawn at random: enough to tell what matters from what does not."""


def measure_importance(
    model: Any, rows: pd.DataFrame, spec: ProjectSpec, seed: int = 0, own: Mapping[str, Metric] = NONE_OF_ITS_OWN
) -> dict[str, float]:
    """Return each feature's share of the importance, 0 to 1; they sum to 1, or are all 0 where nothing matters.

    The importance of feature j is the loss of the primary metric on rows whose values of j are permuted (Breiman 2001,
    Machine Learning 45:5-32, section 10; Fisher, Rudin & Dominici 2019, JMLR 20(177), model reliance as a difference);
    a feature whose permutation gains something counts 0. Features that say the same share what they are worth. Where the
    metric is undefined on the rows (one class or value alone, no row), nothing is returned: what is unknown is not unimportant.

    Parameters
    ----------
    rows
        Rows that the model was not trained on, with the features and the target; their order does not count.
    seed
        Of the rows that are asked, and of the permutations.
    own
        The project's own metrics by name.
    """
    reader = _Reader(model, spec)
    drawn = _draw_rows(rows[reader.is_known(rows)], spec, seed)
    if drawn.empty:
        return {}
    k = len(model.classes)
    metric = find_metric(spec.evaluation.metric, k, own=own)
    truth = reader.read_truth(drawn)
    positive = find_positive(spec.evaluation.positive, list(model.classes))
    features = drawn[list(spec.features)]
    random = np.random.default_rng(seed)

    def value(asked: pd.DataFrame) -> float:
        return metric.sign * metric.value(truth, reader.ask(asked), k, positive)

    whole = value(features)
    if not np.isfinite(whole):
        return {}
    losses = {name: max(0.0, whole - value(_shuffle(features, name, random))) for name in spec.features}
    total = sum(losses.values())
    return {name: loss / total if total > 0 else 0.0 for name, loss in losses.items()}


@dataclass(frozen=True)
class _Reader:
    """Truth and answers as metrics read them: codes of classes, or values."""

    model: Any
    spec: ProjectSpec

    @property
    def codes(self) -> dict[Label, int]:
        """Each class with its place; none of a regression."""
        return {name: code for code, name in enumerate(self.model.classes)}

    def is_known(self, rows: pd.DataFrame) -> "pd.Series[bool]":
        """Return which rows are of a class that the model knows; of a regression all."""
        target = pd.Series(read_target(rows, self.spec), index=rows.index)
        if self.spec.labels:
            return target.notna()
        return (target.map(self.codes) if self.codes else target).notna()

    def read_truth(self, rows: pd.DataFrame) -> Codes | Floats:
        """Return the truth of rows that are known."""
        target = pd.Series(read_target(rows, self.spec))
        if self.spec.labels:
            return np.asarray(target, dtype=np.int64)
        return (
            np.asarray(target.map(self.codes), dtype=np.int64) if self.codes else np.asarray(target, dtype=np.float64)
        )

    def ask(self, features: pd.DataFrame) -> Answers:
        """Return the model's answers."""
        predicted = pd.Series(self.model.predict(features))
        if not self.codes:
            return Answers("champion", self.spec.name, np.asarray(predicted, dtype=np.float64))
        if self.spec.labels:
            answered = read_sets(predicted, self.model.classes)
            return Answers("champion", self.spec.name, answered, self.model.predict_proba(features))
        codes = np.asarray(predicted.map(self.codes).fillna(-1), dtype=np.int64)
        return Answers("champion", self.spec.name, codes, self.model.predict_proba(features))


def _draw_rows(rows: pd.DataFrame, spec: ProjectSpec, seed: int) -> pd.DataFrame:
    """Return at most `ROWS` of the rows, the same ones in the same order in whatever order they came."""
    content = pd.util.hash_pandas_object(rows[[*spec.features, spec.target]], index=False).to_numpy()
    ordered = rows.iloc[np.argsort(content, kind="stable")]
    return ordered.sample(min(ROWS, len(rows)), random_state=seed).reset_index(drop=True)


def _shuffle(features: pd.DataFrame, name: str, random: np.random.Generator) -> pd.DataFrame:
    places: npt.NDArray[np.intp] = random.permutation(len(features))
    return features.assign(**{name: features[name].take(places).set_axis(features.index)})

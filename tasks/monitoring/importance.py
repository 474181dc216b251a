"""How much each feature matters to a model: what its primary metric loses when the feature's values are shuffled."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tasks.contracts.project import ProjectSpec
from tasks.metrics.answers import Answers
from tasks.metrics.registry import find_metric, find_positive
from tasks.models.inputs import read_target

ROWS = 2_000
"""Rows that are asked, drawn at random: enough to tell what matters from what does not."""


def measure_importance(model: Any, rows: pd.DataFrame, spec: ProjectSpec, seed: int = 0) -> dict[str, float]:
    """Return each feature's share of the importance, 0 to 1; they sum to 1, or are all 0 where nothing matters.

    The importance of feature j is the loss of the primary metric on rows whose values of j are permuted (Breiman 2001,
    Machine Learning 45:5-32, section 10; Fisher, Rudin & Dominici 2019, JMLR 20(177), model reliance as a difference);
    a feature whose permutation gains something counts 0. Features that say the same share what they are worth. Where the
    metric is undefined on the rows (one class alone, no row), nothing is returned: what is unknown is not unimportant.

    Parameters
    ----------
    rows
        Rows that the model was not trained on, with the features and the target; their order does not count.
    seed
        Of the rows that are asked, and of the permutations.
    """
    codes = {name: code for code, name in enumerate(model.classes)}
    classes = pd.Series(read_target(rows, spec), index=rows.index).map(codes)
    drawn = _draw_rows(rows[classes.notna()], spec, seed)
    if drawn.empty:
        return {}
    metric = find_metric(spec.evaluation.metric, len(codes))
    truth = pd.Series(read_target(drawn, spec)).map(codes).to_numpy(np.int64)
    positive = find_positive(spec.evaluation.positive, list(model.classes))
    features = drawn[list(spec.features)]
    random = np.random.default_rng(seed)

    def value(asked: pd.DataFrame) -> float:
        predicted = pd.Series(model.predict(asked)).map(codes).fillna(-1).to_numpy(np.int64)
        answers = Answers("champion", spec.name, predicted, model.predict_proba(asked))
        return metric.sign * metric.value(truth, answers, len(codes), positive)

    whole = value(features)
    if not np.isfinite(whole):
        return {}
    losses = {name: max(0.0, whole - value(_shuffle(features, name, random))) for name in spec.features}
    total = sum(losses.values())
    return {name: loss / total if total > 0 else 0.0 for name, loss in losses.items()}


def _draw_rows(rows: pd.DataFrame, spec: ProjectSpec, seed: int) -> pd.DataFrame:
    """Return at most `ROWS` of the rows, the same ones in the same order in whatever order they came."""
    content = pd.util.hash_pandas_object(rows[[*spec.features, spec.target]], index=False).to_numpy()
    ordered = rows.iloc[np.argsort(content, kind="stable")]
    return ordered.sample(min(ROWS, len(rows)), random_state=seed).reset_index(drop=True)


def _shuffle(features: pd.DataFrame, name: str, random: np.random.Generator) -> pd.DataFrame:
    places: npt.NDArray[np.intp] = random.permutation(len(features))
    return features.assign(**{name: features[name].take(places).set_axis(features.index)})

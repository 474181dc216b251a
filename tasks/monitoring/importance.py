"""How much each feature matters to a model: what its primary metric loses when the feature's values are shuffled."""

from typing import Any

import numpy as np
import pandas as pd

from tasks.contracts.project import ProjectSpec
from tasks.metrics.answers import Answers
from tasks.metrics.registry import find_metric, find_positive

ROWS = 2_000
"""Rows that are asked, drawn at random: enough to tell what matters from what does not."""


def measure_importance(model: Any, rows: pd.DataFrame, spec: ProjectSpec, seed: int = 0) -> dict[str, float]:
    """Return each feature's share of the importance, 0 to 1; they sum to 1, or are all 0 where nothing matters.

    The importance of feature j is the loss of the primary metric on rows whose values of j are permuted (Breiman 2001,
    Machine Learning 45:5-32, section 10; Fisher, Rudin & Dominici 2019, JMLR 20(177), model reliance as a difference);
    a feature whose permutation gains something counts 0. Features that say the same share what they are worth.

    Parameters
    ----------
    rows
        Rows that the model was not trained on, with the features and the target.
    """
    drawn = rows.sample(min(ROWS, len(rows)), random_state=seed).reset_index(drop=True)
    metric = find_metric(spec.evaluation.metric, len(model.classes))
    codes = {name: code for code, name in enumerate(model.classes)}
    truth = drawn[spec.target].map(codes).fillna(-1).to_numpy(np.int64)
    drawn, truth = drawn[truth >= 0], truth[truth >= 0]
    positive = find_positive(spec.evaluation.positive, list(model.classes))
    features = drawn[list(spec.features)].reset_index(drop=True)
    random = np.random.default_rng(seed)

    def value(asked: pd.DataFrame) -> float:
        predicted = pd.Series(model.predict(asked)).map(codes).fillna(-1).to_numpy(np.int64)
        answers = Answers("champion", spec.name, predicted, model.predict_proba(asked))
        return metric.sign * metric.value(truth, answers, len(codes), positive)

    whole = value(features)
    losses = {}
    for name in features:
        shuffled = features.assign(**{str(name): features[name].take(random.permutation(len(features))).to_numpy()})
        shuffled = shuffled.astype(features.dtypes.to_dict())
        losses[str(name)] = max(0.0, whole - value(shuffled))
    total = sum(losses.values())
    return {name: loss / total if total > 0 else 0.0 for name, loss in losses.items()}

"""A model's answers as rows that people keep: each names the version that made it."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from infra.errors import DataError, name_values
from tasks.contracts.project import ProjectSpec
from tasks.metrics.label_sets import read_sets, spread


def select_features(rows: pd.DataFrame, spec: ProjectSpec) -> pd.DataFrame:
    """Return the project's feature columns in the project's order.

    Raises
    ------
    DataError
        A feature column is missing, or there is no row.
    """
    missing = [name for name in spec.features if name not in rows.columns]
    if missing:
        raise DataError(
            f"{spec.name}: expected the columns {name_values(spec.features, 20)}; missing: {name_values(missing)}.",
            remedy=f"Received: {name_values(rows.columns, 20)}. Names count exactly.",
        )
    if rows.empty:
        raise DataError(f"{spec.name}: expected rows to answer, received none.", remedy="Is it the right file?")
    return rows[list(spec.features)]


def predict_rows(
    model: Any, rows: pd.DataFrame, features: pd.DataFrame, spec: ProjectSpec, version: str
) -> pd.DataFrame:
    """Return one answer a row: its id where there is one, the prediction, probabilities, and the version.

    Parameters
    ----------
    model
        A fitted model with `predict`, `predict_proba` and `classes`.
    rows
        What came in; its row id column is carried over.
    features
        The same rows as the model wants them.
    """
    answers = pd.DataFrame(index=range(len(rows)))
    if spec.row_id and spec.row_id in rows.columns:
        answers[spec.row_id] = rows[spec.row_id].to_numpy()
    given = answer_rows(model, features, spec.labels).set_axis(answers.index)
    return pd.concat([answers, given], axis=1).assign(version=version)


def answer_rows(model: Any, features: pd.DataFrame, labels: Sequence[str] = ()) -> pd.DataFrame:
    """Return what the model answers to each row: `prediction`, and `p_<class>` where it gives probabilities.

    Of a model of several labels a row (`labels`) also one column a label, with its name: whether it is among the prediction.
    """
    # What the gate judged: a model with a threshold of its own does not answer the most probable class.
    columns = {"prediction": model.predict(features)}
    if model.classes:
        scores = model.predict_proba(features)
        columns |= {f"p_{name}": scores[:, place] for place, name in enumerate(model.classes)}
    if labels:
        has = spread(read_sets(columns["prediction"], labels), len(labels))
        columns |= {name: has[:, place] for place, name in enumerate(labels)}
    return pd.DataFrame(columns)

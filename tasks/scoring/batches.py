"""The predictions of a window: one a row, each with its id, its time and the version that made it."""

import logging
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tasks.contracts.project import ProjectSpec
from tasks.maturity import ROW_ID, TIME, name_rows
from tasks.scoring.predicting import answer_rows

logger = logging.getLogger(__name__)

BLOCK_ROWS = 1 << 17


def predict_batch(model: Any, accepted: pd.DataFrame, spec: ProjectSpec, version: str) -> pd.DataFrame:
    """Return one prediction a row, in the order of the rows: row_id (text), time, prediction, p_<class> …, version.

    Parameters
    ----------
    model
        A fitted model with `predict`, `predict_proba` and `classes`.
    accepted
        Rows in declared types: row id, time and features. No row gives no prediction.
    version
        The label of the model, e.g. flights@3.
    """
    if spec.row_id is None or spec.time is None:
        raise ValueError("a batch needs the project's row_id and time")
    features = list(spec.features)
    blocks = []
    for start in range(0, len(accepted), BLOCK_ROWS):
        block = accepted[features].iloc[start : start + BLOCK_ROWS].reset_index(drop=True)
        blocks.append(answer_rows(model, block, spec.labels))
        if len(accepted) > BLOCK_ROWS:
            logger.info("%d of %d rows answered", min(start + BLOCK_ROWS, len(accepted)), len(accepted))
    answers = pd.concat(blocks, ignore_index=True) if blocks else _no_answers(model, spec.labels)
    answers.insert(0, ROW_ID, name_rows(accepted[spec.row_id]).to_numpy(dtype=object) if blocks else [])
    answers.insert(1, TIME, accepted[spec.time].to_numpy() if blocks else [])
    types: dict[str, Any] = {ROW_ID: "str", "version": "str"}
    answers[TIME] = pd.to_datetime(answers[TIME], utc=True).dt.as_unit("us")
    return answers.assign(version=version).astype(types)


def _no_answers(model: Any, labels: Sequence[str]) -> pd.DataFrame:
    """Return the answers to no question: estimators differ in what they make of that."""
    kinds = {type(name) for name in model.classes}
    known = {frozenset({bool}): "bool", frozenset({int}): "int64", frozenset(): "float64"}
    kind = known.get(frozenset(kinds), "str")
    columns = {"prediction": pd.Series([], dtype=kind)}
    columns |= {f"p_{name}": pd.Series([], dtype="float64") for name in model.classes}
    columns |= {name: pd.Series([], dtype="bool") for name in labels}
    return pd.DataFrame(columns)

"""Answers of several models on the same rows, as columns of one table."""

from typing import Any

import pandas as pd
from pandas.util import hash_pandas_object

from tasks.contracts.project import ProjectSpec
from tasks.models.inputs import read_target


def seen_by_champion(test: pd.DataFrame, trained_on: pd.DataFrame, spec: ProjectSpec) -> pd.Series:
    """Return for each test row whether it was among the champion's training rows.

    Rows are recognised by the row id where the project has one, else by all that they hold.

    Parameters
    ----------
    test, trained_on
        Rows with the project's columns.
    """
    columns = [spec.row_id] if spec.row_id else sorted(set(test.columns) & set(trained_on.columns))
    known = hash_pandas_object(trained_on[columns], index=False)
    return hash_pandas_object(test[columns], index=False).isin(known)


def frame_answers(test: pd.DataFrame, spec: ProjectSpec) -> pd.DataFrame:
    """Return the table that models' answers are put beside: row position, truth, slice and group columns."""
    truth = test[spec.target].to_numpy() if spec.labels else read_target(test, spec)
    table = pd.DataFrame({"row": range(len(test)), "truth": truth})
    group = {spec.evaluation.group} if spec.evaluation.group else set[str]()
    beside = {part.column for part in spec.gate.slices} | group
    for column in sorted(beside):
        table[f"column:{column}"] = test[column].to_numpy()
    return table


def add_answers(table: pd.DataFrame, prefix: str, model: Any, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the table with one model's predictions, and its probabilities where it gives some."""
    columns = {f"{prefix}:predicted": model.predict(rows)}
    if model.classes:
        scores = model.predict_proba(rows)
        columns |= {f"{prefix}:p:{name}": scores[:, place] for place, name in enumerate(model.classes)}
    return pd.concat([table, pd.DataFrame(columns, index=table.index)], axis=1)

"""Labels held against the contract as they arrive: ids and classes readable, one truth a row."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from infra.errors import DataError, InsufficientData, name_values
from tasks.contracts.project import ProjectSpec
from tasks.maturity import ROW_ID, TRUTH, name_rows
from tasks.models.inputs import read_target
from tasks.models.label_columns import with_sets
from tasks.validation.conforming import Mask, conform_types, settle_types
from tasks.validation.rules import compile_contract

SHOWN_ROWS = 5


@dataclass(frozen=True)
class CheckedLabels:
    """Labels that can be kept. rows in = rows of `labels` + `without_truth` + `repeated`.

    `labels` has the columns `row_id` (text, each once, sorted) and `truth` (the class in the target's own type, or the value).
    """

    labels: pd.DataFrame
    without_truth: int
    repeated: int


def check_labels(raw_labels: pd.DataFrame, spec: ProjectSpec) -> CheckedLabels:
    """Return the labels of a delivery, each row once.

    A row without a truth says nothing yet and is counted; a row that says the same again is counted too.

    Parameters
    ----------
    raw_labels
        With the project's row id and its target; further columns are left out.

    Raises
    ------
    DataError
        A column is missing, an id is missing, a class is none of the contract's, or two rows contradict each other: with
        the numbers of the rows, the first row of the data being 1.
    InsufficientData
        There is no row.
    """
    if spec.row_id is None:
        raise DataError(f"{spec.name}: has no `row_id` to join labels by.", remedy="Declare it in project.yaml.")
    _require_columns(raw_labels, spec, spec.row_id)
    _refuse_no_truths(raw_labels, spec)
    rows = with_sets(raw_labels, spec)[[spec.row_id, spec.target]].reset_index(drop=True)
    declared = {name: spec.columns[name] for name in (spec.row_id, spec.target)}
    conformed = conform_types(rows, declared)
    ids, truth = conformed[spec.row_id], conformed[spec.target]
    _refuse(rows, ids.values.isna().to_numpy(dtype=bool) | ids.unreadable, spec.row_id, "an id of this type", spec)
    given = ~rows[spec.target].isna().to_numpy(dtype=bool)
    narrowed = spec.model_copy(update={"columns": declared, "row_id": None})
    for rule in compile_contract(narrowed, rows, conformed).rules:
        if rule.column == spec.target and rule.breaks is not None and not rule.reason.endswith(": missing"):
            _refuse(rows, rule.breaks() & given, spec.target, rule.expected, spec)
    kept = settle_types(pd.DataFrame({ROW_ID: name_rows(ids.values), spec.target: truth.values})[given])
    labels = pd.DataFrame({ROW_ID: kept[ROW_ID], TRUTH: _as_answered(kept, spec)}, index=kept.index)
    once = labels.drop_duplicates()
    _refuse_contradictions(once, spec)
    return CheckedLabels(
        labels=once.sort_values(ROW_ID, ignore_index=True),
        without_truth=int((~given).sum()),
        repeated=len(labels) - len(once),
    )


def nothing_yet() -> CheckedLabels:
    """Return a delivery of no label."""
    empty = pd.Series([], dtype="str")
    return CheckedLabels(labels=pd.DataFrame({ROW_ID: empty, TRUTH: empty}), without_truth=0, repeated=0)


def _require_columns(raw_labels: pd.DataFrame, spec: ProjectSpec, row_id: str) -> None:
    missing = [name for name in (row_id, *spec.target_columns) if name not in raw_labels.columns]
    if missing:
        raise DataError(
            f"{spec.name}: labels have the columns {row_id!r} and {' and '.join(map(repr, spec.target_columns))}; missing: "
            f"{name_values(missing)}.",
            remedy=f"Received: {name_values(raw_labels.columns, 20)}. Names count exactly.",
        )
    if raw_labels.empty:
        raise InsufficientData(f"{spec.name}: expected labels, received no row.", remedy="Is it the right file?")


def _refuse_no_truths(raw_labels: pd.DataFrame, spec: ProjectSpec) -> None:
    """Refuse cells of labels that say neither yes nor no; a missing one says nothing yet."""
    rows = raw_labels.reset_index(drop=True)
    declared = {name: spec.columns[name] for name in spec.labels}
    for name, part in conform_types(rows, declared).items():
        _refuse(rows, part.unreadable, name, "true or false", spec)


def _refuse(rows: pd.DataFrame, wrong: Mask, name: str, expected: str, spec: ProjectSpec) -> None:
    if not wrong.any():
        return
    places = np.flatnonzero(wrong) + 1
    quotable = spec.columns[name].is_quotable
    cells = rows[name][wrong].astype(object)
    shown = f": {name_values(list(dict.fromkeys(map(_plain, cells))))}" if quotable else ""
    raise DataError(
        f"{spec.name}: {name}: expected {expected}; {len(places):,} of {len(rows):,} labels are not, "
        f"{_name_places(places.tolist())}{shown}.",
        remedy="Mend these rows: nothing of this delivery was kept.",
    )


def _plain(cell: Any) -> Any:
    return cell.item() if isinstance(cell, np.generic) else None if cell is pd.NA else cell


def _refuse_contradictions(once: pd.DataFrame, spec: ProjectSpec) -> None:
    twice = once[once[ROW_ID].duplicated(keep=False)]
    if twice.empty:
        return
    places = [place + 1 for place in twice.index]
    ids = twice[ROW_ID].nunique()
    raise DataError(
        f"{spec.name}: expected one truth a row; {ids:,} ids have two or more in this delivery, {_name_places(places)}.",
        remedy="A correction comes as a later delivery. Nothing of this one was kept.",
    )


def _name_places(places: list[int]) -> str:
    shown = ", ".join(map(str, places[:SHOWN_ROWS]))
    rest = len(places) - SHOWN_ROWS
    return f"row{'s' if len(places) > 1 else ''} {shown}" + (f" and {rest:,} more" if rest > 0 else "")


def _as_answered(kept: pd.DataFrame, spec: ProjectSpec) -> "pd.Series[Any]":
    """Return the classes, or the values, as models answer them, in a type that can also be missing."""
    if spec.labels:
        return kept[spec.target].astype("str")
    target = read_target(kept, spec)
    if spec.is_regression:
        return pd.Series(target, index=kept.index)
    dtype: Any = {"boolean": "boolean", "integer": "Int64"}.get(spec.columns[spec.target].type, "str")
    return pd.Series(target, index=kept.index).astype(dtype)

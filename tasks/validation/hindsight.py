"""Features that know more now than when their row was scored: the same rows, read as training sees them and as scoring did.

Makes no assumption about what a leak looks like: a value that was not there then, or was another one, came later.
Whether a feature is too good to be true is left to `leaks`.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from infra.errors import name_values
from tasks.contracts.columns import Column
from tasks.contracts.project import ProjectSpec
from tasks.validation.conforming import Mask, conform_types

TOLERATED_SHARE = 0.001
"""Sources mend a few values afterwards; a feature that is made of the future differs in far more rows."""

SAME = 1e-9
"""Relative difference up to which two numbers are one: the last digits of a sum depend on its order."""


class Hindsight(NamedTuple):
    """What was found: `leaks` name a column each, with the reason; `warnings` say what could not be told."""

    leaks: list[str]
    warnings: list[str]


def find_hindsight(raw_rows: pd.DataFrame, raw_as_scored: pd.DataFrame, spec: ProjectSpec) -> Hindsight:
    """Return one sentence for each feature that rows did not have, or had with another value, when they were scored.

    Rows are joined by `row_id`. A feature leaks where it is not among the columns of the scored rows, or where more
    than one row in 1,000 has another value (missing and present are different, two missing values are the same).
    A person may say `known: before` of a column whose values are honestly mended later; one that is absent when rows
    are scored cannot be used whatever anybody says.

    Parameters
    ----------
    raw_rows
        Rows as training sees them.
    raw_as_scored
        Some of them as `monitoring.rows` gives them.
    spec
        The project, with `row_id`.
    """
    row_id = spec.row_id
    if row_id is None or row_id not in raw_rows or row_id not in raw_as_scored or raw_as_scored.empty:
        return Hindsight([], [])
    there = {name: column for name, column in spec.features.items() if name in raw_rows}
    leaks = [_say_absent(name) for name in there if name not in raw_as_scored]
    now_at, then_at = _match(_ids(raw_rows, row_id, spec), _ids(raw_as_scored, row_id, spec))
    if not len(now_at):
        said = f"None of the {len(raw_as_scored)} rows of monitoring.rows is among those that train, by {row_id!r}"
        return Hindsight(leaks, [f"{said}: whether features come from the future could not be looked at."])
    compared = {name: column for name, column in there.items() if name in raw_as_scored and column.known != "before"}
    ids = raw_rows[row_id].iloc[now_at].reset_index(drop=True)
    different = _compare(raw_rows.iloc[now_at], raw_as_scored.iloc[then_at], compared)
    found = {name: rows for name, rows in different.items() if rows.mean() > TOLERATED_SHARE}
    return Hindsight([*leaks, *(_say_changed(name, ids, rows) for name, rows in found.items())], [])


def _ids(raw: pd.DataFrame, row_id: str, spec: ProjectSpec) -> "pd.Series[Any]":
    return conform_types(raw, {row_id: spec.columns[row_id]})[row_id].values


def _match(now: "pd.Series[Any]", then: "pd.Series[Any]") -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the positions of the same rows in both; ids that are missing or not unique name none."""
    known = pd.Series(np.arange(len(now)), index=now)[~now.duplicated(keep=False).to_numpy() & now.notna().to_numpy()]
    asked = then[~then.duplicated(keep=False) & then.notna()]
    at = known.reindex(asked.to_numpy())
    both = at.notna().to_numpy()
    return at[both].to_numpy(dtype=np.intp), asked.index.to_numpy(dtype=np.intp)[both]


def _compare(raw_now: pd.DataFrame, raw_then: pd.DataFrame, columns: dict[str, Column]) -> dict[str, Mask]:
    now, then = conform_types(raw_now, columns), conform_types(raw_then, columns)
    return {name: ~_are_same(now[name].values, then[name].values) for name in columns}


def _are_same(now: "pd.Series[Any]", then: "pd.Series[Any]") -> Mask:
    both_missing = now.isna().to_numpy(dtype=bool) & then.isna().to_numpy(dtype=bool)
    if pd.api.types.is_float_dtype(now.dtype) and pd.api.types.is_float_dtype(then.dtype):
        same = np.isclose(now.to_numpy(dtype=float), then.to_numpy(dtype=float), rtol=SAME, atol=0)
    else:
        same = (now.astype(object) == then.astype(object)).to_numpy(dtype=bool, na_value=False)
    return np.asarray(both_missing | same, dtype=bool)


def _say_absent(name: str) -> str:
    return f"Column {name!r} is not there when rows are scored: monitoring.rows does not give it."


def _say_changed(name: str, ids: "pd.Series[Any]", rows: Mask) -> str:
    return (
        f"Column {name!r} has another value now than when the row was scored, in {int(rows.sum())} of {len(rows)} rows: "
        f"{name_values(ids[rows].head(3).tolist())}."
    )

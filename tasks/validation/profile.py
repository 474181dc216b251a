"""What each column holds, in a few figures, for the page; never a value of a text column."""

from typing import NamedTuple

import pandas as pd

from tasks.contracts.columns import ColumnType
from tasks.contracts.project import ProjectSpec

TOP_VALUES = 5
SHOWN_LETTERS = 40


class ColumnProfile(NamedTuple):
    """One line of the page's table of columns; distinct values of a number say little and cost most, so they are not counted."""

    name: str
    type: ColumnType
    unit: str
    meaning: str
    role: str
    missing: int
    distinct: int | None
    summary: str


def profile_columns(frame: pd.DataFrame, spec: ProjectSpec) -> list[ColumnProfile]:
    """Return one profile a column, in declared order.

    Parameters
    ----------
    frame
        Accepted rows, conformed; may lack columns.
    spec
        The project.
    """
    return [_profile(name, frame[name], spec) for name in spec.columns if name in frame]


def _profile(name: str, column: pd.Series, spec: ProjectSpec) -> ColumnProfile:
    declared = spec.columns[name]
    roles = {spec.target: "target", spec.row_id: "row id", spec.time: "time"}
    return ColumnProfile(
        name=name,
        type=declared.type,
        unit=declared.unit,
        meaning=declared.meaning,
        role=roles.get(name, "feature" if name in spec.features else "kept"),
        missing=int(column.isna().sum()),
        distinct=None if declared.type == "number" else int(column.nunique()),
        summary=_summarise(column.dropna(), declared.type),
    )


def _summarise(present: pd.Series, kind: ColumnType) -> str:
    if present.empty:
        return "no value"
    if kind == "text":
        lengths = present.str.len()
        return f"{lengths.min():,} to {lengths.max():,} characters, median {lengths.median():,.0f}"
    if kind == "image":
        sizes = present.map(len)
        return f"{sizes.min() / 1e3:,.1f} to {sizes.max() / 1e3:,.1f} kB, median {sizes.median() / 1e3:,.1f}"
    if kind == "datetime":
        return f"{present.min():%Y-%m-%d %H:%M} to {present.max():%Y-%m-%d %H:%M} UTC"
    if kind in ("number", "integer"):
        return f"{present.min():.6g} to {present.max():.6g}, median {present.median():.6g}"
    counts = present.value_counts()
    top = [f"{str(value)[:SHOWN_LETTERS]} ({count:,})" for value, count in counts.head(TOP_VALUES).items()]
    rest = len(counts) - TOP_VALUES
    return ", ".join(top) + (f" and {rest:,} more" if rest > 0 else "")

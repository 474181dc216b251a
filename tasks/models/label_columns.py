"""The target of a multi-label project, made of its columns: which labels each row has."""

from typing import Any

import numpy as np
import pandas as pd

from tasks.contracts.project import ProjectSpec
from tasks.metrics.label_sets import gather_bits, read_sets, spread, write_sets
from tasks.models.model import Array

TRUTHS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def with_sets(frame: pd.DataFrame, spec: ProjectSpec) -> pd.DataFrame:
    """Return the rows with the set of labels as the target; as they are where the project has one label a row.

    A set is missing where one of its labels is missing or no truth value: what is not known of one is not known of the set.
    Rows that lack a column of a label come back without the target.
    """
    if not spec.labels or any(name not in frame.columns for name in spec.labels):
        return frame
    columns = [_read_truths(frame[name]) for name in spec.labels]
    known = np.column_stack([column.notna() for column in columns]).all(axis=1)
    bits = np.column_stack([column.eq(True).fillna(False).to_numpy(dtype=bool) for column in columns])
    written = pd.Series(write_sets(gather_bits(bits), spec.labels), index=frame.index, dtype="str")
    return frame.assign(**{spec.target: written.where(pd.Series(known, index=frame.index))})


def _read_truths(column: "pd.Series[Any]") -> "pd.Series[Any]":
    return column.astype(object).map(lambda cell: TRUTHS.get(str(cell).strip().lower())).astype("boolean")


def spread_sets(written: "pd.Series[Any] | Array", spec: ProjectSpec) -> pd.DataFrame:
    """Return sets as `with_sets` wrote them as one column of yes and no for each label."""
    bits = spread(read_sets(written, spec.labels), len(spec.labels))
    return pd.DataFrame(bits, columns=list(spec.labels))

"""Rows that ask for an answer: brought to the types that the model was trained on, or refused."""

import numpy as np
import pandas as pd

from infra.errors import DataError, name_values
from tasks.contracts.project import ProjectSpec
from tasks.validation.conforming import Conformed, Mask, conform_types, settle_types


def conform_features(raw_features: pd.DataFrame, spec: ProjectSpec) -> pd.DataFrame:
    """Return the features in their declared types.

    Ranges and allowed values are monitoring's matter: an unusual row still gets its answer.

    Parameters
    ----------
    raw_features
        The feature columns as received; not changed.

    Raises
    ------
    DataError
        Cells that cannot be read as their column's type, or are infinite.
    """
    conformed = conform_types(raw_features, spec.features)
    _refuse({name: column.unreadable for name, column in conformed.items()}, "are not", raw_features, spec)
    _refuse({name: _infinite(column) for name, column in conformed.items()}, "are infinite", raw_features, spec)
    return settle_types(pd.DataFrame({name: column.values for name, column in conformed.items()}))


def _infinite(column: Conformed) -> Mask:
    if not pd.api.types.is_float_dtype(column.values.dtype):
        return np.zeros(len(column.values), dtype=bool)
    return np.asarray(np.isinf(column.values.to_numpy(dtype=float)), dtype=bool)


def _refuse(wrong: dict[str, Mask], how: str, raw_features: pd.DataFrame, spec: ProjectSpec) -> None:
    counts = {name: int(cells.sum()) for name, cells in wrong.items() if cells.any()}
    if not counts:
        return
    name, count = next(iter(counts.items()))
    kind = spec.features[name].type
    distinct = {repr(cell): cell for cell in raw_features[name][wrong[name]]}
    # What people wrote is theirs: a text is counted, never shown.
    shown = "" if not spec.features[name].is_quotable else f": {name_values(distinct.values())}"
    expected = f"finite {kind} values" if how == "are infinite" else f"{kind} values"
    raise DataError(
        f"{name}: expected {expected}; {count} of {len(raw_features)} cells {how}{shown}.",
        remedy=f"Columns with such cells: {name_values(counts)}. Mend them or leave them empty.",
    )

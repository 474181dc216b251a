"""Rows that ask for an answer: brought to the types that the model was trained on, or refused."""

import pandas as pd

from infra.errors import DataError, name_values
from tasks.contracts.project import ProjectSpec
from tasks.validation.conforming import conform_types, settle_types


def conform_features(raw_features: pd.DataFrame, spec: ProjectSpec) -> pd.DataFrame:
    """Return the features in their declared types.

    Ranges and allowed values are monitoring's matter: an unusual row still gets its answer.

    Raises
    ------
    DataError
        Cells that cannot be read as their column's type.
    """
    conformed = conform_types(raw_features, spec.features)
    unreadable = {name: int(column.unreadable.sum()) for name, column in conformed.items() if column.unreadable.any()}
    if unreadable:
        name, count = next(iter(unreadable.items()))
        cells = raw_features[name][conformed[name].unreadable]
        raise DataError(
            f"{name}: expected {spec.features[name].type} values; {count} cells are not: {name_values(cells.unique())}.",
            remedy=f"Columns with such cells: {name_values(unreadable)}. Mend them or leave them empty.",
        )
    return settle_types(pd.DataFrame({name: column.values for name, column in conformed.items()}))

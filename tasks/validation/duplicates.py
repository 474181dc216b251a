"""Rows that occur twice, rows that contradict each other, and columns that say nothing: reported, nothing stops."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from infra.errors import name_values
from tasks.contracts.project import ProjectSpec

RARE_CLASS_ROWS = 5


def find_duplicates(frame: pd.DataFrame, spec: ProjectSpec) -> list[str]:
    """Return sentences on repeated and on contradicting rows.

    The row id does not count. Rows are compared by a 64-bit hash of their content: among a million different rows a
    chance equality has a probability of 3e-8.

    Parameters
    ----------
    frame
        Accepted rows, conformed.
    spec
        The project.
    """
    features = _hash_rows(frame, list(spec.features))
    content = [name for name in frame.columns if name != spec.row_id]
    repeated = int(pd.Series(_hash_rows(frame, content)).duplicated().sum())
    found = []
    if repeated:
        found.append(
            f"{repeated} of {len(frame)} rows repeat an earlier row exactly; on both sides of a split they leak."
        )
    # Values scatter about what the features say of them; classes that do cannot all be answered rightly.
    contradicting = 0 if spec.is_regression else _count_contradictions(features, frame[spec.target])
    if contradicting:
        found.append(
            f"{contradicting} of {len(frame)} rows have the same features as another row with another "
            f"{spec.target!r}: no model can be right on all of them."
        )
    return found


def count_different(frame: pd.DataFrame, spec: ProjectSpec, enough: int) -> int:
    """Return how many different rows there are, by features and target; at most `enough` is looked for.

    A table cannot have fewer different rows than its richest column has values, which mostly settles it.
    """
    content = [*spec.features, spec.target]
    if any(len(pd.unique(frame[name].head(10 * enough))) >= enough for name in content):
        return enough
    return min(enough, len(np.unique(_hash_rows(frame, content))))


def find_constants(frame: pd.DataFrame, spec: ProjectSpec) -> list[str]:
    """Return the features that have at most one value; missing is a value beside others."""
    return [name for name in spec.features if is_constant(frame[name])]


def is_constant(column: pd.Series) -> bool:
    """Say whether at most one value occurs, a missing one counted."""
    return len(column) == 0 or len(pd.unique(column.head(1000))) <= 1 >= column.nunique(dropna=False)


def find_rare_classes(frame: pd.DataFrame, spec: ProjectSpec) -> list[str]:
    """Return a sentence on classes of the target with fewer than five rows; numbers have no classes."""
    if spec.is_regression or spec.columns[spec.target].type in ("number", "datetime", "text"):
        return []
    if spec.labels:
        few = [f"{name} ({count})" for name in spec.labels if (count := int(frame[name].sum())) < RARE_CLASS_ROWS]
        return [f"Labels that fewer than {RARE_CLASS_ROWS} rows have: {name_values(few)}."] if few else []
    counts = frame[spec.target].value_counts()
    if spec.columns[spec.target].type == "integer" and len(counts) > len(frame) // RARE_CLASS_ROWS:
        return []
    rare = sorted(f"{name} ({count})" for name, count in counts[counts < RARE_CLASS_ROWS].items())
    return [f"Classes with fewer than {RARE_CLASS_ROWS} rows: {name_values(rare)}."] if rare else []


def _count_contradictions(features: npt.NDArray[np.uint64], target: pd.Series) -> int:
    codes, _ = pd.factorize(target)
    table = pd.DataFrame({"features": features, "target": codes})
    again = table[table["features"].duplicated(keep=False)]
    differing = again.drop_duplicates()["features"]
    return int(again["features"].isin(differing[differing.duplicated()]).sum())


def _hash_rows(frame: pd.DataFrame, columns: list[str]) -> npt.NDArray[np.uint64]:
    """Combine the columns' hashes one by one (multiply and add, as in pandas' tuple hash), without a copy of the frame."""
    rows = np.full(len(frame), 0x345678, dtype=np.uint64)
    for name in columns:
        hashed = pd.util.hash_array(_hashable(frame[name]), categorize=True)
        rows = (rows ^ hashed) * np.uint64(1_000_003)
    return rows


def _hashable(column: pd.Series) -> npt.NDArray[np.generic]:
    """Numbers by value, with one NaN and one zero; everything else by its code of first occurrence."""
    if column.dtype == np.float64:
        return column.to_numpy(copy=True) + 0.0
    return pd.factorize(column, use_na_sentinel=False)[0]

"""Stretches between rows that are in order: how many rows lie before a gap, and which within a window."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from infra.errors import SpecError
from tasks.contracts.values import Span

Values = npt.NDArray[Any]

MINUTES = {"min": 1, "h": 60, "d": 24 * 60, "w": 7 * 24 * 60}
"""In each unit of time that project.yaml knows."""


def stop_before(ordered: Values, start: int, gap: Span | None, column: str | None) -> int:
    """Return how many of the ordered rows lie before the gap that ends where the row at `start` begins.

    Parameters
    ----------
    ordered
        Value of each row, ascending, shape (n,).
    start
        Place of the first row that judges, 1 to n - 1.
    gap
        Rows, or a length of time; None: no gap.
    column
        Where the values come from, for the message.

    Raises
    ------
    SpecError
        A length of time where the values are no times.
    """
    if gap is None or isinstance(gap, int):
        return max(start - (gap or 0), 0)
    latest = ordered[start] - read_length(gap, ordered, column, "split.gap")
    return min(int(np.searchsorted(ordered, latest, side="right")), start)


def begin_within(ordered: Values, stop: int, window: Span | None, column: str | None) -> int:
    """Return the place of the first row within the window that ends with the row before `stop`. Parameters and errors as above."""
    if window is None or stop == 0:
        return 0
    if isinstance(window, int):
        return max(stop - window, 0)
    oldest = ordered[stop - 1] - read_length(window, ordered, column, "selection.window")
    return int(np.searchsorted(ordered, oldest, side="right"))


def read_length(span: str, ordered: Values, column: str | None, key: str) -> np.timedelta64:
    """Return a length of time such as `12h`; SpecError where the rows are not ordered by times."""
    if not np.issubdtype(ordered.dtype, np.datetime64):
        raise SpecError(
            f"{key}: expected times in {column!r} to measure {span} by, received {ordered.dtype}.",
            remedy=f"Split by a column of type datetime, or give `{key.rpartition('.')[2]}` as a number of rows.",
        )
    number, unit = re.findall(r"\d+|[a-z]+", span)
    return np.timedelta64(int(number) * MINUTES[unit], "m")

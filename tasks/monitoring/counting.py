"""Counts of one column of one batch of rows: numbers in bins, values by label, times by part. Missing is told apart."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infra.errors import DataError
from tasks.images import find_readable, measure_images
from tasks.monitoring.watched import Measure

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)

BINS = 100
"""A continuous number has a hundredth of the reference in each bin: what happens inside one moves the distance
between two distribution functions by less than 0.01, a fifth of the smallest change that counts."""

MISSING = -1
PARTS: Mapping[str, tuple[str, ...]] = {
    "hour": tuple(str(hour) for hour in range(24)),
    "weekday": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "month": tuple(str(month) for month in range(1, 13)),
}


class Counted(NamedTuple):
    """How often each code occurs, shape (codes,); how many values are missing; how many are infinite."""

    counts: Codes
    missing: int
    infinite: int

    def __add__(self, other: object) -> "Counted":
        if not isinstance(other, Counted):
            return NotImplemented
        return Counted(self.counts + other.counts, self.missing + other.missing, self.infinite + other.infinite)


def read_numbers(column: pa.Array) -> Floats:
    """Return the column as float64, missing as NaN."""
    if not (pa.types.is_floating(column.type) and column.null_count == 0):
        try:
            column = column.cast(pa.float64(), safe=False)
        except pa.ArrowException as error:
            raise DataError(f"Expected numbers, received {column.type}.", remedy="Validate the rows first.") from error
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def unfold_images(rows: Rows, measures: Sequence[Measure]) -> Rows:
    """Return the rows with a column for each measure of a picture, under the measure's name; each is decoded once.

    Raises
    ------
    DataError
        The column holds no pictures.
    """
    wanted = [each for each in measures if each.type == "image"]
    for name in dict.fromkeys(each.column for each in wanted):
        cells = rows.column(name).to_pylist()
        if not find_readable([cell for cell in cells if cell is not None]).all():
            raise DataError(f"{name}: expected pictures (PNG or JPEG).", remedy="Validate the rows first.")
        for each, values in zip((one for one in wanted if one.column == name), measure_images(cells).T, strict=True):
            rows = rows.append_column(each.name, pa.array(np.ascontiguousarray(values)))
    return rows


def make_edges(values: Floats) -> Floats:
    """Return where the bins of a number begin, ascending: quantiles of these values, each repeated value by itself.

    Bin 0 lies below the least value, the last one above the greatest, so that both tails beyond what was seen have a
    bin of their own. Infinite values fall into them; NaN is left out before. Up to `BINS` distinct values have a bin
    each, and so has what lies between them.

    Parameters
    ----------
    values
        Shape (n,); may hold NaN and infinities, which are not looked at.
    """
    finite = np.sort(values[np.isfinite(values)])
    if not len(finite):
        return np.zeros(0)
    distinct = np.unique(finite)
    if len(distinct) <= BINS:
        return np.unique(np.append(distinct, np.nextafter(distinct, np.inf)))
    places = np.linspace(0, len(finite) - 1, BINS + 1).round().astype(int)
    quantiles = finite[places]
    heavy = np.unique(quantiles[1:][quantiles[1:] == quantiles[:-1]])
    after = np.nextafter(np.append(heavy, finite[-1]), np.inf)
    return np.unique(np.concatenate([quantiles, after]))


def count_numbers(values: Floats, edges: Floats) -> Counted:
    """Return how many values lie in each of the `len(edges) + 1` bins.

    The values are sorted and the edges looked up among them: a fifth of the time of looking up each value.
    """
    ordered = np.sort(values)  # NaN last
    present = int(np.searchsorted(ordered, np.nan, side="left"))
    below = np.searchsorted(ordered[:present], edges, side="left")
    counts = np.diff(np.concatenate([[0], below, [present]]))
    infinite = int(np.searchsorted(ordered[:present], -np.inf, side="right"))
    infinite += present - int(np.searchsorted(ordered[:present], np.inf, side="left"))
    return Counted(counts, len(values) - present, infinite)


def code_numbers(values: Floats, edges: Floats) -> Codes:
    """Return the bin of each value, MISSING for NaN."""
    codes = np.searchsorted(edges, values, side="right").astype(np.int64)
    codes[np.isnan(values)] = MISSING
    return codes


def read_labels(column: pa.Array, measure: Measure) -> tuple[list[str], Codes]:
    """Return the distinct labels of the column and the place of each row's among them, MISSING where there is none.

    Labels are text: 1, 1.0 and "1" are one, as the models read categories.
    """
    if measure.part:
        return list(PARTS[measure.part]), _read_part(column, measure)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    raw = [_label(value) for value in column.dictionary.to_pylist()]
    labels = list(dict.fromkeys(label for label in raw if label is not None))
    place = {label: at for at, label in enumerate(labels)}
    renumber = np.array([MISSING if label is None else place[label] for label in raw] + [MISSING], dtype=np.int64)
    codes = pc.fill_null(column.indices.cast(pa.int64()), len(raw)).to_numpy(zero_copy_only=False)
    return labels, renumber[codes]


def code_labels(labels: Sequence[str], codes: Codes, values: Sequence[str]) -> Codes:
    """Return the place of each row's label in `values`, `len(values)` for any other, MISSING where there is none."""
    place = {value: at for at, value in enumerate(values)}
    renumber = np.array([place.get(label, len(values)) for label in labels] + [MISSING], dtype=np.int64)
    return renumber[codes]


def count_codes(codes: Codes, size: int) -> Counted:
    """Return how often each of `size` codes occurs."""
    counts = np.bincount(codes + 1, minlength=size + 1)
    return Counted(counts[1:].astype(np.int64), int(counts[0]), 0)


def _label(value: Any) -> str | None:
    if value is None or value != value:  # noqa: PLR0124 - NaN is the value that is not itself
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def read_times(column: pa.Array) -> pa.Array:
    """Return the column as times in UTC.

    Raises
    ------
    DataError
        It holds something else.
    """
    try:
        zone = "UTC" if pa.types.is_timestamp(column.type) and column.type.tz else None
        return column.cast(pa.timestamp("us", tz=zone), safe=False)
    except pa.ArrowException as error:
        raise DataError(f"Expected times, received {column.type}.", remedy="Validate the rows first.") from error


def _read_part(column: pa.Array, measure: Measure) -> Codes:
    read = {"hour": pc.hour, "weekday": pc.day_of_week, "month": lambda times: pc.subtract(pc.month(times), 1)}
    part = read[measure.part](read_times(column))
    return np.asarray(pc.fill_null(part.cast(pa.int64()), MISSING).to_numpy(zero_copy_only=False), dtype=np.int64)

"""Raw columns brought to their declared types where nothing is lost; cells that cannot be are marked, not dropped."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from tasks.contracts.columns import Column
from tasks.images import find_readable

Mask = npt.NDArray[np.bool_]

TEXT = pd.StringDtype("pyarrow", na_value=np.nan)
EXACT_IN_FLOAT = 2**53
"""Beyond this a float64 no longer holds every whole number (IEEE 754)."""

NUMBER = r"\s*[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[iI][nN][fF]([iI][nN][iI][tT][yY])?)\s*"

TRUTH = {"true": True, "false": False, "1": True, "0": False}


class Conformed(NamedTuple):
    """One column in its declared type.

    `values` is missing wherever `unreadable` says so; `read_from_text` tells that numbers came as text.
    """

    values: pd.Series
    unreadable: Mask
    read_from_text: bool = False


def conform_types(raw_frame: pd.DataFrame, columns: Mapping[str, Column]) -> dict[str, Conformed]:
    """Return each declared column that is there, in its declared type, in declared order.

    number: float64. integer: Int64. boolean: boolean. text: str. datetime: UTC. category: the type of its allowed
    values where they share one, otherwise str, with 3.0 as "3". image: bytes. Text is read as numbers, truth values and ISO 8601
    times; a number is never read as a truth value other than 0 and 1, a truth value never as a number.

    Parameters
    ----------
    raw_frame
        Rows as received; not changed.
    columns
        The contract, by name. Names that the rows lack are left out.
    """
    return {name: _conform(raw_frame[name], column) for name, column in columns.items() if name in raw_frame}


def settle_types(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with int64 and bool for nullable columns that miss nothing."""
    plain = {"Int64": "int64", "boolean": "bool"}
    settled = {
        name: plain[str(frame[name].dtype)]
        for name in frame.columns
        if str(frame[name].dtype) in plain and not frame[name].hasnans
    }
    return frame.astype(settled) if settled else frame


def readable_type(column: Column) -> str:
    """Return the type that the cells are read as: for a category that of its allowed values.

    >>> readable_type(Column(type="category", allowed=[0, 1]))
    'integer'
    """
    if column.type != "category":
        return column.type
    kinds = {type(value) for value in column.allowed or ()}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "integer"
    return "number" if kinds and kinds <= {int, float} else "category"


def _conform(raw: pd.Series, column: Column) -> Conformed:
    raw = raw.reset_index(drop=True)
    if isinstance(raw.dtype, pd.CategoricalDtype):
        raw = raw.astype(raw.cat.categories.dtype) if len(raw.cat.categories) else raw.astype(object)
    kind = _kind(raw)
    return READERS[readable_type(column)](raw, kind)


def _kind(raw: pd.Series) -> str:
    dtype = raw.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(dtype):
        return "integer"
    if pd.api.types.is_float_dtype(dtype):
        return "number"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "datetime"
    inferred = pd.api.types.infer_dtype(raw, skipna=True)
    return {
        "string": "text",
        "empty": "empty",
        "bytes": "bytes",
        "boolean": "boolean",
        "integer": "integer",
        "floating": "number",
        "mixed-integer-float": "number",
        "decimal": "number",
        "datetime": "datetime",
        "datetime64": "datetime",
        "date": "datetime",
    }.get(inferred, "mixed")


def _missing(raw: pd.Series) -> Mask:
    return raw.isna().to_numpy(dtype=bool)


def _nothing_read(raw: pd.Series, dtype: Any) -> Conformed:
    return Conformed(pd.Series(None, index=raw.index, dtype=dtype), ~_missing(raw))


def _by_cell(raw: pd.Series, dtype: Any, read: Callable[[pd.Series, str], Conformed]) -> Conformed:
    """Read a column of mixed cells kind by kind; the kind follows from a cell's Python type."""
    present = raw[raw.notna()]
    python_types = present.map(type)
    parts = [pd.Series(None, index=present.index[:0], dtype=dtype)]
    unreadable = np.zeros(len(raw), dtype=bool)
    for python_type in python_types.unique():
        cells = present[python_types == python_type]
        kind = _kind(cells.head(1))
        if kind == "mixed":
            unreadable[cells.index] = True
            continue
        part = read(cells.reset_index(drop=True), kind)
        parts.append(part.values.set_axis(cells.index))
        unreadable[cells.index] = part.unreadable
    values = pd.concat(parts).reindex(raw.index)
    return Conformed(values, unreadable)


def _read_number(raw: pd.Series, kind: str) -> Conformed:
    missing = _missing(raw)
    if kind in ("number", "integer", "empty"):
        values = raw.astype("Float64" if kind == "empty" else raw.dtype).to_numpy(dtype=float, na_value=np.nan)
        lost = _beyond_exact(raw, kind)
        return Conformed(pd.Series(np.where(lost, np.nan, values)), lost & ~missing)
    if kind == "text":
        numbers = _parse_numbers(raw.astype(TEXT))
        return Conformed(pd.Series(numbers), np.isnan(numbers) & ~missing, read_from_text=True)
    return _by_cell(raw, "float64", _read_number) if kind == "mixed" else _nothing_read(raw, "float64")


def _parse_numbers(text: pd.Series) -> npt.NDArray[np.float64]:
    """Return the nearest float64 of each number, NaN elsewhere; `pandas.to_numeric` may be off by one unit in the last place."""
    numbers = np.full(len(text), np.nan)
    readable = text.str.fullmatch(NUMBER).to_numpy(dtype=bool, na_value=False)
    numbers[readable] = text[readable].to_numpy(dtype=object).astype(float)
    return numbers


def _beyond_exact(raw: pd.Series, kind: str) -> Mask:
    if kind != "integer":
        return np.zeros(len(raw), dtype=bool)
    whole = raw.to_numpy(dtype=object, na_value=0) if raw.dtype == object else raw.fillna(0).to_numpy()
    return np.asarray((whole > EXACT_IN_FLOAT) | (whole < -EXACT_IN_FLOAT), dtype=bool)


def _read_integer(raw: pd.Series, kind: str) -> Conformed:
    if kind == "empty":
        return _nothing_read(raw, "Int64")
    if kind == "integer":
        return _whole_numbers(raw)
    if kind == "number":
        return _whole_floats(raw.to_numpy(dtype=float, na_value=np.nan))
    if kind == "text":
        return _whole_texts(raw)
    return _by_cell(raw, "Int64", _read_integer) if kind == "mixed" else _nothing_read(raw, "Int64")


def _whole_numbers(raw: pd.Series) -> Conformed:
    if raw.dtype != object and not (pd.api.types.is_unsigned_integer_dtype(raw.dtype) and raw.dtype.itemsize == 8):  # type: ignore[union-attr]
        return Conformed(raw.astype("Int64"), np.zeros(len(raw), dtype=bool))
    limits = np.iinfo(np.int64)
    whole = raw.astype(object).where(raw.notna(), 0)
    beyond = ((whole > limits.max) | (whole < limits.min)).to_numpy(dtype=bool)
    return Conformed(whole.mask(beyond, 0).astype("Int64").mask(beyond | _missing(raw)), beyond)


def _whole_floats(values: npt.NDArray[np.float64]) -> Conformed:
    readable = np.isfinite(values) & (np.abs(values) <= EXACT_IN_FLOAT) & (np.trunc(values) == values)
    whole = pd.Series(np.where(readable, values, 0.0)).astype("Int64").mask(~readable)
    return Conformed(whole, ~readable & ~np.isnan(values))


def _whole_texts(raw: pd.Series) -> Conformed:
    """Digits are read as they stand: through float64 the last ones of a long number would be lost."""
    text = raw.astype(TEXT)
    digits = text.str.fullmatch(r"\s*[+-]?\d{1,18}\s*").to_numpy(dtype=bool, na_value=False)
    exact = pd.Series(None, index=raw.index, dtype="Int64")
    exact[digits] = text[digits].to_numpy(dtype=object).astype("int64")
    values = exact.where(digits, _whole_floats(_parse_numbers(text.mask(digits))).values)
    return Conformed(values, values.isna().to_numpy(dtype=bool) & ~_missing(raw), read_from_text=True)


def _read_boolean(raw: pd.Series, kind: str) -> Conformed:
    if kind in ("boolean", "empty"):
        return Conformed(raw.astype("boolean"), np.zeros(len(raw), dtype=bool))
    if kind in ("integer", "number"):
        numbers = raw.to_numpy(dtype=float, na_value=np.nan)
        known = np.isin(numbers, (0.0, 1.0))
        return Conformed(pd.Series(numbers == 1).astype("boolean").mask(~known), ~known & ~_missing(raw))
    if kind == "text":
        truth = _map_distinct(raw, lambda cell: TRUTH.get(str(cell).strip().lower()), "boolean")
        return Conformed(truth, truth.isna().to_numpy(dtype=bool) & ~_missing(raw))
    return _by_cell(raw, "boolean", _read_boolean) if kind == "mixed" else _nothing_read(raw, "boolean")


def _read_category(raw: pd.Series, kind: str) -> Conformed:
    readable = np.zeros(len(raw), dtype=bool)
    if kind in ("text", "empty"):
        return Conformed(raw.astype(TEXT), readable)
    if kind in ("integer", "number", "boolean"):
        return Conformed(_map_distinct(raw, name_category, TEXT), readable)
    return _by_cell(raw, TEXT, _read_category) if kind == "mixed" else _nothing_read(raw, TEXT)


def name_category(cell: Any) -> str:
    """Return a category's name; a gap turns whole numbers into floats and must not rename them: 3.0 is "3"."""
    return str(int(cell)) if isinstance(cell, (float, np.floating)) and float(cell).is_integer() else str(cell)


def _map_distinct(raw: pd.Series, name: Callable[[Any], Any], dtype: Any) -> pd.Series:
    codes, distinct = pd.factorize(raw)
    named = pd.array([name(cell) for cell in distinct] + [None], dtype=dtype)
    return pd.Series(named.take(codes), index=raw.index)


def _read_text(raw: pd.Series, kind: str) -> Conformed:
    if kind in ("text", "empty"):
        return Conformed(raw.astype(TEXT), np.zeros(len(raw), dtype=bool))
    return _by_cell(raw, TEXT, _read_text) if kind == "mixed" else _nothing_read(raw, TEXT)


def _read_datetime(raw: pd.Series, kind: str) -> Conformed:
    if kind == "empty":
        return _nothing_read(raw, "datetime64[us, UTC]")
    if kind == "mixed":
        return _by_cell(raw, "datetime64[us, UTC]", _read_datetime)
    if kind not in ("datetime", "text"):
        return _nothing_read(raw, "datetime64[us, UTC]")
    if isinstance(raw.dtype, pd.DatetimeTZDtype):
        times = raw.dt.tz_convert("UTC")
    elif kind == "datetime" and raw.dtype != object:
        times = raw.dt.tz_localize("UTC")
    elif kind == "text":
        times = pd.to_datetime(raw.astype(object), format="ISO8601", utc=True, errors="coerce")
    else:
        times = pd.to_datetime(raw, utc=True, errors="coerce")
    return Conformed(_in_microseconds(times), times.isna().to_numpy(dtype=bool) & ~_missing(raw))


def _in_microseconds(times: pd.Series) -> pd.Series:
    """Keep nanoseconds only where there are some."""
    finer = times.dt.unit == "ns" and bool(times.dt.nanosecond.any())
    settled: pd.Series = times if finer else times.dt.as_unit("us")
    return settled


def _read_image(raw: pd.Series, kind: str) -> Conformed:
    if kind not in ("bytes", "empty", "mixed"):
        return _nothing_read(raw, object)
    cells, missing = raw.astype(object), _missing(raw)
    unreadable = ~find_readable(cells.to_list()) & ~missing
    return Conformed(cells.where(~(unreadable | missing), None), unreadable)


READERS: dict[str, Callable[[pd.Series, str], Conformed]] = {
    "number": _read_number,
    "integer": _read_integer,
    "boolean": _read_boolean,
    "category": _read_category,
    "text": _read_text,
    "datetime": _read_datetime,
    "image": _read_image,
}

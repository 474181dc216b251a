"""A frame's canonical content digest, and its Parquet file.

The digest names what the rows say, not how a library holds them: equal content has one digest whatever wrote it.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.errors import DataError, IntegrityError, name_values

BLOCK_ROWS = 1 << 17
"""Rows that are held in a second form at a time, while hashing and while writing."""

LITTLE_ENDIAN_INT = np.dtype("<i8")
LITTLE_ENDIAN_FLOAT = np.dtype("<f8")
UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

Bytes = npt.NDArray[Any] | memoryview | bytes


def digest_frame(frame: pd.DataFrame) -> str:
    """Return the SHA-256 over the canonical content, in lower-case hexadecimal.

    What counts: column names, the logical type of each column (boolean, integer, number, text, binary, instant, datetime,
    date, time, duration, decimal, null), which values are missing, the values, and the order of the rows.
    What does not count: the index, the order of the columns (they go by name), widths (int32 or int64), nullable or
    not, categorical or plain, how strings are held, the time zone in which an instant is shown, the Parquet writer.
    NaN is a missing number and -0.0 is 0.0; the infinities are values.

    Raises
    ------
    DataError
        A column has no canonical form: mixed types, nested values, names that are not unique text.

    Examples
    --------
    >>> rows = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    >>> digest_frame(rows) == digest_frame(rows[["b", "a"]].astype({"a": "Int64", "b": "category"}))
    True
    >>> digest_frame(rows) == digest_frame(rows[::-1])
    False
    """
    check_names(frame)
    names = sorted(frame.columns)
    # hashlib releases the GIL: two threads halve the time of wide frames.
    with ThreadPoolExecutor(max_workers=2) as pool:
        digests = list(pool.map(_digest_column, (frame[name] for name in names)))
    return _digest_columns(names, digests, len(frame))


def digest_parquet(path: Path) -> str:
    """Return `digest_frame` of the rows of a file that `write_parquet` wrote, one column in memory at a time.

    Of a column of bytes (pictures), one row group.
    """
    with pq.ParquetFile(path) as file:
        names = sorted(file.schema_arrow.names)
        return _digest_columns(names, [_digest_stored(file, name) for name in names], file.metadata.num_rows)


def _digest_stored(file: pq.ParquetFile, name: str) -> bytes:
    if not pa.types.is_binary(file.schema_arrow.field(name).type):
        return _digest_column(file.read([name]).to_pandas()[name])

    def read() -> Iterator[pd.Series]:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, [name]).to_pandas()[name]

    empty = all(block.isna().all() for block in read())
    return _digest_blocks((part for block in read() for part in _blocks(block)), "null" if empty else "binary")


def _digest_columns(names: Sequence[str], digests: Sequence[bytes], rows: int) -> str:
    whole = hashlib.sha256(b"keepfit frame 1\0")
    whole.update(_number(rows) + _number(len(names)))
    for name, digest in zip(names, digests, strict=True):
        whole.update(_text(name) + digest)
    return whole.hexdigest()


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write the rows as Parquet (zstd, statistics, row groups of 131,072 rows); the index is left out.

    The same frame gives the same bytes with the same pyarrow. Types come back as they went in, but for times in whole
    seconds (milliseconds) and categories of numbers (numbers), whose content is the same.
    """
    check_names(frame)
    bare = frame.reset_index(drop=True)
    bare.attrs = {}
    schema = _parquet_schema(bare)
    with pq.ParquetWriter(path, schema, compression="zstd", version="2.6", write_statistics=True) as writer:
        for block in _blocks(bare) if len(bare) else [bare]:
            writer.write_table(_to_table(block, schema))


def read_parquet(source: Path | bytes) -> pd.DataFrame:
    """Return the rows of a file that `write_parquet` wrote, or of its bytes.

    Raises
    ------
    IntegrityError
        The bytes are no Parquet file, or a torn one.
    """
    try:
        frame: pd.DataFrame = pq.read_table(io.BytesIO(source) if isinstance(source, bytes) else source).to_pandas()
    except pa.ArrowException as error:
        where = "these bytes" if isinstance(source, bytes) else str(source)
        raise IntegrityError(
            f"Expected a whole Parquet file, received something else: {where}.",
            remedy="Compare its digest with the registry; take the snapshot again.",
        ) from error
    return frame


def join_parquet(parts: Sequence[Path], columns: Sequence[str], path: Path) -> None:
    """Write these columns of several files as one, one row group in memory at a time; no file is a table without rows.

    A column that one file holds in another type (missing throughout, or whole numbers only) gets the type that holds both.

    Raises
    ------
    DataError
        No type holds both.
    """
    wanted = list(dict.fromkeys(columns))
    try:
        schema = _unify_schemas([pq.read_schema(part) for part in parts], wanted)
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for file in map(pq.ParquetFile, parts):
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group, columns=wanted).select(wanted).cast(schema))
    except (pa.ArrowException, KeyError) as error:
        raise DataError(
            f"Expected the columns {name_values(wanted)} in one type throughout, received {len(parts)} files that differ.",
            remedy="Score the windows again, or choose another drift.reference.",
        ) from error


def _unify_schemas(schemas: Sequence[pa.Schema], wanted: Sequence[str]) -> pa.Schema:
    if not schemas:
        return pa.schema([(name, pa.null()) for name in wanted])
    narrowed = [pa.schema([schema.field(name) for name in wanted]) for schema in schemas]
    return pa.unify_schemas(narrowed, promote_options="permissive").remove_metadata()


def check_names(frame: pd.DataFrame) -> None:
    """Refuse names that are not text, or not unique.

    Raises
    ------
    DataError
        Names are no text or occur twice.
    """
    odd = [name for name in frame.columns if not isinstance(name, str)]
    if odd:
        raise DataError(
            f"Expected column names that are text, received {name_values(odd)}.", remedy="Name the columns."
        )
    twice = sorted(set(frame.columns[frame.columns.duplicated()]))
    if twice:
        raise DataError(
            f"Expected each column once, received more than one {name_values(twice)}.",
            remedy="Rename or drop the repeated columns.",
        )


def _parquet_schema(frame: pd.DataFrame) -> pa.Schema:
    try:
        schema = pa.Schema.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, UnicodeError, OverflowError) as error:
        for name in frame.columns:
            _to_arrow(frame[name])  # says which column
        raise DataError(f"These rows cannot be written as Parquet: {type(error).__name__}.") from error
    notes = json.loads(schema.metadata[b"pandas"])
    # Library versions in the file would give the same rows new bytes after every upgrade.
    notes["creator"] = {"library": "pyarrow", "version": "0"}
    notes["pandas_version"] = "3.0.0"
    return schema.with_metadata({b"pandas": json.dumps(notes, sort_keys=True).encode()})


def _to_table(block: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    arrays = [pa.array(block[field.name], type=field.type, from_pandas=True) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _blocks(frame: Any) -> Iterator[Any]:
    for start in range(0, len(frame), BLOCK_ROWS):
        yield frame.iloc[start : start + BLOCK_ROWS]


def _number(value: int) -> bytes:
    return value.to_bytes(8, "little")


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _number(len(encoded)) + encoded


def _digest_column(column: pd.Series) -> bytes:
    """Hash masks, lengths and values apart, so that the size of the blocks does not show."""
    return _digest_blocks(_blocks(column), _logical_type(column))


def _digest_blocks(blocks: Iterable[pd.Series], kind: str) -> bytes:
    streams: list[Any] = []
    for block in blocks:
        parts = _canonical_parts(block, kind)
        streams = streams or [hashlib.sha256() for _ in parts]
        for stream, part in zip(streams, parts, strict=True):
            stream.update(np.ascontiguousarray(part) if isinstance(part, np.ndarray) else part)
    return hashlib.sha256(_text(kind) + b"".join(stream.digest() for stream in streams)).digest()


def _logical_type(column: pd.Series) -> str:  # noqa: PLR0911 - one line a type
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _logical_type(pd.Series(dtype.categories)) if len(dtype.categories) else "null"
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(dtype):
        beyond = dtype.kind == "u" and (column.fillna(0) > np.iinfo(np.int64).max).any()
        return "big integer" if beyond else "integer"
    if pd.api.types.is_float_dtype(dtype):
        return "number"
    if isinstance(dtype, pd.DatetimeTZDtype):
        return "instant"
    if isinstance(dtype, np.dtype) and dtype.kind in "mM":
        return {"M": "datetime", "m": "duration"}[dtype.kind]
    return _logical_arrow_type(column)


def _logical_arrow_type(column: pd.Series) -> str:
    kind = _to_arrow(column).type
    tests = {
        "null": pa.types.is_null,
        "text": lambda t: pa.types.is_string(t) or pa.types.is_large_string(t),
        "binary": lambda t: pa.types.is_binary(t) or pa.types.is_large_binary(t),
        "boolean": pa.types.is_boolean,
        "integer": pa.types.is_integer,
        "number": pa.types.is_floating,
        "date": pa.types.is_date,
        "time": pa.types.is_time,
        "duration": pa.types.is_duration,
        "instant": lambda t: pa.types.is_timestamp(t) and t.tz is not None,
        "datetime": pa.types.is_timestamp,
    }
    for name, matches in tests.items():
        if matches(kind):
            return name
    if pa.types.is_decimal(kind):
        return f"decimal {kind.scale}"
    raise DataError(
        f"Column {column.name!r}: expected booleans, numbers, text or times, received {kind}.",
        remedy="Take nested values apart into columns of their own.",
    )


def _canonical_parts(block: pd.Series, kind: str) -> tuple[Bytes, ...]:  # noqa: PLR0911 - one line a type
    missing = block.isna().to_numpy(dtype=bool)
    mask = missing.view(np.uint8)
    if kind == "null":
        return (mask,)
    if kind == "boolean":
        return mask, block.astype(object).where(~missing, False).to_numpy(dtype=bool)
    if kind == "number":
        values = block.to_numpy(dtype=LITTLE_ENDIAN_FLOAT, na_value=np.nan)
        return mask, np.where(missing, 0.0, values) + 0.0  # -0.0 + 0.0 is 0.0
    if kind == "integer":
        return mask, block.astype("Int64").to_numpy(dtype=LITTLE_ENDIAN_INT, na_value=0)
    if kind == "big integer":
        return mask, block.astype("UInt64").to_numpy(dtype=np.dtype("<u8"), na_value=0)
    if kind in ("instant", "datetime", "duration"):
        return mask, *_whole_and_nanoseconds(block, missing)
    return mask, *_lengths_and_bytes(_as_text(_to_arrow(block), kind))


def _whole_and_nanoseconds(block: pd.Series, missing: npt.NDArray[np.bool_]) -> tuple[Bytes, Bytes]:
    """Seconds and nanoseconds apart: a year 9999 in seconds has no int64 nanoseconds."""
    if block.dtype == object or isinstance(block.dtype, (pd.CategoricalDtype, pd.ArrowDtype)):
        block = pd.Series(_to_arrow(block).to_pandas())
    per_second = UNITS_PER_SECOND[block.dt.unit]
    ticks = np.where(missing, 0, block.array.view("i8"))
    return ticks // per_second, (ticks % per_second) * (10**9 // per_second)


def _as_text(array: pa.Array, kind: str) -> pa.Array:
    if kind in ("text", "binary"):
        return array
    if kind == "time":
        array = array.cast(pa.time64("ns"))
    return array.cast(pa.string())


def _lengths_and_bytes(array: pa.Array) -> tuple[Bytes, Bytes]:
    binary = pc.fill_null(array.cast(pa.large_binary()), b"")
    lengths = np.asarray(pc.binary_length(binary), dtype=LITTLE_ENDIAN_INT)
    offsets = np.frombuffer(binary.buffers()[1], dtype=np.int64)[binary.offset : binary.offset + len(binary) + 1]
    data = binary.buffers()[2]
    return lengths, memoryview(data)[offsets[0] : offsets[-1]] if data is not None else b""


def _to_arrow(column: pd.Series) -> pa.Array:
    try:
        array = pa.array(column, from_pandas=True)
    except (pa.ArrowException, UnicodeError, OverflowError) as error:
        held = pd.api.types.infer_dtype(column, skipna=True)
        raise DataError(
            f"Column {column.name!r}: expected values of one type, received {held} ({type(error).__name__}).",
            remedy="Give the column one type where it is made.",
        ) from error
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    return array

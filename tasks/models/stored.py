"""Inputs that lie in a file instead of in memory: written block by block, read by positions, through the page cache of the system.

The file has no name: its space is given back when nobody reads it any more, even where the process was killed.
"""

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from infra.errors import TrainingFailed
from tasks.models.model import Array

CHUNK_BYTES = 1 << 24
"""Inputs that are in memory at a time while all of them are gone through."""


class StoredFrame:
    """A frame in a file, as blocks of Arrow's interchange format."""

    def __init__(self, schema: pa.Schema, blocks: list[pa.RecordBatch]) -> None:
        self.schema = schema
        self._blocks = blocks
        self._starts = np.array([0, *accumulate(block.num_rows for block in blocks)])
        self.nbytes = sum(block.nbytes for block in blocks)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), len(self.schema))

    def __getitem__(self, positions: Array) -> pd.DataFrame:
        """Return the rows at these positions, in this order."""
        # Block by block: Arrow's own `take` would first make one block of all.
        which = np.searchsorted(self._starts, positions, side="right") - 1
        places = [np.flatnonzero(which == number) for number in np.unique(which)]
        parts = [self._blocks[which[at[0]]].take(pa.array(positions[at] - self._starts[which[at[0]]])) for at in places]
        table = pa.Table.from_batches(parts, self.schema)
        back = np.argsort(np.concatenate([*places, np.array([], dtype=np.intp)]))
        return pd.DataFrame({name: _read_column(table[name].take(pa.array(back))) for name in self.schema.names})


@dataclass(frozen=True)
class Stored:
    """Inputs of rows in a file, or of some of them: what `InputColumns.read` returned, or what a network takes."""

    held: "Array | StoredFrame"
    folder: Path
    """Where the file is, and where what is made of it may lie."""
    places: Array | None = None
    """Which rows of the file these are, in their order; None: all of them."""

    def __len__(self) -> int:
        return len(self.held) if self.places is None else len(self.places)

    @property
    def base(self) -> "Array | StoredFrame":
        """What this is a view of, as arrays say it."""
        return self.held

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.held.shape[1:])

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a matrix; a frame has a type a column."""
        return np.dtype(object) if isinstance(self.held, StoredFrame) else self.held.dtype

    def __getitem__(self, positions: "Array | slice") -> Any:
        """Return the inputs at these positions, in memory."""
        if self.places is not None:
            return self._read(self.places[positions])
        return self._read(np.arange(len(self))[positions] if isinstance(positions, slice) else positions)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all inputs in memory: for what takes nothing but arrays."""
        return np.asarray(self[:], dtype=dtype)

    def take(self, positions: Array) -> "Stored":
        """Return the inputs at these positions, still in the file."""
        return replace(self, places=positions if self.places is None else self.places[positions])

    def blocks(self, rows: int = 0) -> Iterator[Any]:
        """Yield all inputs in their order, so many rows at a time; by default as many as make 16 MiB."""
        size = rows or max(1, CHUNK_BYTES * len(self.held) // max(1, self.held.nbytes))
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def _read(self, positions: Array) -> Any:
        return self.held[positions] if isinstance(self.held, StoredFrame) else np.asarray(self.held[positions])


def hold(inputs: Any) -> Any:
    """Return inputs in memory, as they are where they are there already."""
    return inputs[:] if isinstance(inputs, Stored) else inputs


def store(blocks: Iterable[Any], folder: Path) -> Stored:
    """Write blocks of inputs (matrices of one type and width, or frames of one schema) to a file and return it.

    Raises
    ------
    TrainingFailed
        The file cannot be written: the disk is full.
    """
    given = iter(blocks)
    first = next(given)
    every = chain([first], given)
    with tempfile.TemporaryFile(dir=folder) as file:
        write = _write_frames if isinstance(first, pd.DataFrame) else _write_matrices
        return Stored(write(file, every, folder), folder)


def _write_matrices(file: IO[bytes], blocks: Iterable[Array], folder: Path) -> Array:
    rows = 0
    for block in blocks:
        # Written, not put into a map: where the disk is full, a map ends the process without a word (SIGBUS).
        _write(file, np.ascontiguousarray(block).data.cast("B") if block.size else b"", folder)
        rows, shape, dtype = rows + len(block), block.shape[1:], block.dtype
    return np.memmap(file, dtype, "r", shape=(rows, *shape))


def _write_frames(file: IO[bytes], blocks: Iterable[pd.DataFrame], folder: Path) -> StoredFrame:
    schema, sizes = None, []
    for block in blocks:
        schema = schema or pa.schema([(name, _arrow_type(block[name])) for name in block.columns])
        columns = [_to_arrow(block[field.name], field.type) for field in schema]
        sizes.append(_write(file, pa.record_batch(columns, schema).serialize(), folder))
    whole = pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    starts = accumulate(sizes, initial=0)
    parts = [whole.slice(start, size) for start, size in zip(starts, sizes, strict=False)]
    return StoredFrame(schema, [pa.ipc.read_record_batch(part, schema) for part in parts])


def _write(file: IO[bytes], data: Any, folder: Path) -> int:
    size = len(data)
    try:
        file.write(data)
        file.flush()
    except OSError as error:
        raise TrainingFailed(
            f"The training rows do not fit into memory, and cannot be kept in {folder} either: {error.strerror or error}.",
            remedy="Free space there, set TMPDIR to a folder on a disk with space, or allow more memory (compute.memory_mb).",
        ) from error
    return size


def _arrow_type(column: pd.Series) -> pa.DataType:
    return pa.string() if column.dtype == object else pa.array(column.iloc[:0]).type


def _to_arrow(column: pd.Series, kind: pa.DataType) -> pa.Array:
    if pa.types.is_floating(kind):
        return pa.array(column.to_numpy())  # NaN stays NaN
    return pa.array(column, type=kind, from_pandas=True)


def _read_column(column: pa.ChunkedArray) -> Any:
    if pa.types.is_timestamp(column.type):
        return column.to_pandas()
    if pa.types.is_floating(column.type):
        return column.to_numpy()
    return pd.array(column.to_pylist(), dtype="str")  # as pandas holds texts where a frame is made of them

"""The training rows: read into memory, or, where they would take too much of it, with their features in a file."""

import hashlib
import logging
from collections.abc import Iterator
from math import prod
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from infra.errors import IntegrityError
from infra.frames import digest_frame, digest_parquet, read_parquet
from infra.memory import lies_in_memory, usable_bytes
from infra.settings import load_settings
from tasks.contracts.project import ProjectSpec
from tasks.models.inputs import InputColumns, Inputs, StoredTable, Table
from tasks.models.stored import CHUNK_BYTES, store

logger = logging.getLogger(__name__)

SHARE = 0.5
"""Of the memory that the process may use, which the rows may take: the rest is the network's and the libraries'."""

COPIES = 4
"""How often a training in memory holds the inputs at its peak: as read, as the rows of one fit, as the network takes them, and
once while they are handed over (measured: `python -m benchmarks memory`)."""

CELL_BYTES = 64
"""What a text, a category or a picture costs as a Python object beside its content."""


def open_table(path: Path, spec: ProjectSpec, folder: Path) -> Table:
    """Return the rows of a Parquet file; their features stay in a file in `folder` where they would take too much memory.

    They do where networks are trained, and `estimate_bytes` says more than `compute.memory_mb` allows.

    Raises
    ------
    IntegrityError
        It is no Parquet file.
    ContractBroken
        A feature cannot be read.
    TrainingFailed
        The folder's disk is full.
    """
    needed, limit = estimate_bytes(path, spec), find_limit(spec)
    if needed <= limit:
        return read_parquet(path)
    classical = [name for name, one in spec.candidates.items() if one.network is None]
    if classical:
        logger.warning(
            "%s: the training rows take about %d MB in memory, more than the %d MB that they may take (compute.memory_mb); "
            "estimators need them there all the same: %s",
            *(spec.name, needed / 1e6, limit / 1e6, ", ".join(classical)),
        )
    if len(classical) == len(spec.candidates):
        return read_parquet(path)
    table = store_table(path, spec, find_disk(folder))
    logger.info(
        "%s: %d training rows would take about %d MB in memory, more than %d MB: networks read them from a file, batch by batch",
        *(spec.name, len(table), needed / 1e6, limit / 1e6),
    )
    return table


def find_limit(spec: ProjectSpec) -> int:
    """Return the bytes that training rows may take: `compute.memory_mb`, or half of what the process may use."""
    stated = spec.compute.memory_mb
    return int(SHARE * usable_bytes()) if stated is None else int(stated * 1e6)


def find_disk(scratch: Path) -> Path:
    """Return the scratch folder, or KEEPFIT_HOME where that lies in memory (tmpfs): rows kept there would take it all the same."""
    folders = [scratch, load_settings().home]
    for folder in folders:
        if folder.is_dir() and not lies_in_memory(folder):
            return folder
    logger.warning(
        "the temporary folder %s lies in memory, KEEPFIT_HOME as well: the rows kept there take memory. Set TMPDIR to a disk.",
        scratch,
    )
    return scratch


def estimate_bytes(path: Path, spec: ProjectSpec) -> int:
    """Return about how much memory training on all of these rows at once takes, from the file's own figures.

    The columns as they were written, an object for each cell that is no number, and the inputs as often as they are held.
    """
    columns = InputColumns.of(spec)
    about = _describe(path)
    written = sum(about.row_group(at).total_byte_size for at in range(about.num_row_groups))
    objects = len(columns.categories) + len(columns.texts) + len(columns.images)
    width = 8 * len(columns.names) + prod(columns.pixels or (0,))
    return int(written + about.num_rows * (CELL_BYTES * objects + COPIES * width))


def store_table(path: Path, spec: ProjectSpec, folder: Path) -> StoredTable:
    """Return the rows of a Parquet file with their features in a file in `folder`; read batch by batch. Raises as `open_table`."""
    columns = InputColumns.of(spec)
    rest = [name for name in pq.read_schema(path).names if name not in columns.names or name in _needed(spec)]
    lean = pq.read_table(path, columns=rest).to_pandas()
    return StoredTable(lean, store(_read_inputs(path, columns), folder), path)


def digest_table(table: Table) -> str:
    """Return what names the rows: their content digest, the same wherever they are; of part of a file, that and which part."""
    if not isinstance(table, StoredTable):
        return digest_frame(table)
    whole, places = digest_parquet(table.source), table.inputs.places
    return whole if places is None else hashlib.sha256(whole.encode() + places.astype("<i8").tobytes()).hexdigest()


def _needed(spec: ProjectSpec) -> set[str | None]:
    """Return the columns that rows are taught, parted and weighed by, which may be features as well."""
    return {spec.target, spec.split.column, spec.time}


def _read_inputs(path: Path, columns: InputColumns) -> Iterator[Inputs]:
    # Mapped: without it, a row group's column is read into memory as a whole, however small the batches.
    with pq.ParquetFile(path, memory_map=True) as file:
        about = file.metadata
        size = 8 * len(columns.names) + prod(columns.pixels or (0,))
        size += sum(about.row_group(at).total_byte_size for at in range(about.num_row_groups)) // about.num_rows
        # Row group by row group: over several at once pyarrow keeps what it has read.
        for group in range(about.num_row_groups):
            for batch in file.iter_batches(max(1, CHUNK_BYTES // size), [group], list(columns.names)):
                yield columns.read(_to_frame(batch))


def _to_frame(batch: pa.RecordBatch) -> pd.DataFrame:
    frame: pd.DataFrame = batch.to_pandas()
    return frame


def _describe(path: Path) -> pq.FileMetaData:
    try:
        return pq.read_metadata(path)
    except pa.ArrowException as error:
        raise IntegrityError(
            f"Expected a whole Parquet file, received something else: {path}.",
            remedy="Compare its digest with the registry; take the snapshot again.",
        ) from error

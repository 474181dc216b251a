"""Scored batches and labels as they are kept: found in the registry, read from the store, refused where the two differ.

What monitoring, tracing and the delivery of labels share.
"""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from infra.artifacts.reference import ArtifactRef
from infra.errors import BlobNotFound, IntegrityError, UsageError, name_values
from infra.registry.records import BatchRow, LabelDeliveryRow
from infra.suggestion import suggest
from infra.workspace import open_workspace

if TYPE_CHECKING:
    import pandas as pd

    from tasks.maturity import Delivery

READERS = 8
REMEDY = "Store and database are of different times: `keepfit doctor` lists what is missing; restore them to one time."


def find_batch(project: str, window: str) -> BatchRow:
    """Return the batch of a window.

    Raises
    ------
    UsageError
        The window was not scored; names the nearest and what there is.
    """
    registry = open_workspace().registry
    found = registry.batch(project, window)
    if found is not None:
        return found
    names = [row.window for row in registry.batches(project)]
    listed = name_values(names[::-1], 5) if names else "none yet"
    raise UsageError(
        f"{project}: the window {window!r} was not scored.{suggest(window, names)} There are, the newest first: {listed}.",
        remedy=f"`keepfit score {project} --window {window}` scores it.",
    )


def read_rows(batch: BatchRow) -> "pd.DataFrame":
    """Return the scored rows: id, time and features in declared types. Raises as `read_frame`."""
    return read_frame(batch.rows_blob, f"{batch.label}: its rows")


def read_predictions(batch: BatchRow) -> "pd.DataFrame":
    """Return one prediction a scored row, in the order of the rows. Raises as `read_frame`."""
    return read_frame(batch.predictions_blob, f"{batch.label}: its predictions")


def read_quarantine(batch: BatchRow) -> "pd.DataFrame | None":
    """Return the rows that were set aside, with their reasons; None where there are none. Raises as `read_frame`."""
    ref = batch.quarantine_blob
    return None if ref is None else read_frame(ref, f"{batch.label}: the rows set aside")


def read_deliveries(
    project: str, until: datetime | None = None, about: "pd.Series[str] | None" = None
) -> "list[Delivery]":
    """Return the labels known by `until`, or all, delivery by delivery. Raises as `read_frame`.

    Parameters
    ----------
    about
        Ids of rows: deliveries that name none of them are left out, unread.
    """
    from tasks.maturity import Delivery  # noqa: PLC0415  brings pandas

    rows = open_workspace().registry.label_deliveries(project, until)
    if about is not None:
        rows = _find_about(rows, about)

    def read(row: LabelDeliveryRow) -> Delivery:
        return Delivery(row.known_at, row.id, read_frame(row.blob, name_delivery(row)))

    with ThreadPoolExecutor(READERS) as pool:  # many small blobs: what takes time is the way to the store
        return list(pool.map(read, rows))


def _find_about(rows: Sequence[LabelDeliveryRow], about: "pd.Series[str]") -> list[LabelDeliveryRow]:
    import numpy as np  # noqa: PLC0415

    from tasks.row_index import are_among, index_deliveries, number_ids  # noqa: PLC0415  it builds on this module

    wanted = np.sort(number_ids(about))
    return [row for row, index in index_deliveries(rows) if are_among(index.ids, wanted).any()]


def name_delivery(row: LabelDeliveryRow) -> str:
    """Return what an error calls it."""
    return f"{row.project}: the labels known at {row.known_at:%Y-%m-%d %H:%M} UTC"


def read_matured(
    batch: BatchRow, as_of: datetime, delay: timedelta, deliveries: "Sequence[Delivery] | None" = None
) -> "pd.DataFrame":
    """Return the batch's predictions with `truth` and `due` as of a time: see `maturity.join_labels`.

    Parameters
    ----------
    deliveries
        What `read_deliveries` returned, where several windows are asked for.
    """
    from tasks.maturity import ROW_ID, join_labels  # noqa: PLC0415  brings pandas

    predictions = read_predictions(batch)
    known = read_deliveries(batch.project, as_of, predictions[ROW_ID]) if deliveries is None else deliveries
    return join_labels(predictions, known, as_of, delay)


def read_frame(ref: ArtifactRef, what: str, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """Return the rows of a blob, its bytes verified.

    Parameters
    ----------
    columns
        Those to read, as far as they are there; left out: all.

    Raises
    ------
    BlobNotFound, IntegrityError
        The registry names it, but the store does not have it, or has other bytes: nothing of it is served.
    """
    from infra.frames import read_parquet  # noqa: PLC0415  brings pandas

    try:
        content = open_workspace().store.read(ref)
    except (BlobNotFound, IntegrityError) as error:
        raise type(error)(
            f"{what} are named in the registry and cannot be served: {error.message}", remedy=REMEDY
        ) from error
    if columns is None:
        return read_parquet(content)
    from pyarrow import parquet  # noqa: PLC0415

    file = parquet.ParquetFile(io.BytesIO(content))
    wanted = [name for name in columns if name in file.schema_arrow.names]
    frame: pd.DataFrame = file.read(columns=wanted).to_pandas()
    return frame

"""Which rows a batch or a delivery of labels names, without reading it again: its ids as numbers of 64 bits, kept once.

Two ids have one number with a chance of 5e-20: of ten million rows and a delivery of 20,000 labels that is one in a
hundred million. Counts rest on it; what is kept of a delivery never does.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from infra.artifacts.reference import ArtifactRef
from infra.cache import remember
from infra.errors import BlobNotFound
from infra.registry.records import BatchRow, LabelDeliveryRow
from infra.workspace import open_workspace
from tasks.batches import READERS, REMEDY, name_delivery, read_frame
from tasks.maturity import ROW_ID, TIME

Numbers = npt.NDArray[np.uint64]
Times = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Named = TypeVar("Named", BatchRow, LabelDeliveryRow)

FORM = "row index 1"


class RowIndex(NamedTuple):
    """Rows by number, ascending, shape (n,); their times in microseconds since 1970, 0 where they have none."""

    ids: Numbers
    times: Times


def number_ids(ids: "pd.Series[Any]") -> Numbers:
    """Return the number of each id, shape (n,): the same on every machine."""
    return np.asarray(pd.util.hash_array(ids.to_numpy(dtype=object), categorize=False), dtype=np.uint64)


def index_batches(batches: Sequence[BatchRow]) -> Iterator[tuple[BatchRow, RowIndex]]:
    """Yield each batch with its rows and their times; a few batches in memory at a time.

    Raises
    ------
    BlobNotFound, IntegrityError
        The store does not have a batch that the registry names, or has other bytes.
    """
    return _index_all(batches, lambda batch: (batch.predictions_blob, f"{batch.label}: its predictions"))


def index_deliveries(deliveries: Sequence[LabelDeliveryRow]) -> Iterator[tuple[LabelDeliveryRow, RowIndex]]:
    """Yield each delivery of labels with the rows that it names. Raises as `index_batches`."""
    return _index_all(deliveries, lambda row: (row.blob, name_delivery(row)))


def are_among(ids: Numbers, known: Numbers) -> Mask:
    """Return which of these are among the known ones, which are ascending.

    >>> are_among(np.array([1, 5, 9], dtype=np.uint64), np.array([5, 7], dtype=np.uint64)).tolist()
    [False, True, False]
    """
    if not len(known):
        return np.zeros(len(ids), dtype=bool)
    places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    return np.asarray(known[places] == ids)


def _index_all(
    rows: Sequence[Named], name: Callable[[Named], tuple[ArtifactRef, str]]
) -> Iterator[tuple[Named, RowIndex]]:
    with ThreadPoolExecutor(READERS) as pool:  # what takes time is the way to the store
        for start in range(0, len(rows), READERS):
            few = rows[start : start + READERS]
            yield from zip(few, pool.map(lambda row: _index(*name(row)), few), strict=True)


def _index(ref: ArtifactRef, what: str) -> RowIndex:
    # Known from the cache or not: what is gone from the store is not counted as if it were there.
    if not open_workspace().store.has(ref):
        raise BlobNotFound(
            f"{what} are named in the registry and cannot be served: the store does not have {ref.digest[:12]}….",
            remedy=REMEDY,
        )
    raw = np.frombuffer(remember("rows", [FORM, ref.digest], lambda: _make(ref, what)), dtype="<u8")
    ids, times = raw.reshape(2, -1)
    return RowIndex(ids.astype(np.uint64), times.astype(np.int64))


def _make(ref: ArtifactRef, what: str) -> bytes:
    rows = read_frame(ref, what, (ROW_ID, TIME))
    ids = number_ids(rows[ROW_ID])
    times = np.zeros(len(rows), dtype=np.int64)
    if TIME in rows:
        times = rows[TIME].dt.as_unit("us").astype(np.int64).to_numpy()
    order = np.argsort(ids, kind="stable")
    return np.stack([ids[order], times[order].astype(np.uint64)]).astype("<u8").tobytes()

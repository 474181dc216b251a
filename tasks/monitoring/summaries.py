"""What a drift decision needs of the reference and of a window, in one pass over the rows and in bounded memory.

The reference's summary is made once (two passes: where the bins begin, then the counts) and kept as JSON; a window's
costs one pass. Both are sums over batches, so that the order of rows does not show in a window's.
"""

import base64
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from infra.artifacts.reference import Digest
from tasks.contracts.frozen import Contract
from tasks.monitoring.counting import (
    PARTS,
    Codes,
    Counted,
    code_labels,
    code_numbers,
    count_codes,
    count_numbers,
    make_edges,
    read_labels,
    read_numbers,
    read_times,
    unfold_images,
)
from tasks.monitoring.streaming import open_rows, sample_rows, stream_rows
from tasks.monitoring.watched import Measure, Watched, list_measures

SEEN_ROWS = 20_000
"""Rows from which bins and categories are read: a category of a thousandth of the rows is missed once in e^20."""

SAMPLE_ROWS = 4_000
"""Whole rows that calibration draws pseudo-windows from."""

TEXTS = 1_000
"""Texts kept of each text column; a domain classifier on 1,000 against 1,000 sees an AUC of 0.55."""

TEXT_LENGTH = 5_000
DAY_S = 86_400
THREADS = 2


class MeasureCounts(Contract):
    """Counts of one measure: one a bin or a value, the last of the values being all others."""

    counts: tuple[int, ...]
    missing: int
    infinite: int = 0
    days: float = 0.0
    """Of a part of times: from the first to the last."""

    @property
    def present(self) -> int:
        """Rows that hold a value."""
        return sum(self.counts)


class ReferenceMeasure(MeasureCounts):
    """The counts of the reference, and what every window is counted by."""

    measure: Measure
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()


class ReferenceSummary(Contract):
    """The reference, as far as decisions need it; JSON, kept under the digest of the rows."""

    version: int = 1
    digest: Digest
    described: str
    rows: int
    measures: tuple[ReferenceMeasure, ...]
    sample_rows: int
    sample: str
    """Codes of whole rows, (sample_rows, measures) of int16 with -1 for missing: row by row, deflated, base64."""
    texts: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    def read_sample(self) -> Codes:
        """Return the codes, shape (measures, sample_rows)."""
        raw = np.frombuffer(zlib.decompress(base64.b64decode(self.sample)), dtype="<i2")
        return np.ascontiguousarray(raw.reshape(self.sample_rows, len(self.measures)).T.astype(np.int64))


class WindowSummary(Contract):
    """A window counted by the reference's bins and values, in the order of its measures."""

    rows: int
    measures: tuple[MeasureCounts, ...]
    texts: dict[str, tuple[str, ...]] = Field(default_factory=dict)


def summarize_reference(
    path: Path, watched: Sequence[Watched], *, digest: Digest, described: str = "the training rows", seed: int = 0
) -> ReferenceSummary:
    """Return the summary that windows are held against.

    Parameters
    ----------
    path
        Parquet file of the reference's rows.
    watched
        The columns; see `watched`.
    digest, described
        What the rows are, for the report.
    seed
        Of the rows that bins, categories and calibration are read from.

    Raises
    ------
    DataError
        A column is missing, or holds something else than its type says.
    """
    measures = list_measures(watched)
    columns = [each.column for each in watched]
    seen = unfold_images(sample_rows(path, columns, SEEN_ROWS, seed), measures)
    bare = [_learn_codes(seen, measure) for measure in measures]
    window = _summarize(path, bare, seed)
    packed = _draw_sample([_code_rows(seen, each) for each in bare], len(seen), seed)
    return ReferenceSummary(
        digest=digest,
        described=described,
        rows=window.rows,
        measures=tuple(
            each.model_copy(update=counts.model_dump()) for each, counts in zip(bare, window.measures, strict=True)
        ),
        sample_rows=len(packed),
        sample=base64.b64encode(zlib.compress(packed.tobytes(), 1)).decode(),
        texts=window.texts,
    )


def _draw_sample(codes: Sequence[Codes], rows: int, seed: int) -> npt.NDArray[np.int16]:
    """Return the codes of at most `SAMPLE_ROWS` rows, shape (rows, measures), whatever the order in which all came."""
    if not codes:
        return np.zeros((min(rows, SAMPLE_ROWS), 0), "<i2")
    packed = np.stack(codes, axis=1).astype("<i2")
    ordered = packed[np.lexsort(packed.T[::-1])]
    return ordered[np.random.default_rng(seed).permutation(rows)[:SAMPLE_ROWS]]


def summarize_window(path: Path, reference: ReferenceSummary, *, seed: int = 1) -> WindowSummary:
    """Return the window's counts.

    Parameters
    ----------
    path
        Parquet file of the window's rows; further columns are not read.
    seed
        Of the texts that are kept.

    Raises
    ------
    DataError
        A column of the reference is missing, or holds something else than its type says.
    """
    return _summarize(path, reference.measures, seed)


def _summarize(path: Path, measures: Sequence[ReferenceMeasure], seed: int) -> WindowSummary:
    columns = [each.measure.column for each in measures]
    file = open_rows(path, columns)
    totals = [Counted(np.zeros(_size(each), np.int64), 0, 0) for each in measures]
    spans: list[tuple[int, int] | None] = [None] * len(measures)
    with ThreadPoolExecutor(THREADS) as pool:  # NumPy sorts and counts outside the interpreter's lock
        for read in stream_rows(file, columns):
            batch = unfold_images(read, [each.measure for each in measures])
            found = list(pool.map(lambda each, rows=batch: _count_batch(rows, each), measures))
            totals = [total + counted for total, (counted, _) in zip(totals, found, strict=True)]
            spans = [_join_spans(span, more) for span, (_, more) in zip(spans, found, strict=True)]
    return WindowSummary(
        rows=file.metadata.num_rows,
        measures=tuple(_as_counts(total, span) for total, span in zip(totals, spans, strict=True)),
        texts=_keep_texts(path, [each.measure.column for each in measures if each.measure.kind == "text"], seed),
    )


def _as_counts(total: Counted, span: tuple[int, int] | None) -> MeasureCounts:
    days = (span[1] - span[0]) / 1e6 / DAY_S if span else 0.0
    return MeasureCounts(counts=tuple(total.counts.tolist()), missing=total.missing, infinite=total.infinite, days=days)


def _learn_codes(seen: pa.Table, measure: Measure) -> ReferenceMeasure:
    """Return the measure with its edges or values, and no counts yet."""
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = PARTS.get(measure.part, ())
    column = _column_of(seen, measure)
    if measure.kind == "number":
        edges = tuple(make_edges(read_numbers(column)).tolist())
    elif measure.kind == "values" and not measure.part:
        labels, codes = read_labels(column, measure)
        counts = count_codes(codes, len(labels)).counts
        values = tuple(label for _, label in sorted(zip(-counts, labels, strict=True)))
    return ReferenceMeasure(measure=measure, edges=edges, values=values, counts=(), missing=0)


def _size(each: ReferenceMeasure) -> int:
    """Return how many codes there are: bins, or values and one for all others, or one for any text."""
    return 1 if each.measure.kind == "text" else len(each.edges or each.values) + 1


def _count_batch(rows: pa.RecordBatch, each: ReferenceMeasure) -> tuple[Counted, tuple[int, int] | None]:
    column = _column_of(rows, each.measure)
    if each.measure.kind == "number":
        return count_numbers(read_numbers(column), np.array(each.edges)), None
    if each.measure.kind == "text":
        return Counted(np.array([len(column) - column.null_count]), column.null_count, 0), None
    return count_codes(_code_values(column, each), _size(each)), _span(column) if each.measure.part else None


def _column_of(rows: pa.Table | pa.RecordBatch, measure: Measure) -> pa.Array:
    """Return what the measure is taken of; of pictures, what `unfold_images` made of them."""
    column = rows.column(measure.name if measure.type == "image" else measure.column)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _code_values(column: pa.Array, each: ReferenceMeasure) -> Codes:
    labels, codes = read_labels(column, each.measure)
    return code_labels(labels, codes, each.values)


def _code_rows(rows: pa.Table, each: ReferenceMeasure) -> Codes:
    column = _column_of(rows, each.measure)
    if each.measure.kind == "number":
        return code_numbers(read_numbers(column), np.array(each.edges))
    if each.measure.kind == "text":
        return -np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=np.int64)
    return _code_values(column, each)


def _span(column: pa.Array) -> tuple[int, int] | None:
    ends = pc.min_max(read_times(column).cast(pa.int64()))
    first, last = ends["min"].as_py(), ends["max"].as_py()
    return None if first is None else (first, last)


def _join_spans(span: tuple[int, int] | None, more: tuple[int, int] | None) -> tuple[int, int] | None:
    if span is None or more is None:
        return span or more
    return min(span[0], more[0]), max(span[1], more[1])


def _keep_texts(path: Path, columns: Sequence[str], seed: int) -> dict[str, tuple[str, ...]]:
    if not columns:
        return {}
    rows = sample_rows(path, columns, TEXTS, seed)
    return {
        name: tuple(str(text)[:TEXT_LENGTH] for text in rows.column(name).to_pylist() if text is not None)
        for name in columns
    }

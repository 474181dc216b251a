"""Rows of the drift benchmark: features that are independent or correlated, in memory or as Parquet made in chunks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.monitoring.counting import count_numbers
from tasks.monitoring.summaries import MeasureCounts, ReferenceSummary, WindowSummary
from tasks.monitoring.watched import Watched

CHUNK = 1 << 17
NUMBERS, CATEGORIES, BOOLEANS = 14, 4, 2


def draw(rng: np.random.Generator, rows: int, features: int, correlation: float) -> np.ndarray:
    """Standard normal features; any two have this correlation."""
    x = rng.standard_normal((rows, features))
    if correlation:
        x = np.sqrt(1 - correlation) * x + np.sqrt(correlation) * rng.standard_normal((rows, 1))
    return x


def summarise(x: np.ndarray, reference: ReferenceSummary) -> WindowSummary:
    """What `summarize_window` counts, without a file."""
    measures = []
    for at, each in enumerate(reference.measures):
        counted = count_numbers(x[:, at], np.array(each.edges))
        measures.append(MeasureCounts(counts=tuple(counted.counts.tolist()), missing=counted.missing))
    return WindowSummary(rows=len(x), measures=tuple(measures))


def watch_twenty() -> list[Watched]:
    """The twenty columns of `write_rows`."""
    kinds = {"x": ("number", NUMBERS), "c": ("category", CATEGORIES), "b": ("boolean", BOOLEANS)}
    return [Watched(column=f"{name}{at}", type=kind) for name, (kind, many) in kinds.items() for at in range(many)]


def write_rows(path: Path, rows: int, seed: int = 0) -> None:
    """Write rows of twenty columns (14 numbers, 4 categories, 2 booleans) in chunks, as snapshots are (zstd)."""
    rng = np.random.default_rng(seed)
    words = np.array([f"value-{at}" for at in range(12)])
    writer = None
    for start in range(0, rows, CHUNK):
        size = min(CHUNK, rows - start)
        columns: dict[str, object] = {f"x{at}": rng.standard_normal(size) for at in range(NUMBERS)}
        columns |= {f"c{at}": pd.Categorical.from_codes(rng.integers(12, size=size), words) for at in range(CATEGORIES)}
        columns |= {f"b{at}": rng.random(size) < 0.3 for at in range(BOOLEANS)}
        table = pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer:
        writer.close()

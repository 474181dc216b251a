"""Training on pictures that take four times the memory that is allowed: from a file, beside the same training in memory.

Run with `python -m benchmarks.memory`; `--json` for a program, `--limit-mb` for another size. Synthetic pictures (96 x 96, three
channels, JPEG) in one Parquet file, a small convolutional network, one epoch; each way in a process of its own. Measured is
anonymous memory (RssAnon in /proc/PID/status, asked every 10 ms): what a process holds and cannot give back. Pages of files,
which the system takes back when others need memory, do not count, and a limit on the address space would count them. Linux only.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.contracts.project import ProjectSpec

SIDE, CHANNELS = 96, 3
TIMES = 4
"""So many times the limit do the decoded pictures take."""
LIMIT_MB = 600
DISTINCT = 1_024
"""Pictures that differ; each is there many times. Decoding and training take as long as if all did."""
CLASSES = 4
ROW_GROUP = 8_192
EVERY_S = 0.01
UNLIMITED_MB = 10**9


@dataclass(frozen=True)
class Row:
    """One line of the table; memory in MB (10^6 bytes)."""

    way: str
    limit_mb: int
    pictures_mb: float
    """All pictures, decoded."""
    libraries_mb: float
    """Anonymous memory before the first row was read."""
    peak_mb: float
    """Of the process, all told."""
    read_s: float
    epoch_s: float
    content: str
    """Content digest of the fitted model."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--limit-mb", type=int, default=LIMIT_MB)
    parser.add_argument("--only", choices=["file", "memory"], help="one of the two ways")
    parser.add_argument("--train", nargs=2, metavar=("FILE", "MB"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.train:
        print(json.dumps(train(Path(chosen.train[0]), int(chosen.train[1]))))
        return 0
    rows = measure(chosen.limit_mb, chosen.only)
    print(json.dumps([asdict(row) for row in rows], indent=2) if chosen.json else format_table(rows))
    return 0 if keeps_limit(rows) and len({row.content for row in rows}) == 1 else 1


def keeps_limit(rows: list[Row]) -> bool:
    """Return whether the process that read from a file stayed below the limit, its libraries included."""
    return all(row.peak_mb <= row.limit_mb for row in rows if row.way == "from a file")


def measure(limit_mb: int, only: str | None = None) -> list[Row]:
    """Return a row for the training from a file, and one for that in memory."""
    count = TIMES * limit_mb * 10**6 // (SIDE * SIDE * CHANNELS)
    ways = {"file": ("from a file", limit_mb), "memory": ("in memory", UNLIMITED_MB)}
    with tempfile.TemporaryDirectory(prefix="keepfit-bench-") as folder:
        path = Path(folder) / "pictures.parquet"
        write_pictures(path, count)
        return [
            Row(ways[way][0], limit_mb, count * SIDE * SIDE * CHANNELS / 1e6, **watch(path, ways[way][1]))
            for way in ways
            if only in (None, way)
        ]


def write_pictures(path: Path, count: int) -> None:
    """Write so many pictures of stripes, and which way they run, a row group in memory at a time."""
    schema = pa.schema([("picture", pa.binary()), ("way", pa.int64())])
    cells, ways = draw_pictures()
    order = np.random.default_rng(1).integers(0, DISTINCT, count)
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        for start in range(0, count, ROW_GROUP):
            part = order[start : start + ROW_GROUP]
            writer.write_batch(pa.record_batch([pa.array([cells[at] for at in part]), pa.array(ways[part])], schema))


def draw_pictures() -> tuple[list[bytes], Any]:
    """Return the pictures that differ, encoded, and their classes."""
    from PIL import Image

    random = np.random.default_rng(0)
    ways = random.integers(0, CLASSES, DISTINCT)
    down, right = np.mgrid[:SIDE, :SIDE]
    cells = []
    for way in ways:
        angle = np.pi * way / CLASSES
        stripes = np.sin((np.cos(angle) * down + np.sin(angle) * right) / 3 + random.uniform(0, 6))
        noise = random.normal(0, 20, (SIDE, SIDE, CHANNELS))
        pixels = (128 + 60 * stripes[..., None] + noise).clip(0, 255).astype(np.uint8)
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG")
        cells.append(buffer.getvalue())
    return cells, ways


def describe(memory_mb: int) -> ProjectSpec:
    """Return the project."""
    network = {
        "architecture": {"name": "cnn2d", "filters": [4, 8], "units": []},
        "epochs": 1,
        "batch_size": 64,
        "validation_share": 0,
    }
    size = {"height": SIDE, "width": SIDE, "channels": CHANNELS}
    return ProjectSpec.model_validate(
        {
            "name": "stripes",
            "source": {"parquet": "pictures.parquet"},
            "columns": {"picture": {"type": "image", "size": size}, "way": {"type": "integer"}},
            "target": "way",
            "candidates": {"cnn": {"network": network}},
            "compute": {"memory_mb": memory_mb},
        }
    )


def train(path: Path, memory_mb: int) -> dict[str, Any]:
    """Train in this process and return what was seen."""
    from tasks.models.recipes import fit_candidate
    from tasks.models.saving import save_model
    from tasks.models.tensorflow_runtime import start_keras
    from tasks.training.rows import open_table

    spec = describe(memory_mb)
    start_keras(spec.compute.threads)
    libraries_mb = read_anonymous_mb("self")
    started = time.perf_counter()
    table = open_table(path, spec, path.parent)
    read_s = time.perf_counter() - started
    model = fit_candidate("cnn", spec, table, load=refuse)
    epoch_s = time.perf_counter() - started - read_s
    content = save_model(model, path.with_suffix(".model"))
    return {"libraries_mb": libraries_mb, "read_s": read_s, "epoch_s": epoch_s, "content": content}


def refuse(reference: str) -> Any:
    """Stand for the loader of a project that has no functions."""
    raise LookupError(reference)


def watch(path: Path, memory_mb: int) -> dict[str, Any]:
    """Return what a process that trains said, and the most anonymous memory that it was seen with."""
    command = [sys.executable, "-m", "benchmarks.memory", "--train", str(path), str(memory_mb)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak_mb = max(sample(process))
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"training ended with {process.returncode} after {peak_mb:,.0f} MB")
    return {"peak_mb": peak_mb, **json.loads(said.splitlines()[-1])}


def sample(process: "subprocess.Popen[str]") -> Iterator[float]:
    """Yield the process's anonymous memory in MB until it has ended."""
    yield 0.0
    while process.poll() is None:
        yield read_anonymous_mb(process.pid)
        time.sleep(EVERY_S)


def read_anonymous_mb(pid: int | str) -> float:
    """Return the anonymous memory of a process in MB, of shared memory that has no file as well; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    fields = dict(line.split(":", 1) for line in lines)
    return sum(int(fields.get(name, "0 kB").split()[0]) for name in ("RssAnon", "RssShmem")) * 1024 / 1e6


def format_table(rows: list[Row]) -> str:
    """Return the rows as a table."""
    head = f"{'way':<12} {'limit':>6} {'pictures':>9} {'peak':>7} {'of it libraries':>16} {'reading':>9} {'epoch':>9}"
    lines = [
        f"{row.way:<12} {row.limit_mb if row.way == 'from a file' else '-':>6} {row.pictures_mb:>9,.0f} {row.peak_mb:>7,.0f} "
        f"{row.libraries_mb:>16,.0f} {row.read_s:>7.1f} s {row.epoch_s:>7.1f} s"
        for row in rows
    ]
    kept = "yes" if keeps_limit(rows) else "NO"
    same = "yes" if len({row.content for row in rows}) == 1 else "NO"
    return "\n".join([f"{head}   (MB, anonymous)", *lines, f"below the limit: {kept}; the same model: {same}"])


if __name__ == "__main__":
    sys.exit(main())

"""What a GPU gives networks, beside the CPU of the same machine: `python -m benchmarks.gpu [--rows N]`.

A small network of convolutions on made pictures (28 by 28, ten classes), through keepfit's own training: time of an epoch on the CPU, on
the GPU in float32 and in mixed precision, with the largest batch that fits, and how busy the GPU was meanwhile. Medians of the epochs
after the first. Where no GPU is seen it says so and measures nothing.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from infra.stack.gpus import find_gpus
from tasks.contracts.models import NetworkFit
from tasks.contracts.project import ProjectSpec
from tasks.models.recipes import fit_candidate

SIDE, CLASSES, EPOCHS = 28, 10, 5
GPU = {"device": "gpu"}
RUNS: dict[str, tuple[dict[str, Any], int | str]] = {
    "CPU, float32": ({}, 128),
    "GPU, float32": (GPU, 128),
    "GPU, mixed": ({**GPU, "precision": "auto"}, 128),
    "GPU, float32, largest batch": (GPU, "auto"),
    "GPU, mixed, largest batch": ({**GPU, "precision": "auto"}, "auto"),
}


class Measured(NamedTuple):
    """One training."""

    epoch_s: float
    trained: NetworkFit
    busy: float | None
    """Mean utilisation of the GPU in percent, as nvidia-smi tells it; None: not told."""


def make_rows(rows: int) -> pd.DataFrame:
    """Return pictures, a column a pixel, whose class is where they are light."""
    rng = np.random.default_rng(0)
    pixels = rng.random((rows, SIDE * SIDE), dtype=np.float32)
    answer = rng.integers(0, CLASSES, rows)
    pixels[np.arange(rows), answer * SIDE * 2] += 2
    return pd.DataFrame(pixels, columns=[f"p{at}" for at in range(SIDE * SIDE)]).assign(y=answer)


def measure(frame: pd.DataFrame, compute: dict[str, Any], batch_size: int | str) -> Measured:
    """Train once and return how long an epoch took."""
    architecture = {"name": "cnn2d", "height": SIDE, "width": SIDE}
    network = {"architecture": architecture, "epochs": EPOCHS, "batch_size": batch_size}
    columns = {name: {"type": "integer" if name == "y" else "number"} for name in frame}
    given = {"name": "made", "source": {"csv": "none"}, "columns": columns, "target": "y", "compute": compute}
    spec = ProjectSpec.model_validate({**given, "candidates": {"cnn": {"network": network}}})
    ends: list[float] = []
    with watching_gpu() as busy:
        model = fit_candidate("cnn", spec, frame, load=refuse, on_epoch=lambda *_: ends.append(time.perf_counter()))
    if model.trained is None:
        raise SystemExit("expected a network")
    return Measured(statistics.median(np.diff(ends)), model.trained, busy())


def refuse(reference: str) -> Callable[..., Any]:
    raise SystemExit(f"no function is needed here, {reference} was asked for")


@contextmanager
def watching_gpu() -> Iterator[Callable[[], float | None]]:
    """Yield what returns, at the end, how busy the first GPU was."""
    told: list[float] = []
    if not find_gpus():
        yield lambda: None
        return
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-i", "0", "-lms", "200"]
    with tempfile.TemporaryFile("w+") as said:
        watch = subprocess.Popen(command, stdout=said)
        try:
            yield lambda: statistics.mean(told) if told else None
        finally:
            watch.terminate()
            watch.wait()
            said.seek(0)
            told += [float(line) for line in said if line.strip().isdigit()]


def main() -> None:
    """Measure all and print a line each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="Pictures; default 20,000.")
    rows = parser.parse_args().rows
    if not find_gpus():
        print("No GPU is seen on this machine (nvidia-smi names none): nothing is measured.")
        return
    frame = make_rows(rows)
    print(f"{rows:,} pictures, {EPOCHS} epochs; seconds an epoch, batch, computed in, GPU busy")
    for name, (compute, batch_size) in RUNS.items():
        found = measure(frame, compute, batch_size)
        busy = "" if found.busy is None or name.startswith("CPU") else f"{found.busy:.0f} %"
        print(f"{name:<28} {found.epoch_s:8.2f} {found.trained.batch_size:6,} {found.trained.precision:<15} {busy}")


if __name__ == "__main__":
    main()

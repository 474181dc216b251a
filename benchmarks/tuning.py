"""A search of parameters with 1, 2 and 4 processes, and its trials in a plain loop: trials a minute, and whether they are the same.

Run with `python -m benchmarks.tuning`; `--json` for a program. A random forest on the breast cancer data that come with
scikit-learn, one thread a process, five folds a trial, a registry of its own for each count. The time is that of the whole
search, the start of the processes (some three seconds of importing each) and the reasons at its end included.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from infra.frames import write_parquet
from infra.registry.registry import Registry
from infra.settings import load_settings
from infra.workspace import Workspace, open_workspace
from tasks.contracts.project import ProjectSpec
from tasks.contracts.runs import RunContext
from tasks.contracts.tuning import TrialRecord
from tasks.models.partition import cross_validate
from tasks.project import load_project
from tasks.training.tuning import TrialDesk, Tuned, tune_candidates
from tasks.training.workers import Request, local_workers

COUNTS = (1, 2, 4)
FOREST = "sklearn.ensemble.RandomForestClassifier"
SPACES: dict[str, dict[str, Any]] = {
    "n_estimators": {"low": 50, "high": 300},
    "max_depth": {"low": 2, "high": 12},
    "min_samples_leaf": {"low": 1, "high": 20},
    "max_features": {"low": 0.1, "high": 1.0},
}


@dataclass(frozen=True)
class Row:
    """One line of the table; `same`: the trials are those of one process, the plain loop's to twelve digits."""

    way: str
    trials: int
    seconds: float
    trials_a_minute: float
    best: float
    same: bool


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--trials", type=int, default=40)
    chosen = parser.parse_args(arguments)
    rows = measure(chosen.trials)
    print(json.dumps([asdict(row) for row in rows], indent=2) if chosen.json else format_table(rows))
    return 0


def measure(trials: int) -> list[Row]:
    """Return a row for each number of processes, and one for a plain loop over the same trials."""
    frame, rows = read_rows(), []
    first: tuple[TrialRecord, ...] = ()
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder, _place(Path(folder), trials) as workspace:
            started = time.perf_counter()
            tuned = search(workspace, frame, Path(folder), count)
            seconds = time.perf_counter() - started
        made = tuned.studies[0].trials
        first = first or made
        best = tuned.candidates[0].value
        rows.append(Row(f"keepfit, {count}", trials, seconds, 60 * trials / seconds, best, made == first))
    return [*rows, _measure_plain(frame, first)]


def read_rows() -> pd.DataFrame:
    """Return the breast cancer data (569 rows, 30 numbers) with plain names."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    frame = pd.DataFrame(data.data, columns=[f"x{at}" for at in range(data.data.shape[1])])
    return frame.assign(y=data.target.astype("int64"))


def search(workspace: Workspace, frame: pd.DataFrame, folder: Path, count: int) -> Tuned:
    """Return what the search finds with so many processes, this one among them."""
    project = load_project(workspace.settings.projects, "cancer")
    write_parquet(frame, folder / "rows.parquet")
    run = RunContext(
        project="cancer",
        run_id="0" * 32,
        fence=1,
        spec=workspace.store.put_bytes(project.spec.model_dump_json().encode(), "application/json"),
        code=project.code,
        as_of=datetime.now(UTC),
    )
    data = workspace.store.put_file(folder / "rows.parquet", "application/vnd.apache.parquet")

    def helped(study: Any) -> Any:
        return local_workers(Request(run=run, rows=data, candidate="forest", study=study.key), count - 1)

    desk = TrialDesk(workspace.registry, "benchmark", helped)
    return tune_candidates(project.spec, frame, project.load, lambda *_: None, desk)


def describe(trials: int) -> dict[str, Any]:
    """Return the project as plain data."""
    columns: dict[str, Any] = {f"x{at}": {"type": "number"} for at in range(30)}
    return {
        "name": "cancer",
        "source": {"csv": "rows.csv"},
        "columns": {**columns, "y": {"type": "integer"}},
        "target": "y",
        "candidates": {"forest": {"estimator": FOREST, "search": SPACES}},
        "tuning": {"method": "tpe", "trials": trials, "batch": 4},
        "evaluation": {"metric": "roc_auc"},
        "compute": {"threads": 1},
    }


@contextmanager
def _place(folder: Path, trials: int) -> Iterator[Workspace]:
    """A home of its own, as this process and its workers find it: by the environment."""
    project = folder / "projects" / "cancer"
    project.mkdir(parents=True)
    (project / "project.yaml").write_text(yaml.safe_dump(describe(trials), sort_keys=False))
    os.environ |= {"KEEPFIT_HOME": str(folder / "home"), "KEEPFIT_PROJECTS": str(folder / "projects")}
    for cached in (load_settings, open_workspace):
        cached.cache_clear()
    workspace = open_workspace()
    registry: Registry = workspace.registry
    try:
        yield workspace
    finally:
        registry.close()


def _measure_plain(frame: pd.DataFrame, made: tuple[TrialRecord, ...]) -> Row:
    """The same values on the same folds in a loop of scikit-learn alone, which keeps nothing and draws nothing."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from threadpoolctl import threadpool_limits

    spec = ProjectSpec.model_validate(describe(len(made)))
    inputs, target = frame.drop(columns="y").to_numpy(), frame["y"].to_numpy()
    folds = cross_validate(target, None, spec.split, folds=5, repeats=1, seed=0)
    values = []
    started = time.perf_counter()
    with threadpool_limits(1):
        for trial in made:
            scores = []
            for fit, held in folds:
                forest = RandomForestClassifier(random_state=0, **trial.params).fit(inputs[fit], target[fit])
                scores.append(roc_auc_score(target[held], forest.predict_proba(inputs[held])[:, 1]))
            values.append(float(np.mean(scores)))
    seconds = time.perf_counter() - started
    same = bool(np.allclose(values, [trial.value for trial in made], rtol=0, atol=1e-12))
    return Row("plain scikit-learn, 1", len(made), seconds, 60 * len(made) / seconds, max(values), same)


def format_table(rows: list[Row]) -> str:
    """Return the rows as a table."""
    lines = [f"{'way, processes':<22} {'trials':>6} {'seconds':>8} {'a minute':>9} {'best':>8}  same trials"]
    for row in rows:
        same = "yes" if row.same else "NO"
        figures = f"{row.trials:>6} {row.seconds:>8.1f} {row.trials_a_minute:>9.1f} {row.best:>8.5f}"
        lines.append(f"{row.way:<22} {figures}  {same}")
    return "\n".join([*lines, f"{os.cpu_count()} CPUs"])


if __name__ == "__main__":
    sys.exit(main())

"""A light project over one CSV file that a test may change."""

from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd

from tests.flows.conftest import Place

SPEC = """\
    name: table
    source: {csv: rows.csv}
    columns:
      signal: {type: number, min: -100, max: 100}
      noise: {type: number, null_share: 0.1}
      label: {type: category, allowed: [left, right]}
    target: label
    validation: {quarantine_share: 0.05}
    split: {test_share: 0.4}
    candidates:
      logistic: {estimator: sklearn.linear_model.LogisticRegression}
    selection: {folds: 2}
    gate: {policy: superiority, floors: {accuracy: 0.55}}
    """


def write_rows(folder: Path, *, n: int = 600, sharpness: float, seed: int = 0) -> Path:
    """Write rows whose label follows `signal` the more closely the sharper."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=n)
    chance = 1 / (1 + np.exp(-sharpness * signal))
    label = np.where(random.random(n) < chance, "right", "left")
    frame = pd.DataFrame({"signal": signal, "noise": random.normal(size=n), "label": label})
    path = folder / "rows.csv"
    frame.to_csv(path, index=False)
    return path


def make_table(place: Place, root: Path) -> Path:
    """Make the project `table` the one that is there, and return its folder."""
    folder = root / "table"
    folder.mkdir(parents=True)
    (folder / "project.yaml").write_text(dedent(SPEC))
    write_rows(folder, sharpness=2.0)
    place.environment["KEEPFIT_PROJECTS"] = str(root)
    return folder

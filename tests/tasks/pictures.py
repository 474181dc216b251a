"""Small pictures for tests: bright or dark squares on noise."""

import numpy as np
import pandas as pd

from tasks.contracts.project import ProjectSpec
from tasks.images import encode_png

SIDE = 12


def picture_rows(n: int = 80, seed: int = 0, *, gain: float = 1.0) -> pd.DataFrame:
    """Return pictures with a square at the left or at the right, and which it is; `gain` makes all darker."""
    rng = np.random.default_rng(seed)
    sides = rng.choice(["left", "right"], n)
    pixels = rng.integers(0, 80, (n, SIDE, SIDE))
    pixels[sides == "left", 4:8, :4] += 120
    pixels[sides == "right", 4:8, -4:] += 120
    shown = (pixels * gain).astype(np.uint8)
    return pd.DataFrame({"picture": [encode_png(each) for each in shown], "side": sides, "n": np.arange(n)})


def picture_spec(candidates: dict[str, object] | None = None, **changes: object) -> ProjectSpec:
    """Return a project of such rows."""
    columns = {
        "picture": {"type": "image", "size": {"height": SIDE, "width": SIDE, "channels": 1}},
        "side": {"type": "category"},
        "n": {"type": "integer", "feature": False},
    }
    nearest = {"nearest": {"estimator": "sklearn.neighbors.KNeighborsClassifier"}}
    raw = {"name": "squares", "source": {"csv": "rows.csv"}, "columns": columns, "target": "side"}
    return ProjectSpec.model_validate({**raw, "candidates": candidates or nearest, **changes})

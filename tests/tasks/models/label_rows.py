"""A real table in which each row has several labels: scikit-learn's 1,797 digits, and what can be said of a digit at once."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from tasks.contracts.project import ProjectSpec
from tasks.models.label_columns import with_sets

LABELS = ["even", "large", "closed"]
"""2, 4, …; 5 and more; with a closed loop in print. 1 and 3 have none of the three, 6 has two, 8 all."""

LOGISTIC: dict[str, Any] = {
    "estimator": "sklearn.linear_model.LogisticRegression", "params": {"max_iter": 300, "C": 0.1},
    "prepare": {"number": {"scale": "standard"}},
}  # fmt: skip
BAYES: dict[str, Any] = {
    "estimator": "sklearn.naive_bayes.GaussianNB",
    "params": {"var_smoothing": 0.01},  # some pixels never vary
}


def read_digits(n: int = 400, every: int = 4) -> pd.DataFrame:
    """Return every fourth pixel, and the labels."""
    digits = load_digits()
    frame = pd.DataFrame(digits.data[:n, ::every], columns=[f"pixel{at}" for at in range(0, 64, every)])
    digit = digits.target[:n]
    labels = {"even": digit % 2 == 0, "large": digit >= 5, "closed": np.isin(digit, [0, 6, 8, 9])}
    return frame.assign(**labels)


def raw_spec(candidates: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return what stands in project.yaml."""
    frame = read_digits(1)
    columns: dict[str, Any] = {name: {"type": "number"} for name in frame if name.startswith("pixel")}
    return {
        "name": "digits",
        "source": {"csv": "rows.csv"},
        "columns": columns | {name: {"type": "boolean"} for name in LABELS},
        "task": "multilabel",
        "target": "properties",
        "labels": LABELS,
        "candidates": candidates or {"logistic": LOGISTIC, "bayes": BAYES},
        **changes,
    }


def labels_spec(candidates: dict[str, Any] | None = None, **changes: Any) -> ProjectSpec:
    """Return the project."""
    return ProjectSpec.model_validate(raw_spec(candidates, **changes))


def label_rows(n: int = 400) -> pd.DataFrame:
    """Return accepted rows: with the set of labels as the target."""
    return with_sets(read_digits(n), labels_spec())

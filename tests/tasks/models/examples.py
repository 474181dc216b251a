"""A small project with every kind of column, and rows for it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tasks.contracts.project import ProjectSpec

CLASSICAL: dict[str, dict[str, Any]] = {
    "knn": {"estimator": "sklearn.neighbors.KNeighborsClassifier"},
    "ball-tree": {"estimator": "sklearn.neighbors.KNeighborsClassifier", "params": {"algorithm": "ball_tree"}},
    "logistic": {
        "estimator": "sklearn.linear_model.LogisticRegression",
        "prepare": {"number": {"scale": "standard", "missing_indicator": True}},
    },
    "forest": {"estimator": "sklearn.ensemble.RandomForestClassifier", "params": {"n_estimators": 10}},
    "boosting": {"estimator": "sklearn.ensemble.GradientBoostingClassifier", "params": {"n_estimators": 10}},
    "histogram": {
        "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
        "params": {"max_iter": 10},
        "prepare": {"number": {"impute": "none"}, "category": {"encode": "ordinal", "min_share": 0.1}},
    },
    "svc": {"estimator": "sklearn.svm.SVC"},
    "perceptron": {"estimator": "sklearn.neural_network.MLPClassifier", "params": {"max_iter": 2000}},
    "bayes": {"estimator": "sklearn.naive_bayes.GaussianNB", "prepare": {"category": {"impute": "most_frequent"}}},
}

WORDS = ("good", "bad", "film", "the", "plot", "don't", "ÜBER")


def mixed_spec(candidates: dict[str, Any] | None = None, **changes: Any) -> ProjectSpec:
    """Return a project with numbers, a category, a text and a class to tell."""
    return ProjectSpec.model_validate(
        {
            "name": "toy",
            "source": {"csv": "rows.csv"},
            "columns": {
                "height": {"type": "number", "null_share": 0.2},
                "count": {"type": "integer"},
                "kind": {"type": "category", "null_share": 0.2},
                "note": {"type": "text"},
                "answer": {"type": "category"},
            },
            "target": "answer",
            "candidates": candidates or CLASSICAL,
            **changes,
        }
    )


def mixed_rows(n: int = 120, seed: int = 0) -> pd.DataFrame:
    """Return rows for it: the class follows from the count and the note."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "height": rng.normal(size=n),
            "count": rng.integers(0, 9, n),
            "kind": rng.choice(["x", "y", "z"], n),
            "note": [" ".join(rng.choice(WORDS, 8)) for _ in range(n)],
        }
    )
    frame["answer"] = np.where(frame["count"] + frame["note"].str.count("good") * 3 > 6, "yes", "no")
    frame.loc[::7, "height"] = np.nan
    frame.loc[::11, "kind"] = None
    return frame


def numbers_spec(candidates: dict[str, Any], **changes: Any) -> ProjectSpec:
    """Return a project of two complete numbers."""
    columns = {"a": {"type": "number"}, "b": {"type": "number"}, "y": {"type": "integer"}}
    raw = {"name": "plain", "source": {"csv": "rows.csv"}, "columns": columns, "target": "y", "candidates": candidates}
    return ProjectSpec.model_validate({**raw, **changes})


def number_rows(n: int = 80, seed: int = 0) -> pd.DataFrame:
    """Return rows whose class is the sign of a + b."""
    values = np.random.default_rng(seed).normal(size=(n, 2))
    return pd.DataFrame({"a": values[:, 0], "b": values[:, 1], "y": (values.sum(axis=1) > 0).astype("int64")})


def no_functions(reference: str) -> Callable[..., Any]:
    raise AssertionError(f"no function of the project is needed, {reference} was asked for")

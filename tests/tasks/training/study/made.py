"""Made data of which one knows what a candidate must suffer from."""

from typing import Any

import numpy as np
import pandas as pd

from tasks.contracts.project import ProjectSpec
from tasks.contracts.study_report import CandidateStudy, Diagnosis
from tasks.training.study.measurement import study_candidates
from tests.tasks.models.examples import no_functions, numbers_spec

BAYES = {"estimator": "sklearn.naive_bayes.GaussianNB"}
LINEAR = {"estimator": "sklearn.linear_model.LogisticRegression"}
TREE = {"estimator": "sklearn.tree.DecisionTreeClassifier", "params": {"max_depth": 6}}
NEIGHBOUR = {"estimator": "sklearn.neighbors.KNeighborsClassifier", "params": {"n_neighbors": 1}}
SHORT = {"seeds": 1}


def noise(n: int, seed: int = 0) -> pd.DataFrame:
    """Return rows whose class follows from nothing."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "y": rng.integers(0, 2, n)})


def chessboard(n: int, seed: int = 0) -> pd.DataFrame:
    """Return rows whose class is the sign of a times b: no line parts them, two cuts do."""
    frame = noise(n, seed)
    return frame.assign(y=(frame["a"] * frame["b"] > 0).astype("int64"))


def two_clouds(n: int, seed: int = 0) -> pd.DataFrame:
    """Return rows of two normal clouds, one standard deviation to each side: a line does what can be done, 84 % are right."""
    frame = noise(n, seed)
    return frame.assign(a=frame["a"] + 2 * frame["y"] - 1)


def stripes(n: int, seed: int = 0) -> pd.DataFrame:
    """Return rows whose class changes with every step of 0.1 in a: a tree finds each stripe once it has rows in it."""
    frame = noise(n, seed)
    return frame.assign(y=np.floor(frame["a"] / 0.1).astype("int64") % 2)


def study(candidates: dict[str, Any], frame: pd.DataFrame, **changes: Any) -> CandidateStudy:
    spec = study_spec(candidates, **changes)
    return study_candidates(spec, frame, no_functions, lambda *told: None)


def study_spec(candidates: dict[str, Any], **changes: Any) -> ProjectSpec:
    return numbers_spec(candidates, **{"study": SHORT, **changes})


def of(report: CandidateStudy, name: str) -> Diagnosis:
    return next(one for one in report.diagnoses if one.candidate == name)

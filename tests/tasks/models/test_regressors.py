"""Regressors: fitted, kept and read again like classifiers; and what a regression is not asked."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from infra.errors import SpecError
from tasks.contracts.project import ProjectSpec
from tasks.models.loading import load_model
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.examples import mixed_rows, mixed_spec, no_functions

CLASSICAL: dict[str, dict[str, Any]] = {
    "linear": {"estimator": "sklearn.linear_model.LinearRegression"},
    "ridge": {"estimator": "sklearn.linear_model.Ridge", "prepare": {"number": {"scale": "standard"}}},
    "lasso": {"estimator": "sklearn.linear_model.Lasso", "params": {"alpha": 0.01}},
    "huber": {"estimator": "sklearn.linear_model.HuberRegressor", "params": {"max_iter": 1000}},
    "tree": {"estimator": "sklearn.tree.DecisionTreeRegressor"},
    "forest": {"estimator": "sklearn.ensemble.RandomForestRegressor", "params": {"n_estimators": 10}},
    "extra-trees": {"estimator": "sklearn.ensemble.ExtraTreesRegressor", "params": {"n_estimators": 10}},
    "boosting": {"estimator": "sklearn.ensemble.GradientBoostingRegressor", "params": {"n_estimators": 10}},
    "histogram": {
        "estimator": "sklearn.ensemble.HistGradientBoostingRegressor",
        "params": {"max_iter": 10},
        "prepare": {"number": {"impute": "none"}, "category": {"encode": "ordinal", "min_share": 0.1}},
    },
    "histogram-of-quantiles": {
        "estimator": "sklearn.ensemble.HistGradientBoostingRegressor",
        "params": {"max_iter": 10, "loss": "quantile", "quantile": 0.9},
    },
    "knn": {"estimator": "sklearn.neighbors.KNeighborsRegressor"},
    "svr": {"estimator": "sklearn.svm.SVR"},
    "perceptron": {"estimator": "sklearn.neural_network.MLPRegressor", "params": {"max_iter": 500, "tol": 1.0}},
    "target-encoded": {
        "estimator": "sklearn.linear_model.Ridge",
        "prepare": {"category": {"encode": "target"}},
    },
    **{
        f"best-{method}": {
            "estimator": "sklearn.linear_model.Ridge",
            "prepare": {"select": {"method": method, "keep": 3}},
        }
        for method in ("variance", "univariate", "information", "model")
    },
}


def value_spec(candidates: dict[str, Any] | None = None, **changes: Any) -> ProjectSpec:
    """Return the project of `mixed_spec` with a value to tell instead of a class."""
    spec = mixed_spec(candidates or CLASSICAL, **changes)
    columns = {name: column.model_dump() for name, column in spec.columns.items()}
    raw = {**spec.model_dump(mode="json"), "columns": {**columns, "answer": {"type": "number"}}}
    del raw["evaluation"], raw["split"]
    return ProjectSpec.model_validate(raw)


def value_rows(n: int = 120, seed: int = 0) -> pd.DataFrame:
    """Return rows whose value follows from the count, the kind and the note."""
    frame = mixed_rows(n, seed)
    noise = np.random.default_rng(seed + 1).normal(size=n)
    good = frame["note"].str.count("good")
    return frame.assign(answer=100 + 10 * frame["count"] + 5 * (frame["kind"] == "x") + 8 * good + noise)


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_regressor_answers_values_and_is_itself_once_loaded(name: str, tmp_path: Path) -> None:
    spec, frame = value_spec(), value_rows()
    model = fit_candidate(name, spec, frame, load=no_functions)
    assert model.classes == ()
    answers = model.predict(frame)
    assert (answers.dtype, answers.shape) == (np.float64, (120,))
    content = save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model", expected_content=content)
    assert again.classes == ()
    assert np.array_equal(again.predict(frame), answers)
    assert save_model(fit_candidate(name, spec, frame, load=no_functions), tmp_path / "twin") == content


def test_a_regression_learns_what_the_value_follows_from() -> None:
    train, test = value_rows(400), value_rows(100, seed=5)
    model = fit_candidate("ridge", value_spec(), train, load=no_functions)
    error = np.sqrt(np.mean((model.predict(test) - test["answer"]) ** 2))
    assert error < 0.2 * test["answer"].std()


def test_a_count_may_be_declared_a_value() -> None:
    frame = value_rows()
    counted = frame.assign(answer=frame["answer"].round().astype("int64"))
    raw = value_spec().model_dump(mode="json")
    raw["columns"]["answer"]["type"] = "integer"
    model = fit_candidate("knn", ProjectSpec.model_validate({**raw, "task": "regression"}), counted, load=no_functions)
    assert not np.array_equal(model.predict(frame), model.predict(frame).round())
    with pytest.raises(SpecError, match=r"expected a scikit-learn classifier, received sklearn\.neighbors\.KNeigh"):
        fit_candidate("knn", ProjectSpec.model_validate({**raw, "task": None}), counted, load=no_functions)


def test_a_classifier_is_no_candidate_of_a_regression() -> None:
    spec = value_spec({"logistic": {"estimator": "sklearn.linear_model.LogisticRegression"}})
    with pytest.raises(
        SpecError, match=r"expected a scikit-learn regressor, .*\n?.*the target 'answer' is of type number"
    ):
        fit_candidate("logistic", spec, value_rows(), load=no_functions)

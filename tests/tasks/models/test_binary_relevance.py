"""Candidates of a multi-label project: one classifier a label, kept and read again like any other."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from infra.errors import SpecError, TrainingFailed
from tasks.metrics.label_sets import gather_bits, write_sets
from tasks.models.label_columns import spread_sets, with_sets
from tasks.models.loading import load_model
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.examples import no_functions
from tests.tasks.models.label_rows import BAYES, LABELS, LOGISTIC, label_rows, labels_spec

CANDIDATES: dict[str, dict[str, Any]] = {
    "logistic": LOGISTIC,
    "bayes": BAYES,
    "knn": {"estimator": "sklearn.neighbors.KNeighborsClassifier"},
    "forest": {"estimator": "sklearn.ensemble.RandomForestClassifier", "params": {"n_estimators": 10}},
    "boosting": {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "params": {"max_iter": 5}},
    "linear-svc": {"estimator": "sklearn.svm.LinearSVC", "prepare": {"number": {"scale": "standard"}}},
}


def fit(name: str, rows: pd.DataFrame | None = None, **changes: Any) -> Any:
    return fit_candidate(
        name, labels_spec(CANDIDATES, **changes), label_rows() if rows is None else rows, load=no_functions
    )


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_candidate_answers_sets_of_labels_and_does_so_again_after_it_was_stored(name: str, tmp_path: Path) -> None:
    model, rows = fit(name), label_rows()
    assert model.classes == tuple(LABELS)
    shares = model.predict_proba(rows)
    assert shares.shape == (400, 3)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert model.predict(rows).tolist() == write_sets(gather_bits(shares > 0.5), LABELS).tolist()
    assert (spread_sets(model.predict(rows), labels_spec()) == rows[LABELS]).to_numpy().mean() > 0.65
    content = save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model", content, no_functions)
    assert np.array_equal(again.predict_proba(rows), shares)
    assert save_model(fit(name), tmp_path / "again") == content, "the same fit is another model"


@pytest.mark.parametrize("name", ["logistic", "forest"])
def test_each_label_is_answered_as_a_project_of_that_label_alone_would(name: str) -> None:
    rows, spec = label_rows(), labels_spec(CANDIDATES)
    together = fit(name).predict_proba(rows)
    for at, label in enumerate(LABELS):
        alone = fit_candidate(name, spec.of_label(label), rows, load=no_functions)
        assert np.allclose(together[:, at], alone.predict_proba(rows)[:, 1], atol=1e-12)


def test_older_rows_weigh_less_where_the_project_asks_for_it() -> None:
    at = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(range(400), unit="D")
    columns = {**{name: one.model_dump() for name, one in labels_spec().columns.items()}, "at": {"type": "datetime"}}
    del columns["properties"]
    rows = label_rows().assign(at=at)
    shares = [
        fit("logistic", rows, columns=columns, time="at", training_rows=kept).predict_proba(rows)
        for kept in ({"keep": "all"}, {"keep": "decay", "half_life_days": 20})
    ]
    assert not np.allclose(*shares)


def test_a_label_that_the_estimator_cannot_learn_names_the_candidate() -> None:
    rows = with_sets(label_rows().assign(even=True), labels_spec())
    with pytest.raises(TrainingFailed, match=r"digits: candidates.logistic could not be fitted on 400 rows"):
        fit("logistic", rows)


def test_a_regressor_is_no_candidate_of_labels() -> None:
    spec = labels_spec({"ridge": {"estimator": "sklearn.linear_model.Ridge"}})
    with pytest.raises(SpecError, match="expected a scikit-learn classifier"):
        fit_candidate("ridge", spec, label_rows(), load=no_functions)


def test_a_set_is_as_missing_as_its_least_known_label_and_comes_apart_again() -> None:
    spec = labels_spec()
    raw = pd.DataFrame(
        {"even": [True, "false", 1, None], "large": ["TRUE", 0, 0.0, True], "closed": [False, "0", True, True]}
    )
    rows = with_sets(raw, spec)
    assert rows["properties"].tolist()[:3] == ["even+large", "none", "even+closed"]
    assert rows["properties"].isna().tolist() == [False, False, False, True]
    assert with_sets(raw.drop(columns="even"), spec).columns.tolist() == ["large", "closed"]
    apart = spread_sets(rows["properties"][:3], spec)
    assert apart.to_numpy().tolist() == [[True, True, False], [False, False, False], [True, False, True]]

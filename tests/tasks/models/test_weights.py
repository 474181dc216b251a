"""Older rows count less where the project asks for it, and only there."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import InsufficientData, SpecError
from tasks.models.inputs import Rows
from tasks.models.recipes import fit_candidate
from tasks.models.weights import weigh
from tests.tasks.models.examples import no_functions, numbers_spec

COLUMNS = {"a": {"type": "number"}, "b": {"type": "number"}, "y": {"type": "integer"}, "at": {"type": "datetime"}}
DECAY = {"keep": "decay", "half_life_days": 10}
LOGISTIC = {"estimator": "sklearn.linear_model.LogisticRegression"}


def spec(candidate=LOGISTIC, **rows):
    return numbers_spec({"one": candidate}, columns=COLUMNS, time="at", training_rows=rows or {"keep": "all"})


def turned_rows(n=400):
    """Return rows whose rule turns round in the middle of 100 days."""
    a, b = np.random.default_rng(0).normal(size=(2, n))
    at = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.linspace(0, 100, n), unit="D")
    y = np.where(np.arange(n) < n / 2, a > 0, a < 0).astype("int64")
    return pd.DataFrame({"a": a, "b": b, "y": y, "at": at})


@given(st.lists(st.floats(0, 2000), min_size=1, max_size=30), st.floats(0, 1e6))
def test_weights_have_mean_one_and_know_differences_of_age_only(ages, shift):
    weights = weigh(np.array(ages))
    assert weights.mean() == pytest.approx(1)
    assert np.all(np.diff(weights[np.argsort(ages)]) <= 0)
    assert weigh(np.array(ages) + shift) == pytest.approx(weights, rel=1e-6, abs=1e-9)


def test_a_row_a_half_life_older_weighs_half():
    rows = Rows.read(turned_rows(), spec(**DECAY))
    days = np.linspace(0, 100, 400)
    assert rows.weights[-1] / rows.weights[np.abs(days - 90).argmin()] == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize(
    "candidate",
    [
        LOGISTIC,
        {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "params": {"max_iter": 20}},
        {"estimator": "sklearn.svm.LinearSVC"},
    ],
    ids=["logistic", "boosting", "calibrated"],
)
def test_decay_follows_a_world_that_turned_round_and_all_rows_do_not(candidate):
    rows = turned_rows()
    last = rows.iloc[300:]
    followed = fit_candidate("one", spec(candidate, **DECAY), rows, load=no_functions)
    assert (followed.predict(last) == last["y"]).mean() > 0.9
    stayed = fit_candidate(
        "one", spec(candidate), rows.assign(y=rows["y"].where(rows.index < 301, 0)), load=no_functions
    )
    assert (stayed.predict(last) == last["y"]).mean() < 0.7


def test_without_decay_nothing_is_weighed():
    assert Rows.read(turned_rows(), spec()).weights is None


def test_a_fold_of_old_rows_weighs_as_much_as_one_of_new_rows():
    rows = Rows.read(turned_rows(), spec(keep="decay", half_life_days=0.01))
    assert rows.take(np.arange(50)).weights.mean() == pytest.approx(1)


@pytest.mark.parametrize(
    "estimator", ["neighbors.KNeighborsClassifier", "discriminant_analysis.LinearDiscriminantAnalysis"]
)
def test_an_estimator_that_takes_no_weights_is_refused(estimator):
    with pytest.raises(SpecError, match=r"candidates.one.estimator: .*'decay' needs .* sample_weight") as caught:
        fit_candidate("one", spec({"estimator": f"sklearn.{estimator}"}, **DECAY), turned_rows(), load=no_functions)
    assert "keep: last" in caught.value.remedy


def test_a_row_without_its_time_is_refused():
    rows = turned_rows()
    rows.loc[3, "at"] = pd.NaT
    with pytest.raises(InsufficientData, match="'at' in every row; 1 of 400 are missing"):
        Rows.read(rows, spec(**DECAY))

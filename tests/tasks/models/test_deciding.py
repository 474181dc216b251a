"""Rare classes, calibrated probabilities and thresholds: what each changes, and what it never looks at."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, confusion_matrix, f1_score, log_loss

from infra.errors import InsufficientData, SpecError
from tasks.contracts.imbalance import Balance, Costs
from tasks.metrics.registry import METRICS
from tasks.models.balancing import balance_rows, weigh_rows
from tasks.models.deciding import apply_curves, learn_curves, log_odds, tune_threshold
from tasks.models.inputs import Rows
from tasks.models.loading import load_model
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.examples import no_functions, number_rows, numbers_spec

LOGISTIC = {"estimator": "sklearn.linear_model.LogisticRegression"}
BAYES = {"estimator": "sklearn.naive_bayes.GaussianNB"}


def rare_rows(n=2_000, seed=0, share=0.05):
    """Return rows of which about `share` are positive, and that overlap."""
    random = np.random.default_rng(seed)
    y = (random.random(n) < share).astype("int64")
    return pd.DataFrame({"a": random.normal(size=n) + 1.5 * y, "b": random.normal(size=n), "y": y})


def fit(rows, candidate, **changes):
    return fit_candidate("one", numbers_spec({"one": candidate}, **changes), rows, load=no_functions)


def rows_of(target, inputs=None):
    target = np.asarray(target)
    return Rows(np.arange(len(target), dtype=float)[:, None] if inputs is None else inputs, target, None)


@given(st.lists(st.integers(0, 2), min_size=3, max_size=60).filter(lambda classes: len(set(classes)) > 1))
def test_balanced_classes_count_alike_and_resampled_ones_are_as_many(target):
    rows = rows_of(target)
    weights = weigh_rows(rows, Balance(weights="balanced"))
    assert weights is not None
    assert np.isclose(weights.mean(), 1)
    totals = [weights[rows.target == each].sum() for each in np.unique(rows.target)]
    assert np.allclose(totals, totals[0])
    _, before = np.unique(rows.target, return_counts=True)
    over, under = (balance_rows(rows, Balance(resample=how), 0) for how in ("over", "under"))
    assert set(np.unique(over.target, return_counts=True)[1]) == {before.max()}
    assert set(np.unique(under.target, return_counts=True)[1]) == {before.min()}
    assert set(over.inputs[:, 0]) == set(rows.inputs[:, 0]), "no row is lost by drawing others again"
    assert len(set(under.inputs[:, 0])) == len(under)


@pytest.mark.parametrize("balance", [{"weights": "balanced"}, {"resample": "over"}, {"resample": "under"}], ids=str)
def test_a_balanced_fit_finds_more_of_the_rare_class(balance):
    rows, fresh = rare_rows(), rare_rows(seed=1)
    bare, balanced = fit(rows, LOGISTIC), fit(rows, {**LOGISTIC, "balance": balance})
    rare = fresh["y"] == 1
    assert balanced.predict(fresh)[rare].mean() > bare.predict(fresh)[rare].mean() + 0.3


def test_calibration_gives_back_the_shares_that_balancing_took():
    rows, fresh = rare_rows(), rare_rows(seed=1)
    over = {**LOGISTIC, "balance": {"resample": "over"}}
    mean = {how: fit(rows, {**over, "calibrate": how}).predict_proba(fresh)[:, 1].mean() for how in ("none", "sigmoid")}
    assert mean["none"] > 0.2
    assert abs(mean["sigmoid"] - 0.05) < 0.015


@pytest.mark.parametrize("how", ["sigmoid", "isotonic"])
def test_calibrated_probabilities_are_nearer_to_the_truth(how):
    """Naive Bayes counts what two columns say alike twice, and is too sure."""

    def draw(seed):
        frame = number_rows(1_500, seed)
        frame["y"] = (frame["a"] + np.random.default_rng(seed + 9).normal(size=len(frame)) > 0).astype("int64")
        return frame.assign(b=frame["a"])

    rows, fresh = draw(0), draw(1)
    raw, calibrated = fit(rows, BAYES), fit(rows, {**BAYES, "calibrate": how})
    score = [brier_score_loss(fresh["y"], model.predict_proba(fresh)[:, 1]) for model in (raw, calibrated)]
    assert score[1] < score[0] - 0.003
    assert np.allclose(calibrated.predict_proba(fresh).sum(axis=1), 1)


@pytest.mark.parametrize("how", ["sigmoid", "isotonic"])
def test_a_curve_never_reverses_an_order(how):
    random = np.random.default_rng(0)
    share = random.random(500)
    curves = learn_curves((random.random(500) < share**2).astype(int), np.column_stack([1 - share, share]), how)
    asked = np.linspace(0, 1, 101)
    turned = apply_curves(np.column_stack([1 - asked, asked]), curves)[:, 1]
    assert (np.diff(turned) >= -1e-12).all()
    assert turned[50] < 0.4, "half of a share that is squared is a quarter"


def test_what_is_calibrated_already_stays_as_it_is():
    random = np.random.default_rng(0)
    share = random.random(20_000)
    shares = np.column_stack([1 - share, share])
    curves = learn_curves((random.random(20_000) < share).astype(int), shares, "sigmoid")
    assert np.abs(apply_curves(shares, curves) - shares).max() < 0.02
    assert np.allclose(log_odds(np.array([0.5])), 0)


def test_a_tuned_threshold_is_better_at_what_it_was_tuned_for():
    rows, fresh = rare_rows(), rare_rows(seed=1)
    spec = {"decision": {"threshold": "tuned", "metric": "f1"}}
    bare, tuned = fit(rows, LOGISTIC), fit(rows, LOGISTIC, **spec)
    assert np.array_equal(bare.predict_proba(fresh), tuned.predict_proba(fresh)), "a threshold changes no probability"
    assert f1_score(fresh["y"], tuned.predict(fresh)) > f1_score(fresh["y"], bare.predict(fresh)) + 0.1


def test_costs_decide_where_they_are_given():
    rows, fresh = rare_rows(), rare_rows(seed=1)
    decision = {"threshold": "tuned", "costs": {"false_positive": 1, "false_negative": 20}}

    def cost(model):
        (_, false_positive), (false_negative, _) = confusion_matrix(fresh["y"], model.predict(fresh))
        return false_positive + 20 * false_negative

    assert cost(fit(rows, LOGISTIC, decision=decision)) < 0.8 * cost(fit(rows, LOGISTIC))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=30), st.integers(0, 1))
def test_no_other_threshold_is_better_on_the_rows_that_it_was_tuned_on(rows, positive):
    truth = np.array([int(is_one) for is_one, _ in rows])
    share = np.array([place / 8 for _, place in rows])
    costs = Costs(false_positive=1, false_negative=3)

    def cost(threshold):
        said = np.where(share >= threshold, positive, 1 - positive)
        wrong = said != truth
        return (wrong & (truth == positive)).sum() * 3 + (wrong & (truth != positive)).sum()

    found = tune_threshold(truth, share, positive, None, costs)
    assert cost(found) == min(cost(each) for each in np.linspace(-0.03, 1.03, 60))


def test_the_threshold_of_an_even_world_is_near_a_half():
    random = np.random.default_rng(0)
    share = random.random(20_000)
    truth = (random.random(20_000) < share).astype(int)
    assert abs(tune_threshold(truth, share, 1, METRICS["accuracy"]) - 0.5) < 0.05


def test_a_model_that_decides_is_stored_and_read_without_a_change(tmp_path):
    decision = {"threshold": "tuned", "metric": "balanced_accuracy"}
    model = fit(rare_rows(), {**LOGISTIC, "calibrate": "isotonic"}, decision=decision)
    content = save_model(model, tmp_path / "one.model")
    loaded, fresh = load_model(tmp_path / "one.model", expected_content=content), rare_rows(seed=1)
    assert np.array_equal(model.predict(fresh), loaded.predict(fresh))
    assert np.array_equal(model.predict_proba(fresh), loaded.predict_proba(fresh))
    assert loaded.predict(fresh).mean() > 0.1


def test_three_classes_are_calibrated_and_have_no_threshold():
    random = np.random.default_rng(0)
    frame = number_rows(600).assign(y=random.integers(0, 3, 600))
    frame["a"] += 2 * frame["y"]
    model = fit(frame, {**BAYES, "calibrate": "sigmoid"})
    assert np.allclose(model.predict_proba(frame).sum(axis=1), 1)
    assert log_loss(frame["y"], model.predict_proba(frame)) < 1
    with pytest.raises(SpecError, match="tuned is for two classes, the target has 3"):
        fit(frame, BAYES, decision={"threshold": "tuned"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decision": {"threshold": "tuned", "metric": "roc_auc"}}, "roc_auc reads probabilities"),
        ({"decision": {"threshold": "tuned", "metric": "f_one"}}, "decision.metric: 'f_one' is no metric"),
    ],
    ids=["scores", "misspelt"],
)
def test_a_threshold_for_what_no_threshold_changes_is_refused(changes, message):
    with pytest.raises(SpecError, match=message):
        fit(rare_rows(200, share=0.3), LOGISTIC, **changes)


def test_balanced_weights_need_an_estimator_that_takes_them():
    candidate = {"estimator": "sklearn.neighbors.KNeighborsClassifier", "balance": {"weights": "balanced"}}
    with pytest.raises(
        SpecError, match=r"balance\.weights 'balanced' needs an estimator whose fit takes sample_weight"
    ):
        fit(rare_rows(100, share=0.3), candidate)


def test_too_few_rows_of_a_class_to_calibrate_are_said_to_be_too_few():
    frame = number_rows(40).assign(y=[1, 1, 1] + [0] * 37)
    with pytest.raises(InsufficientData, match="Expected at least 5 training rows of class 1, received 3"):
        fit(frame, {**LOGISTIC, "calibrate": "sigmoid"})

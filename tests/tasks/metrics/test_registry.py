import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import SpecError
from tasks.contracts.metrics import OF_CLASSES, OF_SETS, OF_VALUES
from tasks.metrics.answers import Answers
from tasks.metrics.registry import METRICS, find_metric, find_positive

seeds = st.integers(0, 2**32 - 1)


def sklearn_value(name, truth, model, weights, k, positive):
    """Return scikit-learn's figure for the same rows."""
    from sklearn import metrics as sk

    present = np.unique(truth)
    proba = model.proba
    score = proba[:, positive] if k == 2 else None

    def one_versus_rest(one):
        if k == 2:
            return one(truth == positive, score, sample_weight=weights)
        return np.mean([one(truth == code, proba[:, code], sample_weight=weights) for code in present])

    binary = {"pos_label": positive, "zero_division": 0.0, "sample_weight": weights}
    known = {
        "accuracy": lambda: sk.accuracy_score(truth, model.predicted, sample_weight=weights),
        "balanced_accuracy": lambda: sk.balanced_accuracy_score(truth, model.predicted, sample_weight=weights),
        "precision": lambda: sk.precision_score(truth, model.predicted, **binary),
        "recall": lambda: sk.recall_score(truth, model.predicted, **binary),
        "f1": lambda: sk.f1_score(truth, model.predicted, **binary),
        "f1_macro": lambda: sk.f1_score(truth, model.predicted, average="macro", sample_weight=weights),
        "mcc": lambda: sk.matthews_corrcoef(truth, model.predicted, sample_weight=weights),
        "log_loss": lambda: sk.log_loss(truth, proba, labels=range(k), sample_weight=weights),
        "brier": lambda: sk.brier_score_loss(truth, proba, labels=range(k), sample_weight=weights),
        "roc_auc": lambda: one_versus_rest(sk.roc_auc_score),
        "pr_auc": lambda: one_versus_rest(sk.average_precision_score),
    }
    with warnings.catch_warnings():
        # A predicted class that does not occur, which scikit-learn points out.
        warnings.simplefilter("ignore", UserWarning)
        return known[name]()


@st.composite
def classified(draw, k):
    """Truth, answers with many ties, and weights; classes may be absent from the answers."""
    rng = np.random.default_rng(draw(seeds))
    n = draw(st.integers(2 * k, 40))
    truth = np.r_[np.arange(k), rng.integers(draw(st.integers(2, k)), size=n - k)]
    proba = rng.integers(draw(st.integers(1, 3)), 5, size=(n, k)).astype(float)
    proba /= proba.sum(axis=1, keepdims=True)
    predicted = rng.integers(draw(st.integers(1, k)), size=n)
    return truth, Answers("candidate", "m", predicted, proba), rng.integers(1, 4, size=n).astype(float)


@pytest.mark.slow
@pytest.mark.parametrize("k", [2, 4], ids=["binary", "four_classes"])
@pytest.mark.parametrize("name", [m.name for m in METRICS.values() if m.uses in ("labels", "scores")])
@given(data=st.data())
@settings(max_examples=25)
def test_a_metric_is_what_scikit_learn_says_with_ties_and_weights(name, k, data):
    metric = METRICS[name]
    if metric.binary_only and k != 2:
        return
    truth, model, weights = data.draw(classified(k))
    ours = metric.measure(truth, model, weights[None, :], k, 1)[0]
    assert ours == pytest.approx(sklearn_value(name, truth, model, weights, k, 1), abs=1e-9)


@pytest.mark.parametrize("name", ["mae", "rmse", "r2"])
@given(seed=seeds)
@settings(max_examples=25)
def test_a_regression_metric_is_what_scikit_learn_says(name, seed):
    from sklearn import metrics as sk

    rng = np.random.default_rng(seed)
    truth, predicted = rng.normal(50, 3, 20), rng.normal(50, 3, 20)
    weights = rng.integers(1, 4, 20).astype(float)
    theirs = {"mae": sk.mean_absolute_error, "rmse": sk.root_mean_squared_error, "r2": sk.r2_score}[name]
    ours = METRICS[name].measure(truth, Answers("candidate", "m", predicted), weights[None, :], 0, -1)[0]
    assert ours == pytest.approx(theirs(truth, predicted, sample_weight=weights), rel=1e-9)


@pytest.mark.parametrize("name", list(METRICS))
def test_many_draws_give_what_each_gives_alone(name):
    rng = np.random.default_rng(1)
    metric, n = METRICS[name], 30
    truth = rng.integers(2, size=n) if metric.uses != "values" else rng.normal(size=n)
    p = rng.random(n)
    predicted = (p > 0.5).astype(int) if metric.uses != "values" else rng.normal(size=n)
    model = Answers("candidate", "m", predicted, np.column_stack([1 - p, p]))
    weights = rng.integers(0, 3, size=(7, n)).astype(float)
    together = metric.measure(truth, model, weights, 2, 1)
    alone = [metric.measure(truth, model, row[None, :], 2, 1)[0] for row in weights]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


@pytest.mark.parametrize("name", list(METRICS))
def test_nan_anywhere_gives_a_nan_metric(name):
    metric = METRICS[name]
    truth = np.array([0, 1, 0, 1])
    proba = np.array([[0.9, 0.1], [0.2, 0.8], [np.nan, np.nan], [0.4, 0.6]])
    predicted = np.array([0.0, 1.0, np.nan, 1.0]) if metric.uses == "values" else np.array([0, 1, -1, 1])
    model = Answers("candidate", "m", predicted, None if metric.uses == "values" else proba)
    assert np.isnan(metric.value(truth, model, 2, 1))


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc", "recall"])
def test_a_metric_of_positives_is_undefined_without_any(name):
    model = Answers("candidate", "m", np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]))
    assert np.isnan(METRICS[name].value(np.zeros(3, dtype=int), model, 2, 1))


def test_r2_is_undefined_for_a_constant_truth():
    assert np.isnan(METRICS["r2"].value(np.full(5, 0.1), Answers("candidate", "m", np.full(5, 0.2)), 0, -1))


def test_the_log_loss_of_a_certain_error_is_finite():
    model = Answers("candidate", "m", np.array([1, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert 15 < METRICS["log_loss"].value(np.array([0, 1]), model, 2, 1) < 20


def test_a_metric_of_scores_refuses_a_model_of_labels():
    with pytest.raises(SpecError, match="roc_auc needs probabilities, and m gives labels only"):
        METRICS["roc_auc"].value(np.array([0, 1]), Answers("candidate", "m", np.array([0, 1])), 2, 1)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("acuracy", "accuracy"), ("roc-auc", "roc_auc"), ("F1_macro", "f1_macro"), ("logloss", "log_loss")],
)
def test_a_misspelt_metric_is_refused_with_the_nearest(name, nearest):
    with pytest.raises(SpecError, match=rf"evaluation.also: '{name}' is no metric") as caught:
        find_metric(name, 2, where="evaluation.also")
    assert f"Did you mean {nearest!r}?" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "k", "message"),
    [
        ("f1", 3, "is for 2 classes, received 3"),
        ("accuracy", 0, "does not go with a regression"),
        ("rmse", 2, "does not go with a classification"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused(name, k, message):
    with pytest.raises(SpecError, match=message):
        find_metric(name, k)


@pytest.mark.parametrize(
    ("wanted", "classes", "code"),
    [
        (None, ("no", "yes"), 1),
        ("no", ("no", "yes"), 0),
        (0, (0, 1), 0),
        (True, (False, True), 1),
        (1, ("0", "1"), 1),
        (True, ("False", "True"), 1),
        ("a", ("a", "b", "c"), -1),
    ],
)
def test_the_positive_class_is_found_by_the_name_it_has_among_the_classes(wanted, classes, code):
    assert find_positive(wanted, classes) == code


@pytest.mark.parametrize(
    ("wanted", "classes"), [("maybe", ("no", "yes")), (2, ("0", "1")), (True, (0, 1)), ("1", (0, 1))]
)
def test_a_positive_class_that_is_none_of_the_classes_is_refused(wanted, classes):
    with pytest.raises(SpecError, match=r"evaluation.positive: expected one of .*, received"):
        find_positive(wanted, classes)


def test_the_names_that_are_known_before_numpy_is_are_those_that_there_are():
    of_values = tuple(metric.name for metric in METRICS.values() if metric.uses == "values")
    of_classes = tuple(metric.name for metric in METRICS.values() if metric.uses in ("labels", "scores"))
    of_sets = tuple(metric.name for metric in METRICS.values() if metric.uses in ("sets", "rankings"))
    assert (of_classes, of_sets, of_values) == (OF_CLASSES, OF_SETS, OF_VALUES)

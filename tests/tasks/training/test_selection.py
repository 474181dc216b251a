import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import InsufficientData, SpecError
from tasks.contracts.project import Split
from tasks.models.inputs import Rows
from tasks.models.partition import cross_validate
from tasks.training.fold_scores import corrected_standard_error
from tasks.training.selection import _folds, select_candidate
from tests.tasks.models.examples import no_functions, number_rows, numbers_spec

NB = {"estimator": "sklearn.naive_bayes.GaussianNB"}
BLIND = {"estimator": "sklearn.dummy.DummyClassifier"}
LOGISTIC = {"estimator": "sklearn.linear_model.LogisticRegression"}


def _silent(*told):
    pass


def _select(candidates, frame=None, **changes):
    spec = numbers_spec(candidates, **changes)
    scores = select_candidate(spec, number_rows() if frame is None else frame, no_functions, _silent)
    return {score.candidate: score for score in scores}


def _chosen(scores):
    return [name for name, score in scores.items() if score.chosen]


@pytest.mark.parametrize("method", ["cross_validation", "holdout"])
def test_a_clearly_better_candidate_is_chosen_wherever_it_is_listed(method):
    selection = {"method": method}
    assert _chosen(_select({"blind": BLIND, "nb": NB}, selection=selection)) == ["nb"]
    assert _chosen(_select({"nb": NB, "blind": BLIND}, selection=selection)) == ["nb"]


@pytest.mark.parametrize(("rule", "expected"), [("best", "wide"), ("one_standard_error", "narrow")])
def test_among_equals_the_first_listed_is_chosen_unless_the_best_is_asked_for(rule, expected):
    knn = "sklearn.neighbors.KNeighborsClassifier"
    candidates = {name: {"estimator": knn, "params": {"n_neighbors": k}} for name, k in (("narrow", 1), ("wide", 9))}
    scores = _select(candidates, number_rows(60, seed=1), selection={"rule": rule, "folds": 5})
    assert 0 < scores["wide"].mean - scores["narrow"].mean <= scores["wide"].standard_error
    assert _chosen(scores) == [expected]
    assert scores[expected].reason


def test_where_lower_is_better_the_lowest_is_chosen():
    scores = _select({"blind": BLIND, "logistic": LOGISTIC}, evaluation={"metric": "log_loss"})
    assert scores["logistic"].mean < scores["blind"].mean
    assert _chosen(scores) == ["logistic"]


def test_all_candidates_are_judged_on_the_same_folds():
    scores = _select({"one": NB, "same": NB}, selection={"folds": 5, "repeats": 3})
    assert scores["one"].scores == scores["same"].scores
    assert len(scores["one"].scores) == 15


def test_more_repeats_do_not_make_the_standard_error_as_small_as_one_likes():
    errors = [
        _select({"nb": NB}, selection={"folds": 5, "repeats": repeats})["nb"].standard_error for repeats in (2, 40)
    ]
    assert errors[1] > 0.6 * errors[0]


def test_the_standard_error_is_nadeau_and_bengios():
    folds = [(np.arange(9), np.arange(1))] * 10
    scores = [0.8, 0.9] * 5
    assert corrected_standard_error(scores, folds) == pytest.approx(
        np.sqrt((1 / 10 + 1 / 9) * np.var(scores, ddof=1)), rel=1e-12
    )


def test_the_standard_error_of_a_holdout_is_near_the_binomial_one():
    score = _select({"nb": NB}, number_rows(4_000), selection={"method": "holdout", "holdout_share": 0.25})["nb"]
    assert score.std == 0
    assert score.standard_error == pytest.approx(np.sqrt(score.mean * (1 - score.mean) / 1_000), rel=0.2)


def test_selection_is_the_same_each_time_and_leaves_the_rows_alone():
    frame = number_rows()
    assert _select({"nb": NB}, frame) == _select({"nb": NB}, frame)
    pd.testing.assert_frame_equal(frame, number_rows())


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=24, max_size=60),
    st.sampled_from(["random", "ordered", "grouped"]),
    st.integers(2, 4),
)
def test_folds_part_the_rows_as_the_project_does(rows, method, folds):
    target, by = (np.array(values) for values in zip(*rows, strict=True))
    split = Split(method=method, column="at")
    try:
        found = cross_validate(target, by, split, folds=folds, repeats=2, seed=0)
    except InsufficientData:
        return
    for fit, judge in found:
        assert not set(fit) & set(judge)
        if method == "ordered":
            assert by[fit].max() < by[judge].min()
        if method == "grouped":
            assert not set(by[fit]) & set(by[judge])
    judged = np.concatenate([judge for _, judge in found])
    if method == "ordered":
        assert len(set(judged)) == len(judged)
    else:
        assert sorted(judged) == sorted([*range(len(rows))] * 2)


def test_a_class_with_fewer_rows_than_folds_is_not_enough():
    frame = number_rows().assign(y=[1] * 3 + [0] * 77)
    with pytest.raises(InsufficientData, match="at least 5 training rows of class 1, received 3"):
        _select({"nb": NB}, frame)


def test_a_metric_that_selection_does_not_know_is_refused_with_the_nearest():
    with pytest.raises(SpecError, match="'acuracy' is no metric") as caught:
        _select({"nb": NB}, evaluation={"metric": "acuracy"})
    assert "accuracy" in caught.value.remedy


def test_a_metric_that_a_fold_leaves_undefined_is_not_enough_data():
    frame = number_rows(60).assign(y=[0, 1] * 15 + [0] * 30, at=range(60))
    columns = {name: {"type": "number"} for name in "ab"} | {name: {"type": "integer"} for name in ("y", "at")}
    split = {"method": "ordered", "column": "at"}
    changes = {"columns": columns, "split": split, "selection": {"folds": 2}, "evaluation": {"metric": "roc_auc"}}
    with pytest.raises(InsufficientData, match=r"roc_auc is undefined on one fold of \d+ rows"):
        _select({"nb": NB}, frame, **changes)


@pytest.mark.parametrize("positive", [0, 1])
def test_selection_measures_the_class_that_the_project_calls_positive(positive):
    always_one = {"estimator": "sklearn.dummy.DummyClassifier", "params": {"strategy": "constant", "constant": 1}}
    scores = _select({"one": always_one}, evaluation={"metric": "recall", "positive": positive})
    assert scores["one"].mean == positive


def test_a_holdout_of_ordered_rows_is_judged_on_what_comes_after_all_that_was_fitted():
    columns = {name: {"type": "number"} for name in "ab"} | {"y": {"type": "integer"}, "at": {"type": "datetime"}}
    split = {"method": "ordered", "column": "at", "test_days": 5}
    selection = {"method": "holdout", "holdout_share": 0.25}
    spec = numbers_spec({"nb": NB}, columns=columns, split=split, selection=selection, time="at")
    at = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.random.default_rng(0).permutation(80), unit="D")
    ((fit, judge),) = _folds(spec, Rows.read(number_rows().assign(at=at), spec))
    assert len(judge) == 20
    assert at[fit].max() < at[judge].min()

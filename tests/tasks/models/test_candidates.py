import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import SpecError, TrainingFailed
from tasks.models.recipes import fit_candidate
from tests.tasks.models.examples import CLASSICAL, mixed_rows, mixed_spec, no_functions, number_rows, numbers_spec


@pytest.mark.parametrize("name", CLASSICAL)
def test_every_candidate_answers_with_its_classes_and_with_probabilities(name):
    model = fit_candidate(name, mixed_spec(), mixed_rows(), load=no_functions)
    frame = mixed_rows(30, seed=1)
    shares = model.predict_proba(frame)
    assert model.classes == ("no", "yes")
    assert shares.shape == (30, 2)
    assert shares.dtype == np.float64
    assert np.allclose(shares.sum(axis=1), 1)
    assert set(model.predict(frame)) <= set(model.classes)


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_fit_leaves_its_rows_untouched_and_repeats(name):
    frame, rows = mixed_rows(30, seed=1), mixed_rows()
    first = fit_candidate(name, mixed_spec(), rows, load=no_functions).predict_proba(frame)
    pd.testing.assert_frame_equal(rows, mixed_rows())
    assert np.array_equal(first, fit_candidate(name, mixed_spec(), rows, load=no_functions).predict_proba(frame))


@pytest.mark.slow
@settings(max_examples=5)
@given(st.integers(0, 1000))
def test_an_answer_does_not_depend_on_the_other_rows_of_its_batch(seed):
    model = fit_candidate("logistic", mixed_spec(), mixed_rows(60, seed), load=no_functions)
    frame = mixed_rows(20, seed + 1)
    alone = np.vstack([model.predict_proba(frame.iloc[at : at + 1]) for at in range(len(frame))])
    assert np.allclose(model.predict_proba(frame), alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("candidate", "message", "remedy"),
    [
        ({"estimator": "sklearn.neighbors.KNeighbourClassifier"}, "has no 'KNeighbour", "KNeighborsClassifier"),
        ({"estimator": "sklearn.neighbours.KNeighborsClassifier"}, "no module 'sklearn.neighbours'", ""),
        ({"estimator": "sklearn.linear_model.LinearRegression"}, "expected a scikit-learn classifier", ""),
        (
            {"estimator": "sklearn.neighbors.KNeighborsClassifier", "params": {"n_neighbor": 3}},
            "has no 'n_neighbor'",
            "Did you mean n_neighbors",
        ),
        (
            {"estimator": "sklearn.neighbors.KNeighborsClassifier", "params": {"n_neighbors": -1}},
            "candidates.one.params: .*n_neighbors",
            "",
        ),
    ],
    ids=["estimator", "module", "no classifier", "param", "value"],
)
def test_a_candidate_that_cannot_be_meant_is_refused(candidate, message, remedy):
    with pytest.raises(SpecError, match=message) as caught:
        fit_candidate("one", numbers_spec({"one": candidate}), number_rows(), load=no_functions)
    assert remedy in caught.value.remedy


def test_an_unknown_candidate_is_refused():
    with pytest.raises(SpecError, match="no candidate 'two'; there are one"):
        fit_candidate("two", numbers_spec({"one": CLASSICAL["knn"]}), number_rows(), load=no_functions)


def test_an_estimator_that_cannot_fit_the_rows_fails_with_the_next_step():
    columns = {"a": {"type": "number", "null_share": 0.5}, "b": {"type": "number"}, "y": {"type": "integer"}}
    candidate = {**CLASSICAL["knn"], "prepare": {"number": {"impute": "none"}}}
    with pytest.raises(TrainingFailed, match=r"plain: candidates\.one could not be fitted on 80 rows.*NaN") as caught:
        fit_candidate(
            "one", numbers_spec({"one": candidate}, columns=columns), number_rows().assign(a=np.nan), load=no_functions
        )
    assert "prepare" in caught.value.remedy

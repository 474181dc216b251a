"""What a label would say: bounds, order, and the cases whose value is known."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.contracts.labelling import Disagreement, Uncertainty
from tasks.labelling.worth import combine_worth, entropy, measure_disagreement, measure_uncertainty

UNCERTAINTIES, DISAGREEMENTS = get_args(Uncertainty), get_args(Disagreement)


def shares(rows: int, classes: int) -> st.SearchStrategy[np.ndarray]:
    raw = arrays(np.float64, (rows, classes), elements=st.floats(1e-6, 1.0))
    return raw.map(lambda values: values / values.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("measure", UNCERTAINTIES)
@given(shares(6, 3))
def test_uncertainty_lies_between_sure_and_even_and_forgets_the_order_of_the_classes(
    measure: Uncertainty, rows: np.ndarray
) -> None:
    found = measure_uncertainty(rows, measure)
    assert np.all((found >= 0) & (found <= 1))
    np.testing.assert_allclose(found, measure_uncertainty(rows[:, ::-1], measure))
    known = measure_uncertainty(np.array([[1.0, 0, 0], [1 / 3, 1 / 3, 1 / 3]]), measure)
    np.testing.assert_allclose(known, [0, 1], atol=1e-12)


@given(shares(8, 2))
def test_for_two_classes_all_measures_order_rows_alike(rows: np.ndarray) -> None:
    by_margin = np.argsort(measure_uncertainty(rows, "margin"), kind="stable")
    for measure in UNCERTAINTIES:
        assert np.all(np.diff(measure_uncertainty(rows, measure)[by_margin]) >= -1e-9)


def test_margin_asks_which_of_two_and_entropy_prefers_what_could_be_anything() -> None:
    rows = np.array([[0.5, 0.5, 0.0], [0.45, 0.3, 0.25]])
    assert measure_uncertainty(rows, "margin").argmax() == 0
    assert measure_uncertainty(rows, "entropy").argmax() == 1


@pytest.mark.parametrize("measure", DISAGREEMENTS)
@given(shares(5, 3), shares(5, 3), shares(5, 3))
def test_disagreement_is_none_among_equals_and_forgets_the_order_of_the_models(
    measure: Disagreement, a: np.ndarray, b: np.ndarray, c: np.ndarray
) -> None:
    found = measure_disagreement(np.stack([a, b, c]), measure)
    assert np.all((found >= 0) & (found <= 1))
    np.testing.assert_allclose(found, measure_disagreement(np.stack([c, a, b]), measure), atol=1e-9)
    np.testing.assert_allclose(measure_disagreement(np.stack([a, a, a]), measure), 0, atol=1e-9)


@pytest.mark.parametrize("measure", DISAGREEMENTS)
def test_models_that_are_sure_of_different_classes_disagree_wholly(measure: Disagreement) -> None:
    opposed = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    np.testing.assert_allclose(measure_disagreement(opposed, measure), [1.0])


def test_divergence_sees_what_votes_do_not() -> None:
    same_vote = np.array([[[0.51, 0.49]], [[0.99, 0.01]]])
    assert measure_disagreement(same_vote, "votes")[0] == 0
    assert measure_disagreement(same_vote, "divergence")[0] > 0.2


def test_divergence_is_the_mean_kullback_leibler_divergence_from_the_mean() -> None:
    committee = np.array([[[0.7, 0.2, 0.1]], [[0.1, 0.6, 0.3]]])
    mean = committee.mean(axis=0)
    by_hand = np.mean([(p * np.log(p / mean)).sum() for p in committee]) / np.log(2)
    np.testing.assert_allclose(measure_disagreement(committee, "divergence"), [by_hand])
    np.testing.assert_allclose(entropy(np.array([[0.5, 0.5, 0.0]])), [np.log(2)])


def test_worth_of_several_measures_does_not_depend_on_their_units() -> None:
    a, b = np.array([0.1, 0.5, 0.9]), np.array([0.3, 0.1, 0.2])
    np.testing.assert_allclose(combine_worth([a, b]), combine_worth([a**3, 100 * b]))
    np.testing.assert_allclose(combine_worth([a, b]), [(1 + 3) / 6, (2 + 1) / 6, (3 + 2) / 6])

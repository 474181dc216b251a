"""Rows of a regression are parted like any others, only that there are no shares of classes to keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import InsufficientData
from tasks.contracts.project import Split
from tasks.models.partition import cross_validate, hold_out
from tasks.preparation.splitting import split_rows
from tests.tasks.models.test_regressors import value_rows, value_spec

SPLITS = {
    "random": Split(stratify=False),
    "ordered": Split(method="ordered", column="at"),
    "grouped": Split(method="grouped", column="shop"),
}


@pytest.mark.parametrize("method", SPLITS)
@given(n=st.integers(40, 120), seed=st.integers(0, 50))
def test_each_row_is_judged_once_by_what_was_not_fitted_on_it(method: str, n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    target, by = random.normal(size=n), random.permutation(n) if method == "ordered" else np.arange(n) % 10
    split = SPLITS[method]
    folds = cross_validate(target, None if method == "random" else by, split, folds=4, repeats=1, seed=seed)
    judged = np.concatenate([judge for _, judge in folds])
    assert len(np.unique(judged)) == len(judged)
    assert method == "ordered" or len(judged) == n
    for fit, judge in [*folds, hold_out(target, by, split, share=0.25, seed=seed)]:
        assert not set(fit) & set(judge)
        assert method != "grouped" or not set(by[fit]) & set(by[judge])
        assert method != "ordered" or by[fit].max() < by[judge].min()


def test_fewer_rows_than_folds_are_refused() -> None:
    with pytest.raises(InsufficientData, match="at least 5 training rows, received 3"):
        cross_validate(np.array([1.0, 2.0, 3.0]), None, SPLITS["random"], folds=5, repeats=1, seed=0)


def test_a_target_of_one_value_has_nothing_to_teach() -> None:
    with pytest.raises(InsufficientData, match="at least two values of the target among the training rows"):
        split_rows(value_rows().assign(answer=3.0), value_spec())


def test_values_that_occur_once_are_parted_without_a_word_on_classes() -> None:
    train, test = split_rows(value_rows(), value_spec())
    assert sorted([*train, *test]) == list(range(120))

"""The corrected resampled t-test: its formula, its level where the ordinary one fails, and what it says of a selection."""

import numpy as np
import pytest
from scipy import stats

from tasks.metrics.multiplicity import holm
from tasks.training.fold_scores import LEVEL, MeanOverFolds, compare_all, compare_with_chosen
from tasks.training.selection import select_candidate
from tests.tasks.models.examples import no_functions, number_rows, numbers_spec

TENFOLD = [(np.arange(9), np.arange(1))] * 10
NB = {"estimator": "sklearn.naive_bayes.GaussianNB"}


def test_the_test_is_nadeau_and_bengios() -> None:
    differences = np.array([0.01, 0.03, -0.02, 0.04, 0.0, 0.02, 0.05, 0.01, 0.03, 0.02])
    mean = MeanOverFolds.of(differences, TENFOLD)
    t = differences.mean() / np.sqrt((1 / 10 + 1 / 9) * differences.var(ddof=1))
    assert mean.p_value == pytest.approx(2 * stats.t.sf(t, 9), rel=1e-12)
    assert mean.low(0.025) == pytest.approx(differences.mean() - stats.t.isf(0.025, 9) * mean.error, rel=1e-12)
    assert (mean.low(mean.p_value / 2), MeanOverFolds.of(-differences, TENFOLD).p_value) == pytest.approx(
        (0, mean.p_value), abs=1e-12
    )


def test_folds_that_all_say_the_same_are_no_certainty_when_they_are_few() -> None:
    two, ten = (MeanOverFolds.of([0.1] * n, [(np.arange(n - 1), np.arange(1))] * n).p_value for n in (2, 10))
    assert two > 0.2
    assert ten < 0.001
    assert MeanOverFolds.of([0.0] * 10, TENFOLD).p_value == 1


def ordinary_p(differences: np.ndarray) -> float:
    return float(stats.ttest_1samp(differences, 0).pvalue)


def difference_of_equals(rng: np.random.Generator, repeats: int) -> tuple[np.ndarray, list]:
    """Return the difference of the accuracies, fold by fold, of two learners that are equally good.

    Each looks at one of two columns that say the same of the class, and cuts it half way between the classes' means: on the
    rows at hand one of them is better by luck, and every fold sees the same rows.
    """
    n = 100
    y = rng.integers(0, 2, n)
    x = rng.normal(size=(n, 2)) + y[:, None] - 0.5
    folds, differences = [], []
    for _ in range(repeats):
        parts = np.array_split(rng.permutation(n), 5)
        for at, judge in enumerate(parts):
            fit = np.concatenate(parts[:at] + parts[at + 1 :])
            half_way = (x[fit][y[fit] == 0].mean(axis=0) + x[fit][y[fit] == 1].mean(axis=0)) / 2
            first, second = ((x[judge] > half_way) == y[judge][:, None]).mean(axis=0)
            folds.append((fit, judge))
            differences.append(first - second)
    return np.array(differences), folds


def test_equal_learners_are_told_apart_by_the_ordinary_test_far_too_often_and_by_this_one_hardly_ever() -> None:
    rng, trials = np.random.default_rng(0), 200
    corrected = ordinary = 0
    for _ in range(trials):
        differences, folds = difference_of_equals(rng, repeats=4)
        corrected += MeanOverFolds.of(differences, folds).p_value <= 0.05
        ordinary += ordinary_p(differences) <= 0.05
    # At a true level of 0.05 more than 20 of 200 come up in less than 0.2 % of such tests.
    assert corrected <= 20
    assert ordinary >= 40, "one in three"


def test_p_is_holms_over_all_pairs_and_the_interval_bonferronis() -> None:
    rng = np.random.default_rng(1)
    scores = {name: list(0.8 + shift + rng.normal(0, 0.02, 10)) for name, shift in (("a", 0), ("b", 0.03), ("c", -0.2))}
    found = compare_all(scores, "b", TENFOLD, sign=1)
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    means = [MeanOverFolds.of(np.array(scores[one]) - np.array(scores[other]), TENFOLD) for one, other in pairs]
    adjusted = holm([mean.p_value for mean in means])
    assert (found["a"].p_value, found["c"].p_value) == (adjusted[0], adjusted[2])
    assert found["c"].high == pytest.approx(-means[2].low(LEVEL / 6))
    assert found["c"].told_apart
    assert found["c"].difference == pytest.approx(np.mean(scores["c"]) - np.mean(scores["b"]))
    assert found["c"].detail.endswith("p below 0.001: told apart.")


@pytest.mark.parametrize("sign", [1, -1], ids=["higher is better", "lower is better"])
def test_a_positive_difference_is_better_whichever_way_the_metric_goes(sign: int) -> None:
    rng = np.random.default_rng(2)
    scores = {
        "better": list(sign * (0.9 + rng.normal(0, 0.01, 10))),
        "worse": list(sign * (0.7 + rng.normal(0, 0.01, 10))),
    }
    (found,) = compare_all(scores, "worse", TENFOLD, sign=sign).values()
    assert found.difference == pytest.approx(0.2, abs=0.02)
    assert "better than worse" in found.detail


def test_of_many_equal_candidates_the_best_is_hardly_ever_told_apart_from_the_worst() -> None:
    """The best is known only after a look: a family of the pairs with it alone would be told apart too often."""
    rng, found = np.random.default_rng(3), 0
    folds = [(np.arange(80), np.arange(20))] * 10
    for _ in range(100):
        # Independent scores with the variance that the correction stands for.
        common = rng.normal(0, 0.05 * np.sqrt(1 / 4), (8, 1))
        scores = {str(name): tuple(row) for name, row in enumerate(common + rng.normal(0, 0.05, (8, 10)))}
        best = max(scores, key=lambda name: np.mean(scores[name]))
        found += any(each.told_apart for each in compare_all(scores, best, folds, sign=1).values())
    assert found <= 13  # 5 of 100 expected at most; 14 and more in less than 0.05 % of such tests


def test_a_selection_says_of_each_candidate_how_it_differs_from_the_chosen() -> None:
    blind = {"estimator": "sklearn.dummy.DummyClassifier"}
    spec = numbers_spec({"nb": NB, "blind": blind}, selection={"folds": 5, "repeats": 4})
    chosen, other = select_candidate(spec, number_rows(), no_functions, lambda *told: None)
    assert (chosen.chosen, chosen.difference) == (True, None)
    assert other.difference is not None
    assert (other.difference.against, other.difference.told_apart) == ("nb", True)
    assert other.difference.difference == pytest.approx(other.mean - chosen.mean)


def test_on_a_single_holdout_there_is_no_test_over_folds() -> None:
    spec = numbers_spec({"nb": NB, "same": NB}, selection={"method": "holdout"})
    scores = select_candidate(spec, number_rows(), no_functions, lambda *told: None)
    assert [score.difference for score in scores] == [None, None]


def test_a_candidate_that_was_not_judged_on_every_fold_is_held_against_nobody() -> None:
    spec = numbers_spec({"nb": NB, "same": NB}, selection={"folds": 5})
    scores = select_candidate(spec, number_rows(), no_functions, lambda *told: None)
    cut = scores[1].model_copy(update={"scores": scores[1].scores[:3]})
    folds = [(np.arange(64), np.arange(16))] * 5
    assert [score.difference for score in compare_with_chosen([scores[0], cut], folds, sign=1)] == [None, None]

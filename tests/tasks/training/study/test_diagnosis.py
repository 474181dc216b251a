"""The diagnosis says what is true of made data, and claims no more than the folds can tell."""

import numpy as np
import pytest

from tasks.contracts.study_report import CandidateStudy
from tasks.training.study.diagnosis import expect_next
from tests.tasks.training.study.made import (
    BAYES,
    LINEAR,
    NEIGHBOUR,
    TREE,
    chessboard,
    noise,
    of,
    stripes,
    study,
    two_clouds,
)


@pytest.fixture(scope="module")
def board() -> CandidateStudy:
    return study({"linear": LINEAR, "tree": TREE}, chessboard(600))


def test_a_line_through_a_chessboard_is_under_fitted_where_another_candidate_shows_it(board: CandidateStudy) -> None:
    linear = of(board, "linear")
    assert linear.findings == ("under-fitted",)
    assert any("and this one only" in reason for reason in linear.reasons)
    assert linear.difference is not None
    assert linear.difference.told_apart
    assert "under-fitted" not in of(board, "tree").findings


def test_alone_the_same_line_is_not_said_to_be_too_simple() -> None:
    alone = of(study({"linear": LINEAR}, chessboard(600)), "linear")
    assert alone.findings == ("not told apart from the dummy",)
    assert any("cannot be told: there is no other candidate" in reason for reason in alone.reasons)


def test_one_neighbour_on_noise_is_over_fitted_and_more_data_are_not_said_to_help() -> None:
    report = study({"neighbour": NEIGHBOUR}, noise(400))
    (found,) = report.diagnoses
    assert found.findings == ("over-fitted",)
    assert (found.training_mean, report.best) == (1.0, "neighbour")
    assert abs(found.mean - 0.5) < 0.1


def test_a_curve_that_still_rises_says_that_more_data_would_help() -> None:
    found = of(study({"tree": {**TREE, "params": {}}}, stripes(400)), "tree")
    assert "more data would help" in found.findings


def test_a_saturated_curve_is_as_good_as_the_data_allow() -> None:
    report = study({"bayes": BAYES}, two_clouds(6_000), study={"seeds": 1, "learning_curve": {"points": 3}})
    (found,) = report.diagnoses
    assert found.findings == ("as good as these data allow",)
    assert found.mean == pytest.approx(0.841, abs=0.015), "as good as anybody can be: the normal distribution at 1"


def test_what_few_noisy_rows_cannot_tell_is_not_told() -> None:
    report = study({"bayes": BAYES, "same": BAYES}, two_clouds(60))
    for found in report.diagnoses:
        assert found.findings == ("not told apart",)
        assert any("cannot be told" in reason for reason in found.reasons)


def test_a_candidate_that_is_only_worse_is_said_to_be_behind() -> None:
    lame = {"estimator": "sklearn.tree.DecisionTreeClassifier", "params": {"max_depth": 1, "splitter": "random"}}
    frame = two_clouds(3_000)
    # Its own training score tells of nothing: it is as low as on rows that it never saw, and the other's is a little higher.
    report = study({"bayes": BAYES, "lame": lame}, frame, study={"seeds": 1, "matters": 0.5})
    assert of(report, "lame").findings == ("behind another candidate",)


def test_saturated_curves_are_hardly_ever_said_to_rise() -> None:
    rising = 0
    for seed in range(12):
        report = study(
            {"bayes": BAYES}, two_clouds(800, seed), study={"seeds": 1, "learning_curve": {"points": 3}, "repeats": 1}
        )
        rising += "more data would help" in of(report, "bayes").findings
    assert rising <= 2, "one in twenty expected at most"


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc"])
def test_figures_are_in_the_metrics_own_unit_whichever_way_is_better(metric: str) -> None:
    report = study({"bayes": BAYES, "neighbour": NEIGHBOUR}, two_clouds(400), evaluation={"metric": metric})
    found, worse = of(report, "bayes"), of(report, "neighbour")
    assert report.best == "bayes"
    assert found.mean == pytest.approx(0.36 if metric == "log_loss" else 0.92, abs=0.06)
    assert worse.difference is not None
    assert worse.difference.difference < 0
    assert worse.findings[0] == "over-fitted"


def test_the_next_gain_is_the_power_laws() -> None:
    error = 0.1 + 2.0 * np.array([100, 200, 400, 800]) ** -0.5
    before, last, following = -np.diff(error)
    assert expect_next(last, before) == pytest.approx(following)
    assert expect_next(0.01, float("nan")) == 0.01

"""Learning curves, validation curves and luck: the same folds, the same rows, and nothing that nobody asked for."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from infra.errors import InsufficientData, SpecError, UsageError
from tasks.training.selection import select_candidate
from tasks.training.study.measurement import study_candidates
from tests.tasks.models.examples import no_functions
from tests.tasks.training.study.made import BAYES, NEIGHBOUR, SHORT, chessboard, noise, study, study_spec, two_clouds

KNN = "sklearn.neighbors.KNeighborsClassifier"
FOREST = {"estimator": "sklearn.ensemble.RandomForestClassifier", "params": {"n_estimators": 3}}


def test_the_last_point_is_what_a_selection_on_the_same_folds_says() -> None:
    frame = two_clouds(200)
    selection = {"folds": 5, "repeats": 2}
    report = study({"bayes": BAYES}, frame, selection=selection)
    (selected,) = select_candidate(study_spec({"bayes": BAYES}, selection=selection), frame, no_functions, print)
    last = report.curves[0].points[-1]
    assert last.validation == selected.scores
    assert last.validation_error == pytest.approx(selected.standard_error)
    assert [point.rows for point in report.curves[0].points] == [20, 40, 80, 160]


def test_more_neighbours_than_rows_have_no_point_and_all_rows_have_one() -> None:
    many = {"estimator": KNN, "params": {"n_neighbors": 50}}
    report = study({"knn": many}, two_clouds(100))
    assert [point.rows for point in report.curves[0].points] == [80]
    assert any("too few for a curve" in reason for reason in report.diagnoses[0].reasons)


def test_a_class_that_a_part_lacks_has_no_point_there() -> None:
    frame = noise(200).assign(y=[1] * 8 + [0] * 192)
    report = study({"bayes": BAYES}, frame, study={**SHORT, "folds": 4})
    assert min(point.rows for point in report.curves[0].points) >= 37


def test_every_fit_is_told_and_the_last_is_the_last_of_all() -> None:
    told: list[tuple[str, int, int]] = []
    spec = study_spec(
        {"bayes": BAYES, "forest": FOREST},
        study={"folds": 3, "repeats": 2, "seeds": 3, "learning_curve": {"points": 2}},
    )
    study_candidates(spec, two_clouds(200), no_functions, lambda what, done, of, _: told.append((what, done, of)))
    # Two candidates at two points on six folds, and two more seeds on the three folds of a round.
    assert len(told) == 2 * 2 * 6 + 2 * 2 * 3
    assert told[-1][1:] == (36, 36)
    assert all(what.startswith("study: ") for what, _, _ in told)


def test_the_validation_curve_finds_the_parameter_that_is_neither_too_small_nor_too_large() -> None:
    curve = {"candidate": "knn", "parameter": "n_neighbors", "values": [1, 15, 400]}
    frame = chessboard(800)
    frame.loc[::5, "y"] = 1 - frame.loc[::5, "y"]  # one label in five is wrong: a single neighbour believes it
    report = study({"knn": {"estimator": KNN}}, frame, study={**SHORT, "validation_curve": curve})
    found = report.validation_curve
    assert found is not None
    training = [point.training_mean for point in found.points]
    assert training[0] == 1.0
    assert max(training[1:]) < 0.9, "neighbours that share their votes cannot know each row by heart"
    assert found.best == "15"
    assert "look beyond" not in found.detail


def test_a_best_value_at_the_end_says_to_look_beyond() -> None:
    curve = {"candidate": "knn", "parameter": "n_neighbors", "values": [1, 3, 40]}
    report = study({"knn": {"estimator": KNN}}, two_clouds(2_000), study={**SHORT, "validation_curve": curve})
    assert report.validation_curve is not None
    assert report.validation_curve.best == "40"
    assert report.validation_curve.detail.endswith("look beyond it.")


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("n_neighbours", 3, "Did you mean n_neighbors"),
        ("n_neighbors", 5_000, "n_neighbors 5000 gives no answers"),
        ("n_neighbors", "many", "n_neighbors"),
    ],
    ids=["misspelt", "impossible", "of the wrong type"],
)
def test_a_parameter_that_cannot_be_meant_is_refused_by_name(parameter: str, value: Any, message: str) -> None:
    curve = {"candidate": "knn", "parameter": parameter, "values": [value, value]}
    with pytest.raises(SpecError) as caught:
        study({"knn": NEIGHBOUR}, two_clouds(100), study={**SHORT, "validation_curve": curve})
    assert message in str(caught.value)


def test_what_uses_no_seed_shows_none_and_what_does_shows_its_luck() -> None:
    report = study(
        {"knn": NEIGHBOUR, "forest": FOREST}, noise(200), study={"seeds": 4, "learning_curve": {"points": 2}}
    )
    knn, forest = report.luck
    assert knn.seed_std == 0
    assert "No other seed changes the score" in knn.detail
    # Three trees on a fair coin's 40 rows: about as much as 40 tosses, sqrt(0.25 / 40).
    assert 0.03 < forest.seed_std < 0.12
    assert "by luck alone" in forest.detail


@pytest.mark.parametrize("method", ["ordered", "grouped"])
def test_rows_are_parted_as_the_project_parts_them(method: str) -> None:
    columns = {name: {"type": "number"} for name in "ab"} | {"y": {"type": "integer"}, "at": {"type": "integer"}}
    frame = two_clouds(300).assign(at=np.arange(300) // 10)
    split = {"method": method, "column": "at"}
    report = study({"bayes": BAYES}, frame, columns=columns, split=split)
    assert report.folds == (5 if method == "ordered" else 10)
    assert {"ordered": "comes after", "grouped": "whole groups of at"}[method] in report.parted
    assert len(report.curves[0].points) >= 2


def test_a_study_leaves_the_rows_alone_and_is_the_same_each_time() -> None:
    frame = two_clouds(120)
    before = frame.copy()
    first, second = (study({"forest": FOREST}, frame, study={"seeds": 2}) for _ in range(2))
    assert first.model_copy(update={"seconds": 0.0}) == second.model_copy(update={"seconds": 0.0})
    pd.testing.assert_frame_equal(frame, before)


def test_only_the_candidates_that_are_asked_for_are_studied_and_one_that_is_not_there_is_refused() -> None:
    spec = study_spec({"bayes": BAYES, "knn": NEIGHBOUR})
    report = study_candidates(spec, two_clouds(100), no_functions, lambda *told: None, ["knn"])
    assert [one.candidate for one in report.diagnoses] == ["knn"]
    with pytest.raises(UsageError, match="Did you mean 'bayes'"):
        study_candidates(spec, two_clouds(100), no_functions, lambda *told: None, ["bays"])


def test_too_few_rows_for_the_folds_are_said_to_be_so() -> None:
    with pytest.raises(InsufficientData, match="at least 5 training rows of class"):
        study({"bayes": BAYES}, noise(20).assign(y=[1] * 3 + [0] * 17))

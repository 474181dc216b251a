"""The nested estimate is what the selection as a whole is worth; the best of many means is more than that."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from infra.errors import InsufficientData
from tasks.contracts.project import ProjectSpec
from tasks.contracts.study_report import NestedEstimate
from tasks.training.study.measurement import study_candidates
from tests.tasks.models.examples import no_functions
from tests.tasks.training.study.made import BAYES, NEIGHBOUR, SHORT, noise, study, study_spec, two_clouds

NESTED = {**SHORT, "nested": True, "folds": 4, "repeats": 1, "learning_curve": {"points": 2}}
MANY = {
    f"tree-{seed}": {
        "estimator": "sklearn.tree.ExtraTreeClassifier",
        "params": {"random_state": seed, "max_depth": 2},
    }
    for seed in range(12)
}
RULE = {"folds": 3, "rule": "best"}


def nested(candidates: dict[str, Any], frame: pd.DataFrame, **changes: Any) -> NestedEstimate:
    report = study(candidates, frame, study=NESTED, selection=RULE, **changes)
    assert report.nested is not None
    return report.nested


@pytest.mark.slow
def test_of_many_candidates_on_noise_the_best_mean_is_optimistic_and_the_nested_one_is_not() -> None:
    found = [nested(MANY, noise(60, seed)) for seed in range(6)]
    naive, honest = (np.array([getattr(each, name) for each in found]) for name in ("naive_mean", "mean"))
    error = honest.std(ddof=1) / np.sqrt(len(honest))
    assert (naive > 0.5).all()
    assert naive.mean() > 0.58
    assert abs(honest.mean() - 0.5) < 3 * max(error, 0.02), "half of a fair coin is all there is"
    assert naive.mean() - honest.mean() > 0.05
    assert "better: too good" in found[int(np.argmax(naive - honest))].detail


def test_where_there_is_nothing_to_choose_both_say_the_same() -> None:
    found = nested({"bayes": BAYES}, two_clouds(400))
    assert found.chosen == ("bayes",) * 4
    assert found.mean == pytest.approx(found.naive_mean, abs=2 * found.error)
    assert "Every outer fold chose bayes" in found.detail


def test_the_tuning_is_made_anew_on_each_outer_folds_rows_and_what_it_found_is_judged() -> None:
    """A tuner that finds 1 neighbour on all rows and 15 on fewer: the estimate is that of 15."""
    seen: list[int] = []
    frame = noise(200)

    def tune(spec: ProjectSpec, rows: pd.DataFrame) -> ProjectSpec:
        seen.append(len(rows))
        fifteen = spec.candidates["knn"].model_copy(update={"params": {"n_neighbors": 1 if len(rows) == 200 else 15}})
        return spec.model_copy(update={"candidates": {"knn": fifteen}})

    spec = study_spec({"knn": NEIGHBOUR}, study=NESTED, selection=RULE)
    report = study_candidates(spec, frame, no_functions, lambda *told: None, tune=tune)
    plain = {**NEIGHBOUR, "params": {"n_neighbors": 15}}
    assert seen == [200, 150, 150, 150, 150]
    assert report.nested is not None
    assert report.nested.scores == nested({"knn": plain}, frame).scores
    assert report.diagnoses[0].training_mean == 1.0, "the curves are those of 1 neighbour"


def test_too_few_rows_within_an_outer_fold_are_said_to_be_so() -> None:
    frame = noise(40).assign(y=[1] * 5 + [0] * 35)
    with pytest.raises(InsufficientData, match=r"study\.nested: the selection within an outer fold has too few rows"):
        study({"bayes": BAYES}, frame, study=NESTED, selection={"folds": 5})

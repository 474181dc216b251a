"""Selection, search and study of candidates that answer several labels a row."""

from pathlib import Path

import numpy as np
import pytest

from infra.errors import InsufficientData
from infra.registry.registry import open_registry
from tasks.models.label_columns import with_sets
from tasks.training.fitting import fit_project
from tasks.training.selection import select_candidate
from tasks.training.study.measurement import study_candidates
from tasks.training.tuning import TrialDesk
from tests.tasks.models.examples import no_functions
from tests.tasks.models.label_rows import BAYES, LABELS, LOGISTIC, label_rows, labels_spec

BLIND = {"estimator": "sklearn.dummy.DummyClassifier"}


def _silent(*_told):
    pass


@pytest.mark.parametrize("metric", ["label_f1_micro", "hamming_loss", "ranking_precision"])
@pytest.mark.parametrize("method", ["cross_validation", "holdout"])
def test_the_candidate_that_knows_the_labels_is_chosen(metric, method):
    spec = labels_spec(
        {"blind": BLIND, "logistic": LOGISTIC},
        evaluation={"metric": metric},
        selection={"folds": 2, "method": method},
    )
    scores = {one.candidate: one for one in select_candidate(spec, label_rows(), no_functions, _silent)}
    assert scores["logistic"].chosen
    sign = -1 if metric == "hamming_loss" else 1
    assert sign * (scores["logistic"].mean - scores["blind"].mean) > 0.05


def test_a_fold_without_a_label_is_too_few_rows():
    rows = with_sets(label_rows(60).assign(closed=[True] * 2 + [False] * 58), labels_spec())
    spec = labels_spec(selection={"folds": 20})
    frame = rows.sort_values("closed", ascending=False).iloc[1:].reset_index(drop=True)
    with pytest.raises(InsufficientData, match="expected rows with and without each label in what each fold fits on"):
        select_candidate(spec, frame, no_functions, _silent)


def test_parameters_are_searched_by_a_metric_of_sets(tmp_path: Path):
    search = {**LOGISTIC, "params": {"max_iter": 300}, "search": {"C": {"choices": [1e-5, 0.1]}}}
    spec = labels_spec({"logistic": search}, tuning={"method": "grid"}, selection={"folds": 2})
    with open_registry(f"sqlite:///{tmp_path / 'registry.db'}") as registry:
        result = fit_project(spec, label_rows(), no_functions, _silent, TrialDesk(registry, "code"))
    assert result.tuned.candidates[0].params == {"C": 0.1}
    assert set(result.class_prior) == set(LABELS)
    assert result.class_prior["even"] == pytest.approx(label_rows()["even"].mean())


def test_a_study_tells_what_more_rows_would_bring_and_holds_it_against_the_best_constant_set():
    study = {"folds": 3, "repeats": 1, "seeds": 1, "learning_curve": {"points": 2}}
    report = study_candidates(labels_spec({"bayes": BAYES}, study=study), label_rows(), no_functions, _silent)
    points = report.curves[0].points
    assert [len(point.validation) for point in points] == [3, 3]
    assert all(0 < value < 1 for point in points for value in point.validation)
    assert np.isfinite(points[-1].validation_mean)
    assert report.metric == "label_f1_micro"

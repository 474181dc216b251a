"""What a run tunes, a study tunes: on all training rows before its curves, and within each outer fold."""

from pathlib import Path

import pandas as pd

from infra.registry.registry import open_registry
from tasks.contracts.project import ProjectSpec
from tasks.training.study.measurement import study_candidates
from tasks.training.tuning import TrialDesk, tune_candidates
from tests.tasks.models.examples import no_functions
from tests.tasks.training.study.made import chessboard, study_spec

KNN = "sklearn.neighbors.KNeighborsClassifier"
SEARCHED = {"knn": {"estimator": KNN, "search": {"n_neighbors": {"choices": [1, 30]}}}}


def test_the_curves_are_those_of_the_values_that_were_found_and_each_outer_fold_searches_its_own(
    tmp_path: Path,
) -> None:
    """On a chessboard a single neighbour is right, thirty are not, and left to itself the estimator takes five."""
    nested = {"seeds": 1, "folds": 3, "repeats": 1, "learning_curve": {"points": 2}, "nested": True}
    changes = {"tuning": {"trials": 2, "method": "grid"}, "selection": {"folds": 3}}
    spec, frame, seen = study_spec(SEARCHED, study=nested, **changes), chessboard(120), []
    with open_registry(f"sqlite:///{tmp_path / 'registry.db'}") as registry:

        def tune(untuned: ProjectSpec, rows: pd.DataFrame) -> ProjectSpec:
            desk = TrialDesk(registry, "code")
            seen.append(len(rows))
            return tune_candidates(untuned, rows, no_functions, lambda *_: None, desk).spec

        report = study_candidates(spec, frame, no_functions, lambda *_: None, tune=tune)
    assert seen == [120, 80, 80, 80]
    assert report.nested is not None
    assert report.diagnoses[0].training_mean == 1.0, "one neighbour knows its own rows by heart; five do not"
    one = study_spec({"knn": {"estimator": KNN, "params": {"n_neighbors": 1}}}, study=nested, selection={"folds": 3})
    plain = study_candidates(one, frame, no_functions, lambda *_: None)
    assert report.curves == plain.curves
    assert plain.nested is not None
    assert report.nested.scores == plain.nested.scores

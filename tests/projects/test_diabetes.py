"""The small regression: real rows that keep their contract, and a gate that means something on 111 of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.preparation.splitting import split_rows
from tasks.project import LoadedProject, load_project
from tasks.training.fitting import fit_project
from tasks.validation.contract import examine_frame

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project() -> LoadedProject:
    return load_project(ROOT / "projects", "diabetes")


@pytest.fixture(scope="module")
def rows(project: LoadedProject) -> pd.DataFrame:
    frame: pd.DataFrame = project.load("data:read")()
    return frame


def test_the_real_rows_keep_the_contract_and_no_feature_gives_the_target_away(project, rows) -> None:
    assert list(rows.columns) == list(project.spec.columns)
    assert len(rows) == 442
    outcome = examine_frame(rows, project.spec)
    assert outcome.problem is None
    assert len(outcome.accepted) == 442


def test_it_is_a_regression_without_saying_so(project) -> None:
    assert project.spec.is_regression
    assert project.spec.task is None
    assert project.spec.split.stratify is False


@pytest.mark.slow
def test_the_floors_are_within_reach_and_out_of_reach_of_a_model_that_learns_nothing(project, rows) -> None:
    train, test = split_rows(rows, project.spec)
    assert (len(train), len(test)) == (331, 111)
    fitted = fit_project(project.spec, rows.iloc[train].reset_index(drop=True), project.load, lambda *news: None)
    truth = rows["progression"].iloc[test].to_numpy(float)
    error = np.sqrt(np.mean((fitted.chosen.model.predict(rows.iloc[test]) - truth) ** 2))
    assert error < project.spec.gate.floors["rmse"] < np.sqrt(np.mean((truth - fitted.centre) ** 2))
    # Efron, Hastie, Johnstone and Tibshirani 2004 tell of linear models alone; here too nothing is better by more than the noise.
    assert fitted.chosen.name == "ridge"


def test_each_slice_has_enough_test_rows_to_be_judged(project, rows) -> None:
    counts = rows["sex"].value_counts()
    assert all(count * project.spec.split.test_share > project.spec.gate.min_slice_rows for count in counts)

"""Likely wrong labels: flipped ones are found on real rows, clean ones are left in peace."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from infra.errors import InsufficientData
from tasks.contracts.labelling import FlipTrial
from tasks.contracts.project import ProjectSpec
from tasks.ingestion.reading import read_source
from tasks.labelling.issues import (
    Judged,
    find_issues,
    flip_labels,
    frame_issues,
    judge_labels,
    say_expectation,
    try_flipping,
)
from tasks.models.inputs import Rows
from tasks.project import load_project
from tasks.validation.contract import validate_frame
from tests.tasks.models.examples import no_functions

SHARE = 0.05


def silent(_what: str, _done: int, _of: int) -> None:
    """Tell nobody."""


def digits() -> tuple[ProjectSpec, pd.DataFrame, str]:
    images = load_digits(as_frame=True)
    frame = images.frame.sample(700, random_state=0, ignore_index=True).rename(columns={"target": "digit"})
    frame["digit"] = frame["digit"].astype("int64")
    spec = ProjectSpec.model_validate(
        {
            "name": "digits",
            "source": {"csv": "rows.csv"},
            "columns": {str(name): {"type": "number"} for name in images.data} | {"digit": {"type": "integer"}},
            "target": "digit",
            "candidates": {
                "knn": {"estimator": "sklearn.neighbors.KNeighborsClassifier", "params": {"n_neighbors": 15}}
            },
        }
    )
    return spec, frame, "knn"


def penguins() -> tuple[ProjectSpec, pd.DataFrame, str]:
    project = load_project(Path("projects"), "penguins")
    raw_rows, _ = read_source(project.spec, project.folder.path, datetime.now(UTC), project.load)
    return project.spec, validate_frame(raw_rows, project.spec, None).accepted, "logistic"


@pytest.fixture(scope="module", params=[digits, penguins], ids=["digits", "penguins"])
def clean(request: pytest.FixtureRequest) -> tuple[ProjectSpec, Rows, str]:
    spec, frame, name = request.param()
    return spec, Rows.read(frame, spec), name


def test_most_of_the_flipped_labels_are_among_the_first_and_few_are_listed_where_none_was_flipped(
    clean: tuple[ProjectSpec, Rows, str],
) -> None:
    spec, rows, name = clean
    before = find_issues(judge_labels(name, spec, rows, no_functions, silent))
    assert len(before) <= 0.02 * len(rows), "on clean rows few are listed"

    random = np.random.default_rng(1)
    flipped = random.choice(len(rows), round(SHARE * len(rows)), replace=False)
    turned = Rows(rows.inputs, flip_labels(rows.target, flipped, random), rows.by, rows.ages)
    judged = judge_labels(name, spec, turned, no_functions, silent)
    found = find_issues(judged)
    first = {issue.place for issue in found[: len(flipped)]}
    assert len(first.intersection(flipped.tolist())) >= 0.8 * len(flipped)
    scores = [issue.score for issue in found]
    assert scores == sorted(scores)
    right = {issue.place: judged.classes[issue.likely] for issue in found if issue.place in set(flipped.tolist())}
    assert np.mean([rows.target[place] == said for place, said in right.items()]) >= 0.9, (
        "the likely label is the old one"
    )


def test_the_trial_says_what_a_flip_by_hand_finds_and_leaves_the_rows_as_they_are(
    clean: tuple[ProjectSpec, Rows, str],
) -> None:
    spec, rows, name = clean
    kept = rows.target.copy()
    before = find_issues(judge_labels(name, spec, rows, no_functions, silent))
    trial = try_flipping(name, spec, rows, no_functions, silent, before=before, seed=3)
    assert trial is not None
    assert trial.flipped == round(SHARE * len(rows))
    assert trial.found >= 0.8 * trial.flipped
    assert trial.right_of_first >= 0.75 * trial.first
    assert np.array_equal(rows.target, kept)


def test_every_row_is_judged_by_a_model_that_did_not_see_it() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=60), "y": random.integers(0, 2, 60)})
    spec = ProjectSpec.model_validate(
        {
            "name": "noise",
            "source": {"csv": "rows.csv"},
            "columns": {"a": {"type": "number"}, "y": {"type": "integer"}},
            "target": "y",
            # It remembers: asked of rows that it was fitted on, it is sure of every label.
            "candidates": {
                "knn": {"estimator": "sklearn.neighbors.KNeighborsClassifier", "params": {"n_neighbors": 1}}
            },
        }
    )
    judged = judge_labels("knn", spec, Rows.read(frame, spec), no_functions, silent)
    assert sorted(judged.places) == list(range(60))
    sure = judged.shares[np.arange(60), judged.given]
    assert 0.2 < sure.mean() < 0.8


def test_rows_before_the_first_fold_in_time_are_judged_by_none() -> None:
    frame = pd.DataFrame({"at": range(60), "a": np.arange(60) % 7, "y": np.arange(60) % 2})
    spec = ProjectSpec.model_validate(
        {
            "name": "timed",
            "source": {"csv": "rows.csv"},
            "columns": {"at": {"type": "integer", "feature": False}, "a": {"type": "number"}, "y": {"type": "integer"}},
            "target": "y",
            "split": {"method": "ordered", "column": "at"},
            "candidates": {"bayes": {"estimator": "sklearn.naive_bayes.GaussianNB"}},
        }
    )
    judged = judge_labels("bayes", spec, Rows.read(frame, spec), no_functions, silent)
    assert judged.places.tolist() == list(range(10, 60))


def test_a_flip_gives_every_named_row_another_class_and_no_other_row() -> None:
    target = np.array(["a", "b", "c"] * 20, dtype=object)
    places = np.arange(0, 60, 3)
    turned = flip_labels(target, places, np.random.default_rng(0))
    assert np.flatnonzero(turned != target).tolist() == places.tolist()
    assert set(turned[places]) == {"b", "c"}


def test_one_class_is_too_little_to_judge_by() -> None:
    alone = Judged(np.arange(3), np.zeros(3, dtype=np.int64), np.ones((3, 1)), ("a",))
    with pytest.raises(InsufficientData, match="two classes"):
        find_issues(alone)


def test_the_table_holds_the_rows_of_the_issues_in_their_order() -> None:
    shares = np.array([[0.9, 0.1]] * 6 + [[0.1, 0.9]] * 6)
    given = np.array([0] * 5 + [1] * 6 + [0])
    judged = Judged(np.arange(12)[::-1].copy(), given, shares, ("no", "yes"))
    issues = find_issues(judged)
    frame = pd.DataFrame({"row": [f"r{at}" for at in range(12)], "seen": [b"\x89PNG"] * 12})
    table = frame_issues(issues, judged, frame, ["row", "seen"])
    assert "seen" not in table, "no cell of a CSV file shows a picture"
    assert sorted(table["row"]) == ["r0", "r6"]
    facts: dict[str, Any] = table.set_index("row")[["keepfit_given", "keepfit_likely"]].T.to_dict("list")
    assert facts == {"r6": ["yes", "no"], "r0": ["no", "yes"]}


@pytest.mark.parametrize(
    ("listed", "trial", "said"),
    [
        (4, None, "not known"),
        (0, None, "no label stands out"),
        (4, FlipTrial(flipped=20, found=18, listed=21, first=20, right_of_first=17), "about 85% of the list"),
        (0, FlipTrial(flipped=20, found=18, listed=21, first=20, right_of_first=17), "no label stands out; of 20"),
        (4, FlipTrial(flipped=20, found=0, listed=0, first=0, right_of_first=0), "about 0% of the list"),
    ],
    ids=["no trial", "nothing listed", "both", "clean with a trial", "nothing found"],
)
def test_the_expectation_is_said_in_words_with_what_it_rests_on(
    listed: int, trial: FlipTrial | None, said: str
) -> None:
    assert said in say_expectation(listed, trial)

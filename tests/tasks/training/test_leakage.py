"""No leakage, as one property over everything that project.yaml can name: what judges never enters what learns.

The names come from the contracts, so a new one is tested the day it is declared; one that cannot stand alone needs a companion.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

from infra.registry.registry import open_registry
from tasks.contracts.project import ProjectSpec
from tasks.models.label_columns import with_sets
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tasks.preparation.splitting import split_rows
from tasks.training.fitting import fit_project
from tasks.training.tuning import TrialDesk
from tests.tasks.models.examples import no_functions
from tests.tasks.models.networks import load

NO_PART_OF_A_FIT = {
    "columns", "compute", "description", "evaluation", "gate", "monitoring", "name", "release", "retraining", "row_id",
    "schedule", "seed", "source", "target", "time", "validation",
}  # fmt: skip
"""Sections that say nothing of how rows become a model; every other section's names are tested."""

Path = tuple[str, ...]

COLUMNS = {
    "height": {"type": "number", "null_share": 0.2},
    "count": {"type": "integer"},
    "kind": {"type": "category", "null_share": 0.2},
    "is_new": {"type": "boolean"},
    "at": {"type": "datetime"},
    "taken": {"type": "datetime"},
    "note": {"type": "text"},
    "place": {"type": "integer", "feature": False},
    "shop": {"type": "category", "feature": False},
    "answer": {"type": "category"},
}
LOGISTIC = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"max_iter": 200}}
BOOSTING = {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "params": {"max_iter": 5}}
BASE: dict[str, Any] = {
    "name": "toy",
    "source": {"csv": "rows.csv"},
    "columns": COLUMNS,
    "target": "answer",
    "time": "at",
    "split": {"method": "ordered", "column": "place", "test_share": 0.3},
    "prepare": {"number": {"scale": "standard"}, "text": {"vocabulary": 20, "length": 6}},
    "candidates": {"one": LOGISTIC},
    "selection": {"method": "holdout", "holdout_share": 0.3},
}
SPACE = {"C": {"low": 0.001, "high": 10.0, "log": True}}
COMPANIONS: dict[Path, dict[str, Any]] = {
    ("training_rows", "keep", "last"): {"training_rows.days": 40},
    ("training_rows", "keep", "decay"): {"training_rows.half_life_days": 20},
    ("prepare", "steps", "adds", "number"): {"prepare.steps": [{"function": "own:ratio", "adds": {"ratio": "number"}}]},
    ("prepare", "number", "impute", "none"): {"columns.note.feature": False, "candidates.one": BOOSTING},
    ("task", "regression"): {
        "target": "count", "columns.count": {"type": "number"}, "columns.answer.feature": False, "evaluation.metric": "mae",
        "candidates.one": {"estimator": "sklearn.linear_model.Ridge"},
    },
    ("task", "multilabel"): {
        "target": "kinds", "labels": ["is_new", "is_old"], "columns.is_old": {"type": "boolean"},
        "columns.answer.feature": False, "evaluation.metric": "label_f1_micro",
    },
    ("split", "method", "random"): {"split": {"method": "random", "test_share": 0.3, "stratify": False}},
    ("split", "method", "grouped"): {"split.column": "shop"},
    ("selection", "method", "cross_validation"): {"selection.folds": 2},
    ("tuning", "method", "grid"): {"candidates.one.search": {"C": {"choices": [0.01, 1.0]}}},
    ("tuning", "method", "random"): {"candidates.one.search": SPACE, "tuning.trials": 3},
    ("tuning", "method", "tpe"): {"candidates.one.search": SPACE, "tuning.trials": 6, "tuning.batch": 2},
    ("tuning", "pruning", "none"): {"candidates.one.search": SPACE, "tuning.trials": 2},
    ("tuning", "pruning", "median"): {"candidates.one.search": SPACE, "tuning.trials": 6, "selection": {"folds": 2}},
    ("selection", "rule", "best"): {"candidates.two": {**LOGISTIC, "params": {"C": 0.01}}},
    ("selection", "rule", "one_standard_error"): {"candidates.two": {**LOGISTIC, "params": {"C": 0.01}}},
} | {
    ("prepare", "steps", "adds", kind): {
        "prepare.steps": [{"function": f"own:{name}", "adds": dict.fromkeys(names, kind)}]
    }
    for kind, name, names in (
        ("boolean", "is_loud", ("loud",)), ("category", "both", ("both",)), ("text", "shout", ("shout",)),
        ("datetime", "day_after", ("after",)),
    )
}  # fmt: skip
"""What else a name needs, or that it makes no sense without."""
WITHOUT_TEXT = ("smote", "borderline_smote", "adasyn", "tomek", "edited_nearest_neighbours", "smote_tomek")
FURTHER: dict[str, dict[str, Any]] = {
    "missing indicators": {"prepare.number.missing_indicator": True},
    "cyclic": {"prepare.datetime.cyclic": True},
    "rare categories": {"prepare.category.min_share": 0.2},
    "a gap and a window": {"split.gap": 5, "selection": {"folds": 3, "window": 30}},
    "costs": {"decision": {"threshold": "tuned", "costs": {"false_positive": 1, "false_negative": 3}}},
    "all at once": {
        "prepare.category.encode": "target", "prepare.select": {"method": "model", "keep": 5},
        "prepare.text.encode": "tfidf", "candidates.one.balance": {"resample": "over", "ratio": 0.9},
        "candidates.one.calibrate": "isotonic", "decision": {"threshold": "tuned", "metric": "f1_macro"},
        "selection.holdout_share": 0.4,
    },
}  # fmt: skip
"""What is no name of its own: switches and combinations."""


def find_names(model: type[BaseModel], path: Path = ()) -> Iterator[Path]:
    """Yield the path of each key that takes one of a few names, with each of them at the end; networks aside."""
    for key, field in model.model_fields.items():
        if not path and key in NO_PART_OF_A_FIT:
            continue
        if path == ("candidates",) and key in ("prepare", "network"):
            continue
        yield from _names_in(field.annotation, (*path, key))


def _names_in(kind: Any, path: Path) -> Iterator[Path]:
    if get_origin(kind) is Literal:
        yield from ((*path, name) for name in get_args(kind))
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from find_names(kind, path)
    else:
        for part in get_args(kind)[:1] if get_origin(kind) is Annotated else get_args(kind):
            yield from _names_in(part, path)


NAMES = sorted(set(find_names(ProjectSpec)))


def put(raw: dict[str, Any], where: str, value: Any) -> dict[str, Any]:
    """Return the raw spec with this value at `a.b.c`."""
    first, _, rest = where.partition(".")
    return {**raw, first: put(raw.get(first, {}), rest, value) if rest else value}


def build(path: Path) -> ProjectSpec:
    """Return a project in which the key at this path has the name at its end."""
    *keys, name = path
    raw = BASE
    if keys[-1] not in ("adds",):
        listed = [name] if keys[-1] == "parts" else name
        raw = put(raw, ".".join(["candidates", "one", *keys[1:]] if keys[0] == "candidates" else keys), listed)
    if name in WITHOUT_TEXT:
        raw = put(raw, "columns.note.feature", False)
    if name in ("borderline_smote", "adasyn"):  # of numbers alone
        raw = put(put(put(raw, "columns.kind.feature", False), "columns.is_new.feature", False), "selection.folds", 2)
    for where, value in COMPANIONS.get(path, {}).items():
        raw = put(raw, where, value)
    return ProjectSpec.model_validate(raw)


def build_further(changes: dict[str, Any]) -> ProjectSpec:
    raw = BASE
    for where, value in changes.items():
        raw = put(raw, where, value)
    return ProjectSpec.model_validate(raw)


def some_rows(n: int = 160, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    start = pd.Timestamp("2024-01-01", tz="UTC")
    frame = pd.DataFrame(
        {
            "height": random.normal(size=n),
            "count": random.integers(0, 9, n),
            "kind": random.choice(["x", "y", "z"], n),
            "is_new": random.random(n) < 0.5,
            "at": start + pd.to_timedelta(np.arange(n), unit="D"),
            "taken": start + pd.to_timedelta(random.integers(0, 9_000, n), unit="h"),
            "note": [" ".join(random.choice(["good", "bad", "plot", "film"], 6)) for _ in range(n)],
            "place": np.arange(n),
            "shop": random.choice([f"s{at}" for at in range(12)], n),
        }
    )
    said = frame["count"] + 3 * frame["note"].str.count("good") + random.normal(scale=3, size=n)
    frame["answer"] = np.where(said > 8.5, "yes", "no")
    frame["is_old"] = frame["count"] + random.normal(size=n) > 4
    frame.loc[::7, "height"] = np.nan
    frame.loc[::11, "kind"] = None
    return frame


def alter(frame: pd.DataFrame, test: Any) -> pd.DataFrame:
    """Return the frame with other targets and wild features in the test rows; what rows are parted by stays."""
    random = np.random.default_rng(9)
    other, n = frame.copy(), len(test)
    wild = {
        "height": random.choice([1e9, -1e9, np.nan], n),
        "count": random.integers(10**6, 10**7, n),
        "kind": random.choice(["never seen", "x"], n),
        "is_new": random.random(n) < 0.9,
        "is_old": ~frame["is_old"].iloc[test].to_numpy(),
        "taken": pd.Timestamp("1999-12-31", tz="UTC") + pd.to_timedelta(random.integers(0, 99, n), unit="D"),
        "note": "words of the test rows alone",
        "answer": frame["answer"].iloc[test].map({"yes": "no", "no": "yes"}).to_numpy(),
    }
    for column, values in wild.items():
        other.loc[frame.index[test], column] = values
    return other


def train_on(spec: ProjectSpec, frame: pd.DataFrame, tmp_path: Any) -> tuple[str, Any]:
    """Return the digest of the model that all of training makes, and what selection said."""
    rows = frame.iloc[split_rows(frame, spec)[0]].reset_index(drop=True)
    functions = load if "own:" in str(spec.prepare) else no_functions
    with ExitStack() as opened:
        desk = None
        if any(one.search for one in spec.candidates.values()):
            # Each time a registry of its own: a search would find the trials that the first one left there.
            place = f"sqlite:///{tempfile.mkdtemp(dir=tmp_path)}/registry.db"
            desk = TrialDesk(opened.enter_context(open_registry(place)), "code")
        result = fit_project(spec, rows, functions, lambda *_: None, desk)
    return save_model(result.chosen.model, tmp_path / "model"), (
        result.selection,
        [one.params for one in result.tuned.candidates],
    )


def require_blind(spec: ProjectSpec, tmp_path: Any) -> None:
    frame = with_sets(some_rows(), spec)
    train, test = split_rows(frame, spec)
    other = with_sets(alter(frame, test), spec)
    assert np.array_equal(split_rows(other, spec)[0], train)
    assert (other[spec.target].iloc[test] != frame[spec.target].iloc[test]).mean() > 0.5
    assert not other.iloc[test]["answer"].equals(frame.iloc[test]["answer"])
    assert train_on(spec, frame, tmp_path) == train_on(spec, other, tmp_path)


@pytest.mark.parametrize("path", NAMES, ids="-".join)
def test_no_name_lets_the_test_rows_into_a_model(path, tmp_path):
    require_blind(build(path), tmp_path)


@pytest.mark.parametrize("changes", FURTHER.values(), ids=FURTHER)
def test_no_combination_lets_the_test_rows_into_a_model(changes, tmp_path):
    require_blind(build_further(changes), tmp_path)


def test_a_stratified_draw_needs_the_targets_and_looks_at_nothing_else(tmp_path):
    spec = build_further({"split": {"method": "random", "test_share": 0.3}})
    frame = some_rows()
    test = split_rows(frame, spec)[1]
    other = alter(frame, test).assign(answer=frame["answer"])
    assert train_on(spec, frame, tmp_path) == train_on(spec, other, tmp_path)


def test_the_training_rows_do_change_the_model(tmp_path):
    """The control: with no change to find, every test above would pass."""
    spec, frame = ProjectSpec.model_validate(BASE), some_rows()
    for column, value in (("answer", "yes"), ("count", 8), ("height", 3.0), ("note", "good"), ("kind", "z")):
        other = frame.copy()
        other.loc[:20, column] = value
        assert train_on(spec, frame, tmp_path)[0] != train_on(spec, other, tmp_path)[0], column


def test_every_kind_of_preparation_sampler_and_search_is_among_the_names():
    sections = {".".join(path[:-1]) for path in NAMES}
    assert {
        "prepare.number.impute", "prepare.category.encode", "prepare.select.method", "candidates.balance.resample",
        "candidates.calibrate", "decision.threshold", "selection.method", "split.method", "training_rows.keep",
    } <= sections  # fmt: skip
    assert len(NAMES) > 60


# Within the training rows: a probe whose score tells whether a row that a fold judges was in its fit.

NEAREST = {"estimator": "sklearn.neighbors.KNeighborsClassifier", "params": {"n_neighbors": 1}}
RESAMPLED = [path[-1] for path in NAMES if path[:-1] == ("candidates", "balance", "resample")]


def guesses(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Return rows that nothing tells the class of; the nearest one of the same rows would tell it without fail."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": random.normal(size=n),
            "b": random.normal(size=n),
            "c": [f"k{at}" for at in range(n)],
            "y": (random.random(n) < 0.3).astype("int64"),
        }
    )


def probe(candidate: dict[str, Any], **changes: Any) -> ProjectSpec:
    columns = {"a": {"type": "number"}, "b": {"type": "number"}, "y": {"type": "integer"}}
    raw = {"name": "probe", "source": {"csv": "rows.csv"}, "columns": columns, "target": "y"}
    evaluation = {"metric": "balanced_accuracy"}
    return ProjectSpec.model_validate({**raw, "candidates": {"one": candidate}, "evaluation": evaluation, **changes})


@pytest.mark.parametrize("method", ["cross_validation", "holdout"])
@pytest.mark.parametrize("resample", RESAMPLED)
def test_rows_that_a_fold_judges_are_neither_in_its_fit_nor_made_from(resample, method):
    spec = probe({**NEAREST, "balance": {"resample": resample}}, selection={"method": method, "folds": 3})
    (score,) = fit_project(spec, guesses(), no_functions, lambda *_: None).selection
    assert abs(score.mean - 0.5) < 0.1


def test_the_probe_tells_a_row_that_was_in_the_fit():
    """The control: rows drawn again, or made, before the folds are cut would be judged by themselves."""
    frame = guesses()
    more = pd.concat([frame, frame[frame["y"] == 1].iloc[:100]])
    (score,) = fit_project(probe(NEAREST), more, no_functions, lambda *_: None).selection
    assert score.mean > 0.65


def test_a_category_of_its_own_for_each_row_tells_nothing_of_the_rows_a_fold_judges():
    columns = {"c": {"type": "category"}, "y": {"type": "integer"}}
    prepare = {"category": {"encode": "target"}}
    forest = {"estimator": "sklearn.tree.DecisionTreeClassifier"}
    (score,) = fit_project(
        probe(forest, columns=columns, prepare=prepare), guesses(), no_functions, lambda *_: None
    ).selection
    assert abs(score.mean - 0.5) < 0.1


@pytest.mark.parametrize("calibrate", ["sigmoid", "isotonic"])
def test_calibration_learns_from_rows_that_its_fits_did_not_see(calibrate):
    model = fit_candidate("one", probe({**NEAREST, "calibrate": calibrate}), guesses(), load=no_functions)
    shares = model.predict_proba(guesses(seed=1))[:, 1]
    assert np.abs(shares - 0.3).max() < 0.1, "it knows that its neighbour knows nothing"


def test_a_threshold_is_tuned_on_rows_that_its_fits_did_not_see():
    """Who always says no pays 0.3 a row, who follows a neighbour that knows nothing 0.42: fitted rows would hide it."""
    decision = {"threshold": "tuned", "costs": {"false_positive": 1, "false_negative": 1}}
    model = fit_candidate("one", probe(NEAREST, decision=decision), guesses(), load=no_functions)
    assert model.predict(guesses(seed=1)).sum() == 0

"""Rows made and left out by their neighbours: what each sampler changes, what it never touches, and when it refuses."""

import re
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from infra.errors import InsufficientData, SpecError
from tasks.contracts.imbalance import Balance, Resample
from tasks.models.archives import unpack
from tasks.models.digests import archive_digest
from tasks.models.inputs import InputColumns
from tasks.models.loading import load_model
from tasks.models.preprocessing import find_nominal, preprocessing_steps
from tasks.models.recipes import fit_candidate
from tasks.models.samplers import BY_NEIGHBOURS, Prepared, resample_prepared
from tasks.models.saving import save_model
from tests.tasks.models.examples import no_functions, number_rows, numbers_spec

LOGISTIC = {"estimator": "sklearn.linear_model.LogisticRegression"}
TREE = {"estimator": "sklearn.tree.DecisionTreeClassifier"}
MAKING = ("smote", "borderline_smote", "adasyn", "smote_tomek")
CLEANING = ("tomek", "edited_nearest_neighbours")


def overlapping(n=300, rare=30, seed=0, apart=1.0):
    """Return two columns of very different units, and classes that overlap."""
    random = np.random.default_rng(seed)
    target = (np.arange(n) < rare).astype("int64")
    near = random.normal(size=(n, 2)) + apart * target[:, None]
    return Prepared(near * [1.0, 1000.0] + [5.0, 0.0], target)


def sample(how, rows=None, nominal=(), **balance):
    return resample_prepared(
        rows or overlapping(), nominal, Balance(resample=how, **balance), 0, "demo: candidates.one"
    )


def counts(rows):
    return np.unique(rows.target, return_counts=True)[1].tolist()


def test_each_sampler_is_done_in_one_place():
    assert set(get_args(Resample)) == {"none", "over", "under", *MAKING, *CLEANING}
    assert set(BY_NEIGHBOURS) == {*MAKING, *CLEANING}


@pytest.mark.parametrize("how", ["smote", "borderline_smote", "adasyn"])
def test_made_rows_stand_behind_the_others_and_lie_between_two_of_their_class(how):
    before, after = overlapping(), sample(how)
    assert np.array_equal(after.matrix[:300], before.matrix), "not one row is touched"
    assert np.array_equal(after.target[:300], before.target)
    made, rare = after.matrix[300:], before.matrix[before.target == 1]
    assert (after.target[300:] == 1).all()
    assert abs(len(made) - 240) <= 15  # adasyn rounds a share for each row
    scale = rare.std(axis=0)
    for row in made[::10] / scale:
        ends = rare / scale - row
        cosines = np.einsum("id,jd->ij", ends, ends) / np.outer(*[np.linalg.norm(ends, axis=1) + 1e-12] * 2)
        assert cosines.min() < -0.999, "it lies on a line between two rows"


@pytest.mark.parametrize(("ratio", "expected"), [(1.0, 270), (0.5, 135), (0.1, 30)])
def test_the_ratio_says_how_far_classes_are_evened_out(ratio, expected):
    assert counts(sample("smote", ratio=ratio)) == [270, expected]


def test_borderline_makes_rows_nearer_to_the_other_class_than_smote_does():
    far = {}
    for how in ("smote", "borderline_smote"):
        made = sample(how, overlapping(apart=2)).matrix[300:]
        far[how] = ((made - [5, 0]) / [1, 1000]).sum(axis=1).mean()  # the rare class lies where this is larger
    assert far["borderline_smote"] < far["smote"] - 0.1


@pytest.mark.parametrize("how", CLEANING)
def test_cleaning_leaves_out_rows_of_the_larger_class_alone(how):
    before, after = overlapping(), sample(how)
    assert 0 < len(before.target) - len(after.target) < 100
    assert counts(after)[1] == 30
    there = {tuple(row) for row in before.matrix.tolist()}
    assert {tuple(row) for row in after.matrix.tolist()} < there


def test_edited_neighbours_leave_out_a_row_in_the_midst_of_the_other_class():
    rows = Prepared(
        np.array([[0.0], [0.1], [0.2], [0.3], [9], [9.1], [9.2], [9.3], [9.4], [0.15]]), np.array([1] * 4 + [0] * 6)
    )
    kept = sample("edited_nearest_neighbours", rows, neighbours=3)
    assert kept.matrix[:, 0].tolist() == [0.0, 0.1, 0.2, 0.3, 9, 9.1, 9.2, 9.3, 9.4]


def test_smote_tomek_evens_out_and_then_clears_the_edge_of_both_classes():
    smote, both = counts(sample("smote")), counts(sample("smote_tomek"))
    assert both[0] < smote[0]
    assert both[1] < smote[1]
    assert abs(both[0] - both[1]) < 20


@pytest.mark.parametrize("how", BY_NEIGHBOURS)
def test_who_is_near_does_not_depend_on_units(how):
    rows = overlapping()
    other = Prepared(rows.matrix * [100.0, 0.01], rows.target)
    first, second = sample(how, rows), sample(how, other)
    assert np.allclose(first.matrix * [100.0, 0.01], second.matrix)
    assert np.array_equal(first.target, second.target)


@pytest.mark.parametrize("how", ["tomek", "edited_nearest_neighbours"])
def test_ages_go_with_their_rows(how):
    rows = overlapping()
    after = sample(how, rows._replace(weights=rows.matrix[:, 0] + 10))
    assert np.isclose(after.weights.mean(), 1)
    assert np.allclose(after.weights / (after.matrix[:, 0] + 10), after.weights[0] / (after.matrix[0, 0] + 10))
    with pytest.raises(SpecError, match="makes rows that have no weight"):
        sample("smote", rows._replace(weights=rows.matrix[:, 0]))


def mixed(n=200, seed=0):
    random = np.random.default_rng(seed)
    y = (np.arange(n) < 30).astype("int64")
    return pd.DataFrame(
        {
            "size": np.where(random.random(n) < 0.1, np.nan, random.normal(size=n) + y),
            "kind": random.choice(["a", "b", "c", "d"], n, p=[0.6, 0.3, 0.09, 0.01]),
            "place": random.choice(["north", "south", None], n),
            "is_new": random.random(n) < 0.3,
            "y": y,
        }
    )


def mixed_project(**candidate):
    columns = {
        "size": {"type": "number", "null_share": 0.5},
        "kind": {"type": "category"},
        "place": {"type": "category", "null_share": 0.5},
        "is_new": {"type": "boolean"},
        "y": {"type": "integer"},
    }
    return numbers_spec({"one": {**TREE, **candidate}}, columns=columns)


PREPARATIONS = {
    "one_hot": {"number": {"missing_indicator": True, "scale": "standard"}},
    "rare": {"category": {"min_share": 0.05}},
    "ordinal": {"category": {"encode": "ordinal"}},
    "target": {"category": {"encode": "target"}},
    "selected": {"number": {"missing_indicator": True}, "select": {"method": "univariate", "keep": 4}},
    "nearest": {"number": {"impute": "nearest", "missing_indicator": True}, "category": {"impute": "none"}},
}


@pytest.mark.parametrize("prepare", PREPARATIONS.values(), ids=PREPARATIONS)
def test_a_made_row_has_whole_categories_whatever_they_became(prepare):
    spec, frame = mixed_project(prepare=prepare), mixed()
    columns = InputColumns.of(spec)
    from sklearn.pipeline import Pipeline

    steps = Pipeline(preprocessing_steps(columns, spec.preparation_of("one"), 0))
    matrix = np.asarray(steps.fit_transform(columns.read(frame), frame["y"].to_numpy()))
    nominal = find_nominal(steps.steps, columns)
    made = resample_prepared(
        Prepared(matrix, frame["y"].to_numpy()), nominal, Balance(resample="smote"), 0, "here"
    ).matrix[len(frame) :]
    assert len(made) == 140
    assert nominal
    for group in nominal:
        known = {tuple(row) for row in matrix[:, group].tolist()}
        assert {tuple(row) for row in made[:, group].tolist()} <= known
    mixtures = [at for at in range(matrix.shape[1]) if at not in {place for group in nominal for place in group}]
    assert any(not set(made[:, at]) <= set(matrix[:, at]) for at in mixtures), "numbers are mixed"


def test_rows_of_nothing_but_categories_are_made_too():
    columns = {"kind": {"type": "category"}, "y": {"type": "integer"}}
    frame = mixed()[["kind", "y"]]
    spec = numbers_spec({"one": {**TREE, "balance": {"resample": "smote"}}}, columns=columns)
    assert fit_candidate("one", spec, frame, load=no_functions).predict_proba(frame)[:, 1].mean() > 0.3


@pytest.mark.parametrize("how", MAKING)
def test_a_fit_with_made_rows_finds_more_of_the_rare_class(how):
    rows = number_rows(600).assign(y=0)
    random = np.random.default_rng(1)
    rows.loc[:39, "y"] = 1
    rows.loc[:39, "a"] += 1.5
    fresh = rows.assign(a=rows["a"] + random.normal(scale=0.1, size=600))
    found = {}
    for given in ("none", how):
        spec = numbers_spec({"one": {**LOGISTIC, "balance": {"resample": given}}})
        found[given] = fit_candidate("one", spec, rows, load=no_functions).predict(fresh)[:40].mean()
    assert found[how] > found["none"] + 0.3


@pytest.mark.parametrize("how", BY_NEIGHBOURS)
def test_a_stored_model_knows_nothing_of_its_sampler_and_repeats(how, tmp_path):
    rows = number_rows(200).assign(y=lambda frame: (frame["a"] > 0.8).astype("int64"))
    spec = numbers_spec({"one": {**LOGISTIC, "balance": {"resample": how, "ratio": 1.0}}})
    content = [save_model(fit_candidate("one", spec, rows, load=no_functions), tmp_path / name) for name in "ab"]
    assert content[0] == content[1] == archive_digest(unpack((tmp_path / "a").read_bytes()))
    assert b"imblearn" not in b"".join(unpack((tmp_path / "a").read_bytes()).values())
    assert load_model(tmp_path / "a", content[0]).predict_proba(rows).shape == (200, 2)


@pytest.mark.parametrize(
    ("how", "rows", "nominal", "error", "said"),
    [
        (
            "smote",
            overlapping(40, 5),
            (),
            InsufficientData,
            "5 nearest of the same class; of class 1 a fit sees 5 rows",
        ),
        (
            "edited_nearest_neighbours",
            overlapping(5, 2),
            (),
            InsufficientData,
            "looks at 5 neighbours; a fit sees 5 rows",
        ),
        ("borderline_smote", overlapping(10, 3), (), InsufficientData, "of class 1 a fit sees 3 rows"),
        ("adasyn", overlapping(), ((0,),), SpecError, "adasyn makes rows of numbers alone; 1 columns hold categories"),
        ("smote", Prepared(np.array([[np.nan]] * 9), np.arange(9) % 2), (), SpecError, "9 of 9 rows have one"),
        ("tomek", Prepared(np.zeros((4, 2, 2, 1)), np.arange(4) % 2), (), SpecError, "have the shape (2, 2, 1) each"),
    ],
    ids=["class", "rows", "border", "categories", "missing", "pictures"],
)
def test_what_a_sampler_cannot_do_is_said_with_the_next_step(how, rows, nominal, error, said):
    with pytest.raises(error, match=re.escape(said)) as caught:
        sample(how, rows, nominal)
    assert caught.value.remedy


def test_classes_that_never_meet_give_adasyn_nothing_to_do():
    apart = overlapping()
    apart.matrix[apart.target == 1] += 1e6
    with pytest.raises(InsufficientData, match="where classes meet, and here none of the rare class") as caught:
        sample("adasyn", apart)
    assert "resample: smote" in caught.value.remedy


def test_a_mixture_of_texts_is_refused():
    columns = {"a": {"type": "number"}, "b": {"type": "text"}, "y": {"type": "integer"}}
    spec = numbers_spec({"one": {**LOGISTIC, "balance": {"resample": "smote"}}}, columns=columns)
    with pytest.raises(SpecError, match="'b' holds text, and a mixture of two is none"):
        fit_candidate("one", spec, number_rows().assign(b="word"), load=no_functions)


@pytest.mark.parametrize(
    ("balance", "said"),
    [
        ({"resample": "tomek", "ratio": 0.5}, "resample tomek does not even them out"),
        ({"resample": "over", "neighbours": 3}, "neighbours stands with resample smote"),
        ({"weights": "balanced", "resample": "smote"}, "choose one"),
        ({"resample": "smoot"}, "Input should be"),
    ],
    ids=["ratio", "neighbours", "weights", "misspelt"],
)
def test_keys_that_do_not_go_together_are_refused(balance, said):
    with pytest.raises(ValidationError, match=said):
        Balance(**balance)


@pytest.mark.parametrize(("how", "expected"), [("over", [270, 135]), ("under", [60, 30])])
def test_drawing_knows_the_ratio_as_well(how, expected):
    from tasks.models.balancing import balance_rows
    from tasks.models.inputs import Rows

    rows = overlapping()
    drawn = balance_rows(Rows(rows.matrix, rows.target, None), Balance(resample=how, ratio=0.5), 0)
    assert np.unique(drawn.target, return_counts=True)[1].tolist() == expected


def test_adasyn_makes_no_row_where_classes_are_almost_even():
    rows = overlapping(200, 98)
    assert counts(sample("adasyn", rows)) == [102, 98]

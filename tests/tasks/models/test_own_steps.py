"""`prepare.steps`: the project's own functions, row by row, told apart by their source."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.errors import ContractBroken, IntegrityError, SpecError
from infra.projects import digest_source
from infra.projects.folders import ProjectFolder
from infra.projects.functions import load_function
from tasks.models.loading import load_model
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.examples import mixed_rows, mixed_spec, no_functions, number_rows, numbers_spec
from tests.tasks.models.networks import load

LOGISTIC = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"max_iter": 1000}}
STEPS = [
    {"function": "own:ratio", "params": {"floor": 2}, "adds": {"ratio": "number"}},
    {"function": "own:talk", "adds": {"both": "category", "loud": "boolean"}},
]


def numbers(function, **changes):
    step = {"function": f"own:{function}", "adds": {"product": "number"}}
    return numbers_spec({"one": LOGISTIC}, prepare={"steps": [step]}, **changes)


def crossed(n=400, seed=0):
    """Return rows whose class is the sign of a * b: no line tells it, their product does."""
    rows = number_rows(n, seed)
    return rows.assign(y=(rows["a"] * rows["b"] > 0).astype("int64"))


def test_a_column_that_a_function_adds_tells_what_no_other_does():
    bare = numbers_spec({"one": LOGISTIC})
    rows, fresh = crossed(), crossed(seed=1)
    right = {
        name: (fit_candidate("one", spec, rows, load=load).predict(fresh) == fresh["y"]).mean()
        for name, spec in (("bare", bare), ("own", numbers("product")))
    }
    assert right["bare"] < 0.65
    assert right["own"] > 0.9


def test_columns_of_every_kind_are_added_prepared_and_stored(tmp_path):
    spec = mixed_spec({"one": LOGISTIC}, prepare={"steps": STEPS, "number": {"scale": "standard"}})
    model, fresh = fit_candidate("one", spec, mixed_rows(), load=load), mixed_rows(30, seed=1)
    content = save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model", content, load)
    assert np.array_equal(model.predict_proba(fresh), loaded.predict_proba(fresh))
    assert np.array_equal(model.predict(fresh), loaded.predict(fresh))
    alone = np.vstack([loaded.predict_proba(fresh.iloc[at : at + 1]) for at in range(len(fresh))])
    assert np.allclose(alone, loaded.predict_proba(fresh), rtol=0, atol=1e-12)
    names = loaded.pipeline.steps[0][1].get_feature_names_out().tolist()
    assert {"number__ratio", "number__loud"} < set(names)
    assert any(name.startswith("category__both_x-") for name in names)


@pytest.mark.parametrize("candidate", [{"calibrate": "sigmoid"}, {"balance": {"resample": "smote"}}], ids=str)
def test_added_columns_are_there_wherever_a_model_is_asked(candidate, tmp_path):
    spec = numbers_spec({"one": {**LOGISTIC, **candidate}}, prepare=numbers("product").prepare)
    model, fresh = fit_candidate("one", spec, crossed(), load=load), crossed(seed=1)
    assert (model.predict(fresh) == fresh["y"]).mean() > 0.9


def test_other_arguments_are_another_model(tmp_path):
    def digest(floor):
        steps = [{"function": "own:ratio", "params": {"floor": floor}, "adds": {"ratio": "number"}}]
        model = fit_candidate("one", mixed_spec({"one": LOGISTIC}, prepare={"steps": steps}), mixed_rows(), load=load)
        return save_model(model, tmp_path / "model")

    assert digest(1) == digest(1) != digest(2)


def test_a_candidate_may_have_steps_of_its_own():
    own = {**LOGISTIC, "prepare": numbers("product").prepare.model_dump()}
    spec = numbers_spec({"own": own, "bare": LOGISTIC})
    assert fit_candidate("bare", spec, crossed(), load=no_functions).columns.steps == ()
    assert fit_candidate("own", spec, crossed(), load=load).columns.widened.numbers == ("a", "b", "product")


@pytest.mark.parametrize("function", ["of_the_mean", "of_the_one_before", "of_the_draw", "of_the_first_call"])
def test_a_function_that_looks_beyond_the_row_is_refused(function):
    with pytest.raises(SpecError, match=rf"own:{function} to answer each row from that row alone; 'product'") as caught:
        fit_candidate("one", numbers(function), number_rows(), load=load)
    assert "training rows only" in caught.value.remedy


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        ("other_columns", SpecError, "to return a frame of the columns 'product', received 'a', 'b', 'product'"),
        ("nothing", SpecError, "received NoneType"),
        ("fewer_rows", SpecError, "to return 1 rows in the order given, received 0"),
        ("other_order", SpecError, "in another order or index"),
        ("failing", SpecError, "own:failing fails on 1 rows: ZeroDivisionError: no"),
        ("infinite", ContractBroken, "Expected finite numbers in 'product'"),
    ],
)
def test_a_function_that_returns_something_else_is_refused(function, error, said):
    with pytest.raises(error, match=said):
        fit_candidate("one", numbers(function), number_rows(), load=load)


def test_a_function_cannot_change_what_others_see():
    rows, spec = crossed(), numbers("in_place")
    model = fit_candidate("one", spec, rows, load=load)
    pd.testing.assert_frame_equal(rows, crossed())
    assert np.ptp(model.pipeline.named_steps["model"].coef_) > 0


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(ValueError, match=r"prepare\.steps\[0\]\.adds: there is a column 'a' already"):
        numbers_spec({"one": LOGISTIC}, prepare={"steps": [{"function": "own:product", "adds": {"a": "number"}}]})


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "features.py").write_text(
        "from . import units\nfrom .words import long\n\n\ndef product(frame):\n    return frame[['a']].set_axis(['product'], axis=1) * units.ONE\n"
    )
    (folder / "units.py").write_text("ONE = 1\n")
    (folder / "words.py").write_text("from .deep.inner import DEEP\n\nlong = DEEP\n")
    (folder / "deep").mkdir()
    (folder / "deep" / "inner.py").write_text("DEEP = 1\n")
    (folder / "data.py").write_text("READ = 1\n")
    return ProjectFolder("shop", folder)


@pytest.mark.parametrize("changed", ["features", "units", "words", "deep/inner"])
def test_a_model_is_not_loaded_with_a_function_of_another_source(folder, changed, tmp_path):
    spec = numbers_spec(
        {"one": LOGISTIC}, prepare={"steps": [{"function": "features:product", "adds": {"product": "number"}}]}
    )

    def here(reference):
        return load_function(folder, reference)

    content = save_model(fit_candidate("one", spec, number_rows(), load=here), tmp_path / "model")
    (folder.path / "data.py").write_text("READ = 2  # what no step imports may change\n")
    assert load_model(tmp_path / "model", content, here).classes == (0, 1)
    source = folder.path / f"{changed}.py"
    source.write_text(source.read_text() + "# a comment\n")
    with pytest.raises(IntegrityError, match="fitted with another features:product") as caught:
        load_model(tmp_path / "model", content, here)
    assert "Bring features.py back" in caught.value.remedy
    shutil.rmtree(folder.path / "deep")
    (folder.path / "features.py").unlink()
    with pytest.raises(IntegrityError, match=r"no features\.py in"):
        load_model(tmp_path / "model", content, here)
    with pytest.raises(IntegrityError, match="loaded without the project's functions"):
        load_model(tmp_path / "model", content)


def test_only_a_function_that_the_module_defines_has_a_source():
    def borrowed(reference):
        return np.add

    with pytest.raises(SpecError, match=r"expected a function that own\.py defines"):
        digest_source(borrowed(""), "own:add")
    with pytest.raises(SpecError, match=r"expected a function that other\.py defines"):
        digest_source(load("own:ratio"), "other:ratio")
    assert Path(load("own:ratio").__code__.co_filename).name == "own.py"


def test_pictures_are_no_columns():
    model = fit_candidate("one", numbers("product"), number_rows(), load=load)
    with pytest.raises(SpecError, match="own:product takes columns"):
        model.columns.derive(np.zeros((2, 4, 4, 1), dtype=np.uint8))


@pytest.mark.slow
@pytest.mark.xdist_group("networks")
def test_a_network_has_added_columns_and_made_rows_as_well(tmp_path):
    network = {"build": "networks:dense", "epochs": 6, "validation_share": 0.2}
    rare = crossed(600).assign(y=lambda rows: (rows["a"] * rows["b"] > 0.8).astype("int64"))
    found = {}
    for how in ("none", "smote"):
        candidate = {"network": network, "params": {"learning_rate": 0.1}, "balance": {"resample": how}}
        spec = numbers_spec({"one": candidate}, prepare=numbers("product").prepare)
        model = fit_candidate("one", spec, rare, load=load)
        assert model.network.input_shape == (None, 3)
        found[how] = model.predict_proba(rare)[:, 1].mean()
    content = save_model(model, tmp_path / "model")
    loaded, fresh = load_model(tmp_path / "model", content, load), crossed(seed=1)
    assert np.array_equal(model.predict_proba(fresh), loaded.predict_proba(fresh))
    assert found["smote"] > found["none"] + 0.1

"""Models as ONNX: equal answers or no file, what stays outside said, and nothing that fails there fails a training."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from infra.frames import write_parquet
from tasks.contracts.export import OnnxExport
from tasks.contracts.project import ProjectSpec
from tasks.models.inputs import InputColumns
from tasks.models.model import FittedModel
from tasks.models.onnx_conversion import MISSING
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tasks.models.sklearn_models import SklearnModel
from tasks.release.exports import describe_export
from tasks.training.exporting import (
    INT8,
    MODEL,
    ONNX,
    TEST_ROWS,
    ExportRequest,
    answer_onnx,
    compare_answers,
    compare_values,
    export_apart,
    export_model,
    make_odd_rows,
    open_session,
)
from tests.tasks.models import networks
from tests.tasks.models.examples import (
    CLASSICAL,
    mixed_rows,
    mixed_spec,
    no_functions,
    number_rows,
    numbers_spec,
)

ASKED = {"onnx": True, "int8": True}
TEST = 40


def table_spec(candidates: dict[str, Any], **changes: Any) -> ProjectSpec:
    """Return a project of numbers and a category, both of which may be missing."""
    columns = {
        "height": {"type": "number", "null_share": 0.2},
        "count": {"type": "integer"},
        "kind": {"type": "category", "null_share": 0.2},
        "answer": {"type": "category"},
    }
    raw = {"name": "table", "source": {"csv": "rows.csv"}, "columns": columns, "target": "answer"}
    return ProjectSpec.model_validate({**raw, "candidates": candidates, "export": ASKED, **changes})


def fit_and_export(
    name: str, spec: ProjectSpec, frame: pd.DataFrame, folder: Path
) -> tuple[FittedModel, pd.DataFrame, OnnxExport]:
    test = frame.iloc[-TEST:].reset_index(drop=True)
    model = fit_candidate(name, spec, frame.iloc[:-TEST], load=no_functions)
    return model, test, export_model(model, spec, test, folder)


NUMBERS = ("knn", "logistic", "forest", "boosting", "histogram", "svc", "perceptron", "bayes")


@pytest.mark.parametrize("name", NUMBERS)
def test_the_file_answers_as_the_model_does_where_all_are_numbers(name: str, tmp_path: Path) -> None:
    spec = numbers_spec({name: CLASSICAL[name]}, export=ASKED)
    model, test, made = fit_and_export(name, spec, number_rows(160), tmp_path)
    assert (made.status, made.covers, made.outside) == ("exported", "whole model", ())
    session = open_session((tmp_path / ONNX).read_bytes())
    given = test[["a", "b"]].to_numpy(dtype=np.float32)
    np.testing.assert_allclose(answer_onnx(session, {"inputs": given}), model.predict_proba(test), atol=1e-4)
    assert made.size_bytes == (tmp_path / ONNX).stat().st_size
    assert made.latency_ms is not None
    assert made.latency_ms > 0


@pytest.mark.parametrize(
    "prepare",
    [
        {"number": {"scale": "standard"}},
        {"number": {"impute": "mean", "scale": "minmax"}, "category": {"impute": "most_frequent"}},
        {"category": {"impute": "none"}},
        {"category": {"encode": "ordinal"}},
    ],
    ids=["missing as a category", "most frequent", "missing left to the encoder", "ordinal"],
)
def test_the_whole_pipeline_of_numbers_and_categories_is_in_the_file_missing_and_unseen_ones_too(
    prepare: dict[str, Any], tmp_path: Path
) -> None:
    spec = table_spec(
        {"tree": {"estimator": "sklearn.tree.DecisionTreeClassifier", "params": {"max_depth": 4}}}, prepare=prepare
    )
    model, test, made = fit_and_export("tree", spec, mixed_rows(300), tmp_path)
    assert (made.status, made.covers) == ("exported", "whole model"), made.reason
    assert made.rows == TEST + 3, "a height that is missing, a kind that is, a kind that nobody saw"
    odd = pd.concat([test, make_odd_rows(test, spec)], ignore_index=True)
    feed = {
        "height": odd["height"].to_numpy(dtype=np.float32)[:, None],
        "count": odd["count"].to_numpy(dtype=np.float32)[:, None],
        "kind": odd["kind"].fillna(MISSING).to_numpy(dtype=object)[:, None],
    }
    theirs = answer_onnx(open_session((tmp_path / ONNX).read_bytes()), feed)
    np.testing.assert_allclose(theirs, model.predict_proba(odd), atol=1e-4)


def test_what_cannot_be_converted_stays_outside_and_is_said(tmp_path: Path) -> None:
    spec = mixed_spec({"logistic": CLASSICAL["logistic"]}, export=ASKED)
    _, _, made = fit_and_export("logistic", spec, mixed_rows(200), tmp_path)
    assert (made.status, made.covers) == ("exported", "part of the model")
    (outside,) = made.outside
    assert outside.endswith("SimpleImputer, StandardScaler, OneHotEncoder, Tfidf")
    assert "the pipeline in float32" in made.reason
    assert any(line.startswith("outside the file: the preparation") for line in describe_export(made))


def test_the_projects_own_steps_stay_outside_and_the_file_takes_what_they_add(tmp_path: Path) -> None:
    step = {"function": "own:product", "adds": {"product": "number"}}
    spec = numbers_spec({"forest": CLASSICAL["forest"]}, prepare={"steps": [step]}, export=ASKED)
    rows = number_rows(160)
    model = fit_candidate("forest", spec, rows.iloc[:-TEST], load=networks.load)
    test = rows.iloc[-TEST:].reset_index(drop=True)
    made = export_model(model, spec, test, tmp_path)
    assert (made.status, made.covers) == ("exported", "part of the model"), made.reason
    assert made.outside == ("the project's own step own:product, which adds product",)
    given = test[["a", "b"]].assign(product=test["a"] * test["b"]).to_numpy(dtype=np.float32)
    theirs = answer_onnx(open_session((tmp_path / ONNX).read_bytes()), {"inputs": given})
    np.testing.assert_allclose(theirs, model.predict_proba(test), atol=1e-4)


def test_calibration_and_threshold_stay_outside_and_are_said(tmp_path: Path) -> None:
    candidate = {**CLASSICAL["bayes"], "calibrate": "sigmoid"}
    spec = numbers_spec({"bayes": candidate}, export=ASKED, decision={"threshold": "tuned"})
    _, _, made = fit_and_export("bayes", spec, number_rows(200), tmp_path)
    assert (made.status, made.covers) == ("exported", "part of the model")
    assert [part.split(":")[0] for part in made.outside] == ["the calibration of probabilities", "the decision"]


def test_a_model_that_no_way_converts_has_no_file_and_a_reason_for_each_way(tmp_path: Path) -> None:
    spec = numbers_spec({"radius": {"estimator": "sklearn.semi_supervised.LabelSpreading"}}, export=ASKED)
    _, _, made = fit_and_export("radius", spec, number_rows(120), tmp_path)
    assert made.status == "not exported"
    assert "float32" in made.reason
    assert "float64" in made.reason
    assert not list(tmp_path.iterdir())
    assert [*describe_export(made)] == [f"not exported: {made.reason}"]


def test_a_file_that_answers_otherwise_is_no_file(tmp_path: Path) -> None:
    # Of neighbours at the same distance another one counts: one row of 43.
    spec = table_spec({"ball-tree": CLASSICAL["ball-tree"]})
    _, _, made = fit_and_export("ball-tree", spec, mixed_rows(300), tmp_path)
    assert made.status == "not exported"
    assert "rows are answered otherwise" in made.reason
    assert not list(tmp_path.iterdir())


@given(
    gap=st.floats(0, 0.3), shift=st.floats(-0.01, 0.01), tolerance=st.sampled_from([1e-4, 1e-3]), rows=st.integers(1, 4)
)
def test_answers_are_equal_within_the_tolerance_and_ties_may_fall_either_way(
    gap: float, shift: float, tolerance: float, rows: int
) -> None:
    ours = np.tile([0.5 + gap / 2, 0.5 - gap / 2], (rows, 1))
    theirs = ours + np.array([-shift, shift])
    problem, largest = compare_answers(ours, theirs, tolerance)
    assert largest == pytest.approx(abs(shift), abs=1e-12)
    assert bool(problem) == (largest > tolerance)


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (np.array([[0.4, 0.6]]), "1 of 1 rows are answered otherwise"),
        (np.array([[np.nan, 0.4]]), "not a number"),
        (np.array([[0.6, 0.3, 0.1]]), "expected answers of shape"),
    ],
    ids=["other class", "NaN", "other shape"],
)
def test_other_answers_are_told_apart(theirs: np.ndarray, said: str) -> None:
    assert said in compare_answers(np.array([[0.6, 0.4]]), theirs, 1e-4)[0]


def test_int8_is_kept_where_the_metric_holds_and_the_file_is_smaller(tmp_path: Path) -> None:
    wide = {
        "estimator": "sklearn.neural_network.MLPClassifier",
        "params": {"hidden_layer_sizes": [256, 64], "max_iter": 3000},
    }
    spec = numbers_spec({"wide": wide}, export={**ASKED, "int8_loss": 0.05})
    _, _, made = fit_and_export("wide", spec, number_rows(200), tmp_path)
    assert made.int8 is not None
    assert made.int8.status == "kept", made.int8.reason
    assert made.int8.size_bytes == (tmp_path / INT8).stat().st_size
    assert made.size_bytes is not None
    assert made.int8.size_bytes < made.size_bytes / 2
    assert made.int8.before is not None
    assert made.int8.after is not None
    assert made.int8.before - made.int8.after <= 0.05


def test_int8_that_gains_or_holds_nothing_is_not_kept_and_says_why(tmp_path: Path) -> None:
    spec = numbers_spec({"forest": CLASSICAL["forest"]}, export=ASKED)
    _, _, made = fit_and_export("forest", spec, number_rows(120), tmp_path)
    assert made.int8 is not None
    assert (made.int8.status, (tmp_path / INT8).exists()) == ("not kept", False)
    assert "no matrix product" in made.int8.reason
    small = numbers_spec({"perceptron": CLASSICAL["perceptron"]}, export=ASKED)
    _, _, made = fit_and_export("perceptron", small, number_rows(120), tmp_path)
    assert made.int8 is not None
    assert "no smaller" in made.int8.reason
    assert not (tmp_path / INT8).exists()


@pytest.mark.slow
def test_a_process_that_fails_is_a_reason_and_no_error(tmp_path: Path) -> None:
    spec = numbers_spec({"bayes": CLASSICAL["bayes"]}, export={"onnx": True})
    rows = number_rows(100)
    content = save_model(fit_candidate("bayes", spec, rows, load=no_functions), tmp_path / MODEL)
    (tmp_path / MODEL).write_bytes((tmp_path / MODEL).read_bytes()[:-100])
    write_parquet(rows, tmp_path / TEST_ROWS)
    made = export_apart(ExportRequest(spec=spec, content=content, model_size_bytes=1), tmp_path)
    assert made.status == "not exported"
    assert "ended with 1" in made.reason


def test_a_converter_that_hangs_is_given_up(tmp_path: Path) -> None:
    spec = numbers_spec({"bayes": CLASSICAL["bayes"]}, export={"onnx": True})
    made = export_apart(ExportRequest(spec=spec, content="0" * 64, model_size_bytes=1), tmp_path, timeout_s=0.01)
    assert made.status == "not exported"
    assert "more than" in made.reason


class Regression(SklearnModel):
    """A fitted pipeline that answers values."""

    @property
    def classes(self) -> tuple[Any, ...]:
        return ()


@pytest.mark.parametrize(
    "kind", [LinearRegression, partial(HistGradientBoostingRegressor, max_iter=5)], ids=["linear", "boosting"]
)
def test_a_regression_is_exported_and_its_values_are_held_against_its_own(kind: Any, tmp_path: Path) -> None:
    rows = number_rows(200)
    told = 1e6 * rows["a"] - 3e5 * rows["b"]
    pipeline = Pipeline([("scale", StandardScaler()), ("model", kind())]).fit(rows[["a", "b"]].to_numpy(), told)
    model = Regression(InputColumns(numbers=("a", "b")), pipeline)
    spec = numbers_spec({"bayes": CLASSICAL["bayes"]}, export={"onnx": True})
    made = export_model(model, spec, rows.iloc[-TEST:].reset_index(drop=True), tmp_path)
    assert (made.status, made.covers) == ("exported", "whole model"), made.reason
    assert made.largest_difference is not None
    assert made.largest_difference < 1e-5, "in standard deviations: in the target's own unit it is far more"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_what_counts_as_equal_values_does_not_depend_on_their_unit(scale: float) -> None:
    ours = scale * np.array([[1.0], [2.0], [4.0]])
    assert compare_values(ours, ours + 1e-6 * scale, 1e-4)[0] == ""
    assert "3 of 3 rows" in compare_values(ours, ours + 1e-2 * scale, 1e-4)[0]


@pytest.mark.slow
@pytest.mark.xdist_group("networks")
def test_networks_answer_as_they_do_in_keras(tmp_path: Path) -> None:
    dense = {"network": {"build": "networks:dense", "epochs": 2}, "params": {"hidden": 64}}
    spec = numbers_spec({"dense": dense}, export=ASKED)
    rows = number_rows(160)
    model = fit_candidate("dense", spec, rows.iloc[:-TEST], load=networks.load)
    made = export_model(model, spec, rows.iloc[-TEST:].reset_index(drop=True), tmp_path)
    assert (made.status, made.covers) == ("exported", "whole model"), made.reason
    words = {
        "network": {"build": "networks:words", "epochs": 1},
        "prepare": {"text": {"encode": "tokens", "vocabulary": 10, "length": 6}},
    }
    columns = {"note": {"type": "text"}, "answer": {"type": "category"}}
    raw = {"name": "said", "source": {"csv": "rows.csv"}, "columns": columns, "target": "answer"}
    told = ProjectSpec.model_validate({**raw, "candidates": {"words": words}, "export": ASKED})
    frame = mixed_rows(160)
    text = fit_candidate("words", told, frame.iloc[:-TEST], load=networks.load)
    made = export_model(text, told, frame.iloc[-TEST:].reset_index(drop=True), tmp_path)
    assert (made.status, made.covers) == ("exported", "part of the model"), made.reason
    assert made.outside == ("the preparation of its inputs: Tokens",)


def flipped(shape: Any, params: dict[str, Any]) -> Any:
    """Build a network that sees its rows turned round while it learns, as one of pictures does."""
    import keras

    layers = keras.layers
    augment = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomTranslation(0.1, 0.1)])
    body = [layers.Reshape((1, 2, 1)), augment, layers.Conv2D(4, 1), layers.BatchNormalization(), layers.Flatten()]
    model = keras.Sequential([keras.Input((shape.inputs,)), *body, layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer="adam", loss="binary_crossentropy")
    return model


@pytest.mark.slow
@pytest.mark.xdist_group("networks")
def test_what_only_changes_the_rows_of_a_training_is_left_out_of_the_file(tmp_path: Path) -> None:
    spec = numbers_spec({"flipped": {"network": {"build": "networks:flipped", "epochs": 1}}}, export={"onnx": True})
    model = fit_candidate("flipped", spec, number_rows(80), load=lambda _: flipped)
    made = export_model(model, spec, number_rows(30, seed=1), tmp_path)
    assert (made.status, made.covers) == ("exported", "whole model"), made.reason

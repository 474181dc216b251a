"""Networks that answer several labels a row: one sigmoid each, taught by the cross-entropy of each."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.errors import SpecError
from tasks.metrics.label_sets import gather_bits, write_sets
from tasks.models.label_columns import spread_sets, with_sets
from tasks.models.loading import load_model
from tasks.models.networks.losses import label_focal
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tasks.models.tensorflow_runtime import start_keras
from tasks.training.selection import select_candidate
from tests.tasks.models.examples import no_functions
from tests.tasks.models.label_rows import BAYES, LABELS, label_rows, labels_spec

DENSE = {"architecture": {"name": "dense", "units": [32]}, "epochs": 15, "batch_size": 32}

pytestmark = pytest.mark.slow


def fit(load: Any = no_functions, rows: Any = None, labels: Any = LABELS, params: Any = None, **network: Any) -> Any:
    candidate = {"network": {**DENSE, **network}, "prepare": {"number": {"scale": "standard"}}, "params": params or {}}
    spec = labels_spec({"net": candidate}, labels=labels)
    return fit_candidate("net", spec, label_rows() if rows is None else rows, load=load)


def right(model: Any) -> float:
    rows = label_rows()
    return float((spread_sets(model.predict(rows), labels_spec()) == rows[LABELS]).to_numpy().mean())


def test_a_network_learns_sets_of_labels_and_answers_the_same_after_it_was_stored(tmp_path: Path) -> None:
    model, rows = fit(optimizer={"learning_rate": 0.01}), label_rows()
    assert model.classes == tuple(LABELS)
    shares = model.predict_proba(rows)
    assert shares.shape == (400, 3)
    assert not np.allclose(shares.sum(axis=1), 1)
    assert model.predict(rows).tolist() == write_sets(gather_bits(shares > 0.5), LABELS).tolist()
    assert right(model) > 0.85
    assert model.history["loss"][-1] < model.history["loss"][0]
    content = save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model", content, no_functions)
    assert np.array_equal(again.predict_proba(rows), shares)
    assert again.predict(rows).tolist() == model.predict(rows).tolist()


def test_two_labels_have_an_output_each_and_training_may_end_early_by_the_share_of_right_ones() -> None:
    rows = label_rows().drop(columns="properties")
    spec = labels_spec(labels=LABELS[:2])
    stopping = {"validation_share": 0.2, "early_stopping": {"metric": "accuracy", "patience": 1}, "epochs": 3}
    model = fit(rows=with_sets(rows, spec), labels=LABELS[:2], **stopping)
    assert model.predict_proba(label_rows()).shape == (400, 2)
    assert all(0.3 < value <= 1 for value in model.history["accuracy"])


def test_the_loss_of_labels_is_binary_cross_entropy_and_focal_looks_away_from_what_is_right() -> None:
    keras = start_keras(2)
    truth = np.array([[1.0, 0, 1], [0, 0, 1]], dtype=np.float32)
    answers = np.array([[0.9, 0.2, 0.4], [0.1, 0.5, 0.99]], dtype=np.float32)
    for smoothing in (0.0, 0.2):
        theirs = keras.losses.binary_crossentropy(truth, answers, label_smoothing=smoothing)
        ours = label_focal(keras.ops, truth, answers, gamma=0.0, smoothing=smoothing)
        assert np.allclose(ours, theirs, atol=1e-6)
    given = np.where(truth == 1, answers, 1 - answers)
    expected = -((1 - given) ** 2 * np.log(given)).mean(axis=1)
    assert np.allclose(label_focal(keras.ops, truth, answers, gamma=2.0, smoothing=0.0), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ({"name": "pairwise"}, "loss pairwise: expected one of cross_entropy, focal, for a row may have several"),
        ({"name": "mse"}, "loss mse: expected one of cross_entropy, focal"),
        ({"name": "focal", "class_weights": {"even": 2}}, "loss.class_weights: "),
    ],
    ids=["pairwise", "mse", "class weights"],
)
def test_a_loss_that_is_none_of_labels_is_refused(loss: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        fit(loss=loss, epochs=1)


def test_a_build_function_is_told_that_a_row_may_have_several_labels() -> None:
    told = []

    def build(shape: Any, _params: Any) -> Any:
        keras = start_keras(2)
        told.append((shape.classes, shape.several))
        outputs = keras.layers.Dense(shape.classes, activation="sigmoid")
        network = keras.Sequential([keras.Input((shape.inputs,)), outputs])
        network.compile(optimizer="adam", loss="binary_crossentropy")
        return network

    model = fit(lambda _reference: build, architecture=None, build="net:build", epochs=1)
    assert told == [(3, True)]
    assert model.predict_proba(label_rows()).shape == (400, 3)


def test_selection_holds_a_network_against_an_estimator_by_a_metric_of_sets() -> None:
    net = {"network": {**DENSE, "optimizer": {"learning_rate": 0.01}}, "prepare": {"number": {"scale": "standard"}}}
    spec = labels_spec({"bayes": BAYES, "net": net}, selection={"method": "holdout"})
    scores = {one.candidate: one for one in select_candidate(spec, label_rows(), no_functions, lambda *_: None)}
    assert scores["net"].chosen
    assert scores["net"].mean > scores["bayes"].mean + 0.05

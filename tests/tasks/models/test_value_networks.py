"""Networks that answer values: one linear output, a loss of values, in the units of the target."""

from typing import Any

import numpy as np
import pytest

from infra.errors import TrainingFailed
from tasks.models.loading import load_model
from tasks.models.material import describe_values
from tasks.models.networks.shape import NetworkShape
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.test_regressors import value_rows, value_spec

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("networks")]


def build(shape: Any, params: dict[str, Any]) -> Any:
    import keras

    layers = [
        keras.Input((shape.inputs,)),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(params.get("outputs", 1)),
        keras.layers.Rescaling(shape.spread, shape.centre),
    ]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss=params["loss"], metrics=["mae"])
    return model


def fit(**params: Any) -> Any:
    network = {"build": "network:build", "epochs": 12, "batch_size": 32, "validation_share": 0.2, "refit": False}
    spec = value_spec({"net": {"network": network, "params": params, "prepare": {"number": {"scale": "standard"}}}})
    return fit_candidate("net", spec, value_rows(400), load=lambda reference: build)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_a_network_learns_values_and_is_itself_once_loaded(loss: str, tmp_path: Any) -> None:
    model, frame = fit(loss=loss), value_rows(100, seed=3)
    answers = model.predict(frame)
    assert (model.classes, answers.shape, answers.dtype) == ((), (100,), np.float64)
    assert np.sqrt(np.mean((answers - frame["answer"]) ** 2)) < 0.6 * frame["answer"].std()
    assert len(model.history["val_mae"]) == 12
    again = load_model(tmp_path / "model", save_model(model, tmp_path / "model"))
    assert again.classes == ()
    assert np.array_equal(again.predict(frame), answers)


def test_a_network_of_two_outputs_is_no_regression() -> None:
    with pytest.raises(
        TrainingFailed, match="expected one output for the value of a regression, received a network with 2"
    ):
        fit(loss="mse", outputs=2)


def test_a_network_is_told_where_its_values_lie_and_nothing_of_classes() -> None:
    assert describe_values(np.array([1.0, 3.0])) == (2.0, 1.0)
    assert describe_values(np.array([5.0, 5.0])) == (5.0, 1.0)
    assert describe_values(np.array([0, 1])) == (0.0, 1.0)
    assert NetworkShape(2, 2, 0) == NetworkShape(2, 2, 0, centre=0.0, spread=1.0)

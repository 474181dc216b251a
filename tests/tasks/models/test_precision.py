"""Mixed precision: 16 bits in training alone. bfloat16 works on a CPU too, so all but its speed is tested here."""

import json

import numpy as np
import pytest

from tasks.models.digests import _without_names
from tasks.models.keras_models import network_config
from tasks.models.loading import load_model
from tasks.models.precision import choose_precision, computing_in
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.examples import number_rows, numbers_spec
from tests.tasks.models.networks import load

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("networks")]

DENSE = {"architecture": {"name": "dense", "units": [16], "normalise": "batch"}, "epochs": 4}


def fit(precision):
    spec = numbers_spec({"one": {"network": DENSE}}, compute={"precision": precision})
    return fit_candidate("one", spec, number_rows(200), load=load)


@pytest.fixture(scope="module")
def models():
    return {precision: fit(precision) for precision in ("float32", "mixed")}


def test_mixed_precision_is_recorded_and_changes_what_is_learnt(models):
    assert [model.trained.precision for model in models.values()] == ["float32", "mixed_bfloat16"]
    answers = [model.predict_proba(number_rows(50, seed=1)) for model in models.values()]
    assert not np.array_equal(*answers)
    assert np.allclose(*answers, rtol=0, atol=0.05)


def test_a_network_trained_in_mixed_precision_answers_and_is_stored_in_float32(models, tmp_path):
    model = models["mixed"]
    configs = [json.dumps(_without_names(network_config(each.network))) for each in models.values()]
    assert configs[0] == configs[1]
    assert {weight.dtype.name for weight in map(np.asarray, model.network.get_weights())} == {"float32"}
    content = save_model(model, tmp_path / "model")
    frame = number_rows(50, seed=1)
    assert np.array_equal(load_model(tmp_path / "model", content).predict_proba(frame), model.predict_proba(frame))


@pytest.mark.parametrize(
    ("wish", "capability", "expected"),
    [
        ("float32", (9, 0), "float32"),
        ("auto", None, "float32"),
        ("auto", (6, 1), "float32"),
        ("auto", (7, 0), "mixed_float16"),
        ("auto", (8, 0), "mixed_bfloat16"),
        ("mixed", None, "mixed_bfloat16"),
        ("mixed", (6, 1), "mixed_float16"),
        ("mixed", (9, 0), "mixed_bfloat16"),
    ],
)
def test_sixteen_bits_are_taken_where_the_device_has_them(wish, capability, expected):
    assert choose_precision(wish, capability) == expected


def test_hidden_layers_are_mixed_and_the_answer_is_not():
    import keras

    from tasks.models.precision import answer_exactly

    layers = keras.layers
    with computing_in(keras, "mixed_float16"):
        network = keras.Sequential(
            [keras.Input((4,)), layers.Dense(3), layers.Dense(1), layers.Rescaling(2.0), layers.Flatten()]
        )
        network.compile("sgd", "mse")
    answer_exactly(network)
    assert [layer.compute_dtype for layer in network.layers] == ["float16", "float32", "float32", "float32"]
    assert type(network.optimizer).__name__ == "LossScaleOptimizer"
    assert keras.config.dtype_policy().name == "float32"

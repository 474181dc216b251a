"""Mixup: pairs of rows and of their answers in one share, in training alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import log_loss

from infra.errors import SpecError
from tasks.contracts.optimisation import Loss
from tasks.models.keras_models import KerasModel
from tasks.models.networks.losses import build_loss
from tasks.models.networks.mixing import mix
from tasks.models.partition import hold_out
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.examples import no_functions
from tests.tasks.pictures import picture_rows, picture_spec

CLASSES = 3


@given(
    weight=arrays.arrays(np.float64, 5, elements=st.floats(0.1, 9)),
    numbers=st.lists(st.integers(0, CLASSES - 1), min_size=5, max_size=5),
    share=st.floats(0, 1),
)
def test_the_loss_of_a_mixed_row_is_that_of_both_its_rows_in_their_shares_and_weights(
    weight: Any, numbers: list[int], share: float
) -> None:
    rows, truth = np.arange(5.0)[:, None], np.eye(CLASSES)[numbers]
    said = np.log(np.random.default_rng(0).dirichlet(np.ones(CLASSES), 5))
    mixed, told, whole = mix(np, rows, truth, weight, np.float64(share))
    other = np.roll(np.arange(5), 1)
    assert np.allclose(mixed[:, 0], share * np.arange(5) + (1 - share) * other)
    each = share * weight * (truth * said).sum(1) + (1 - share) * weight[other] * (truth[other] * said).sum(1)
    assert np.allclose(whole * (told * said).sum(1), each)
    assert np.allclose(told.sum(1), 1)


def fit(mixup: float, **network: Any) -> KerasModel:
    described = {"name": "cnn2d", "filters": [4], "units": [], "augment": {"mixup": mixup}}
    given = {"architecture": described, "epochs": 4, "batch_size": 16, "optimizer": {"learning_rate": 0.01}, **network}
    made = fit_candidate("one", picture_spec({"one": {"network": given}}), picture_rows(), load=no_functions)
    assert isinstance(made, KerasModel)
    return made


@pytest.mark.slow
@pytest.mark.xdist_group("networks")
def test_rows_are_mixed_in_training_and_those_that_watch_are_not(tmp_path: Any) -> None:
    weighed = {"name": "cross_entropy", "class_weights": {"left": 2}}
    watching = {"validation_share": 0.25, "refit": False}
    plain, mixed = (fit(mixup, loss=weighed, **watching) for mixup in (0, 1))
    assert mixed.history["loss"][-1] > plain.history["loss"][-1] + 0.05, "a mixed row is never quite one or the other"
    frame, spec = picture_rows(), picture_spec()
    held = frame.iloc[hold_out(frame["side"].to_numpy(), None, spec.split, share=0.25, seed=spec.seed)[1]]
    shares = mixed.predict_proba(held)
    assert mixed.history["val_loss"][-1] == pytest.approx(log_loss(held["side"], shares), rel=1e-4)
    assert mixed.history["val_accuracy"][-1] == pytest.approx((mixed.predict(held) == held["side"]).mean())
    again = fit(1, loss=weighed, **watching)
    assert save_model(again, tmp_path / "again") == save_model(mixed, tmp_path / "mixed")


@pytest.mark.slow
@pytest.mark.xdist_group("networks")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "loss", [None, {"name": "cross_entropy", "label_smoothing": 0.1}, {"name": "focal", "gamma": 2}]
)
def test_of_unmixed_rows_the_loss_is_the_one_without_mixup(classes: int, loss: dict[str, Any] | None) -> None:
    from pydantic import TypeAdapter

    from tasks.models.tensorflow_runtime import start_keras

    keras = start_keras(2)
    spec = None if loss is None else TypeAdapter(Loss).validate_python(loss)
    truth = np.array([0, 1, classes - 1])
    answers = np.random.default_rng(0).dirichlet(np.ones(classes), 3).astype(np.float32)[:, -1 if classes == 2 else 0 :]
    answers = answers[:, -1:] if classes == 2 else answers
    plain = build_loss(keras, spec, classes)
    plain = keras.losses.get(plain) if isinstance(plain, str) else plain
    given = truth[:, None].astype(np.float32) if classes == 2 else truth
    mixed = build_loss(keras, spec, classes, shares=True)
    assert not isinstance(mixed, str)
    assert np.allclose(mixed(np.eye(classes, dtype=np.float32)[truth], answers), plain(given, answers), atol=1e-5)


@pytest.mark.slow
def test_answers_that_are_numbers_are_not_mixed() -> None:
    import keras

    with pytest.raises(SpecError, match=r"augment\.mixup mixes the answers of classes, and the target is a number"):
        build_loss(keras, None, 0, shares=True)


@pytest.mark.slow
def test_where_the_drawing_of_shares_stands_is_among_what_a_checkpoint_holds() -> None:
    from tasks.models.networks.mixing import mix_in_training
    from tasks.models.tensorflow_runtime import start_keras

    keras = start_keras(2)
    inputs = keras.Input((2,))
    network = keras.Model(inputs, keras.layers.Dense(CLASSES, activation="softmax")(inputs))
    mixed = mix_in_training(keras, network, 1.0, CLASSES, seed=3)
    assert [each is mixed.drawing.state for each in mixed.variables].count(True) == 1
    assert mixed.to_json()
    assert [each.path for each in network.variables] == [each.path for each in mixed.trainable_variables]

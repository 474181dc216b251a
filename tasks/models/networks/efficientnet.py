"""EfficientNet-Lite0 (Tan and Le 2019, ICML, table 1, without squeeze-and-excitation, with ReLU6), built to hold borrowed weights.

Batch normalisation is folded into the convolution before it: w' = w γ / sqrt(σ² + ε), b' = β - μ γ / sqrt(σ² + ε), which is what
it computes on rows that are not trained on. So it stays as ImageNet left it when the network is let go, as He et al. (2016, CVPR,
appendix A) do where a network is taught on from few rows a batch: statistics of small batches would take the learnt ones' place.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from infra.errors import IntegrityError
from tasks.contracts.networks import EfficientNetLite0
from tasks.models.model import Array
from tasks.models.networks.images import list_changes
from tasks.models.networks.layers import add_answer, add_hidden, drop, read_picture
from tasks.models.networks.shape import NetworkShape

BACKBONE, FEATURES = "backbone", "features"
"""Names of the layers that hold the borrowed network, and the mean over its places."""
CENTRE, SPREAD, LIGHTEST = 127.0, 128.0, 255.0
"""What its makers' pixels are scaled by: (pixel - 127) / 128."""
EPSILON = 1e-3
STEM, WIDTH = 32, 1280


class Stage(NamedTuple):
    """Blocks of one form (Sandler et al. 2018, CVPR: widen, look, narrow)."""

    blocks: int
    kernel: int
    stride: int
    """Of the first block."""
    widen: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def build_efficientnet(keras: Any, shape: NetworkShape, spec: EfficientNetLite0) -> Any:
    """Return the picture scaled to `spec.size`, the network that sees, the mean over its places, hidden layers, the answer."""
    layers = keras.layers
    inputs, tensor = read_picture(keras, shape)
    for change in list_changes(keras, spec.augment):
        tensor = change(tensor)
    if tensor.shape[-1] == 1:
        tensor = layers.Concatenate()([tensor, tensor, tensor])
    tensor = layers.Resizing(spec.size, spec.size)(tensor)
    tensor = layers.Rescaling(LIGHTEST / SPREAD, offset=-CENTRE / SPREAD)(tensor)
    seen = layers.GlobalAveragePooling2D(name=FEATURES)(build_backbone(keras, spec.size)(tensor))
    features = add_hidden(keras, drop(keras, seen, spec.dropout), spec)
    return keras.Model(inputs, add_answer(keras, features, shape, spec))


def build_backbone(keras: Any, size: int) -> Any:
    """Return the network from scaled pixels, shape (n, size, size, 3), to what it sees at each place, (n, size / 32, size / 32, 1280)."""
    layers = keras.layers
    inputs = keras.Input((size, size, 3))
    tensor = layers.Conv2D(STEM, 3, strides=2, padding="same", activation="relu6", name="stem")(inputs)
    for at, (stage, stride) in enumerate(_list_blocks()):
        tensor = _add_block(layers, tensor, stage, stride, f"block{at}")
    tensor = layers.Conv2D(WIDTH, 1, activation="relu6", name="last")(tensor)
    return keras.Model(inputs, tensor, name=BACKBONE)


def _list_blocks() -> Iterator[tuple[Stage, int]]:
    """Yield each block's stage and stride, in order."""
    for stage in STAGES:
        for at in range(stage.blocks):
            yield stage, stage.stride if at == 0 else 1


def _add_block(layers: Any, tensor: Any, stage: Stage, stride: int, name: str) -> Any:
    before, width = tensor, tensor.shape[-1]
    if stage.widen > 1:
        tensor = layers.Conv2D(width * stage.widen, 1, activation="relu6", name=f"{name}_expand")(tensor)
    tensor = layers.DepthwiseConv2D(
        stage.kernel, strides=stride, padding="same", activation="relu6", name=f"{name}_depthwise"
    )(tensor)
    tensor = layers.Conv2D(stage.filters, 1, name=f"{name}_project")(tensor)
    return layers.Add()([before, tensor]) if stride == 1 and width == stage.filters else tensor


def place_weights(network: Any, weights: Mapping[str, Array]) -> None:
    """Put the weights into the network's backbone, in place, each layer's batch normalisation folded in.

    Parameters
    ----------
    weights
        By the names of the checkpoint: `_conv_stem.weight` of shape (out, in, height, width), `_bn0.running_mean`, …;
        what stands there beside them is left out.

    Raises
    ------
    IntegrityError
        One is not there, of another shape, or no number.
    """
    backbone = network.get_layer(BACKBONE)
    for layer, convolution, normalisation in _list_names():
        target = backbone.get_layer(layer)
        target.set_weights(_fold(weights, convolution, normalisation, tuple(target.kernel.shape)))


def _list_names() -> Iterator[tuple[str, str, str]]:
    """Yield each layer's name, and those of its convolution and its normalisation in the checkpoint."""
    yield "stem", "_conv_stem", "_bn0"
    for at, (stage, _) in enumerate(_list_blocks()):
        if stage.widen > 1:
            yield f"block{at}_expand", f"_blocks.{at}._expand_conv", f"_blocks.{at}._bn0"
        yield f"block{at}_depthwise", f"_blocks.{at}._depthwise_conv", f"_blocks.{at}._bn1"
        yield f"block{at}_project", f"_blocks.{at}._project_conv", f"_blocks.{at}._bn2"
    yield "last", "_conv_head", "_bn1"


def _fold(weights: Mapping[str, Array], convolution: str, normalisation: str, kernel: tuple[int, ...]) -> list[Array]:
    """Return kernel and bias of a convolution with its normalisation in it."""
    height, width, entering, leaving = kernel
    depthwise = leaving == 1 and entering > 1
    filters = entering if depthwise else leaving
    shape = (filters, 1 if depthwise else entering, height, width)
    drawn = _require(weights, f"{convolution}.weight", shape)
    gain, shift, mean, variance = (
        _require(weights, f"{normalisation}.{part}", (filters,))
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / np.sqrt(variance + EPSILON)
    folded = drawn * scale[:, None, None, None]
    return [folded.transpose(2, 3, 0, 1) if depthwise else folded.transpose(2, 3, 1, 0), shift - mean * scale]


def _require(weights: Mapping[str, Array], name: str, shape: tuple[int, ...]) -> Array:
    found = weights.get(name)
    if found is None or found.shape != shape:
        received = "nothing of this name" if found is None else found.shape
        raise IntegrityError(
            f"The weights are not those of efficientnet_lite0: expected {name} of shape {shape}, received {received}."
        )
    values = found.astype(np.float64)
    if not np.isfinite(values).all():
        raise IntegrityError(f"{name}: a weight is NaN or infinite.")
    return values


def let_go(network: Any, blocks: int | None) -> None:
    """Have the backbone's last blocks learn on, in place, and the convolution after them; None: all of it."""
    backbone = network.get_layer(BACKBONE)
    backbone.trainable = True
    first = 0 if blocks is None else EfficientNetLite0.BLOCKS - blocks
    learning = tuple(f"block{at}_" for at in range(first, EfficientNetLite0.BLOCKS))
    for layer in backbone.layers if blocks is not None else ():
        layer.trainable = layer.name == "last" or layer.name.startswith(learning)

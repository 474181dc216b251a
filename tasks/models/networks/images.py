"""Convolutions over images (LeCun, Bottou, Bengio and Haffner 1998, Proceedings of the IEEE 86:2278-2324)."""

from collections.abc import Iterator
from typing import Any

from infra.errors import SpecError
from tasks.contracts.networks import Augment, Cnn2d
from tasks.models.networks.layers import activate, add_answer, add_hidden, drop, penalty, read_picture
from tasks.models.networks.shape import NetworkShape

DEGREES = 360


def build_cnn2d(keras: Any, shape: NetworkShape, spec: Cnn2d) -> Any:
    """Return blocks of filters that halve the image, then hidden layers.

    Raises
    ------
    SpecError
        A row has another number of inputs than the image has of pixels and channels.
    """
    inputs, tensor = read_picture(keras, shape) if shape.image else read_pixels(keras, shape, spec)
    for change in list_changes(keras, spec.augment):
        tensor = change(tensor)
    for filters in spec.filters:
        sums = keras.layers.Conv2D(filters, spec.kernel, padding="same", kernel_regularizer=penalty(keras, spec))(
            tensor
        )
        tensor = drop(keras, keras.layers.MaxPooling2D()(activate(keras, sums, spec)), spec.dropout)
    flat = keras.layers.Flatten()(tensor)
    return keras.Model(inputs, add_answer(keras, add_hidden(keras, flat, spec), shape, spec))


def read_pixels(keras: Any, shape: NetworkShape, spec: Cnn2d) -> tuple[Any, Any]:
    """Return the input of columns that are pixels, and the image that they make, row of the image by row."""
    height, width = spec.height or 0, spec.width or 0
    pixels = height * width * spec.channels
    if shape.inputs != pixels:
        raise SpecError(
            f"cnn2d: expected {height} x {width} x {spec.channels} = {pixels} numbers a row, received {shape.inputs}.",
            remedy="Give height, width and channels as the image has them, and every pixel as a column of type number.",
        )
    inputs = keras.Input((shape.inputs,))
    return inputs, keras.layers.Reshape((height, width, spec.channels))(inputs)


def list_changes(keras: Any, augment: Augment) -> Iterator[Any]:
    """Yield the layers that change pictures in training (Simard, Steinkraus and Platt 2003, ICDAR: more rows from those there are).

    Each draws from a seed of its own, so that one more leaves what the others do as it was.
    """
    layers, black = keras.layers, {"fill_mode": "constant", "fill_value": 0.0, "dtype": "float32"}
    if augment.flip != "none":
        mode = "horizontal_and_vertical" if augment.flip == "both" else augment.flip
        yield layers.RandomFlip(mode, seed=1, dtype="float32")
    if augment.shift:
        yield layers.RandomTranslation(augment.shift, augment.shift, **black, seed=2)
    if augment.rotate:
        yield layers.RandomRotation(augment.rotate / DEGREES, **black, seed=3)
    if augment.zoom:
        yield layers.RandomZoom(augment.zoom, **black, seed=4)
    if augment.crop:
        # Moved by at most what the enlarging cuts off, so that nothing beyond the picture comes in; the edge is no darker.
        yield layers.RandomTranslation(augment.crop / 2, augment.crop / 2, fill_mode="nearest", seed=5)
        yield layers.RandomZoom((-augment.crop, -augment.crop), fill_mode="nearest", seed=6)

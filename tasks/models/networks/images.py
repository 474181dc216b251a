"""Convolutions over images (LeCun, Bottou, Bengio and Haffner 1998, Proceedings of the IEEE 86:2278-2324)."""

from typing import Any

from infra.errors import SpecError
from tasks.contracts.networks import Cnn2d
from tasks.models.networks.layers import activate, add_answer, add_hidden, drop, penalty
from tasks.models.networks.shape import NetworkShape


def build_cnn2d(keras: Any, shape: NetworkShape, spec: Cnn2d) -> Any:
    """Return blocks of filters that halve the image, then hidden layers; a row's numbers become its pixels first.

    Raises
    ------
    SpecError
        A row has another number of inputs than the image has of pixels and channels.
    """
    pixels = spec.height * spec.width * spec.channels
    if shape.inputs != pixels:
        raise SpecError(
            f"cnn2d: expected {spec.height} x {spec.width} x {spec.channels} = {pixels} numbers a row, received {shape.inputs}.",
            remedy="Give height, width and channels as the image has them, and every pixel as a column of type number.",
        )
    inputs = keras.Input((shape.inputs,))
    tensor = keras.layers.Reshape((spec.height, spec.width, spec.channels))(inputs)
    for filters in spec.filters:
        sums = keras.layers.Conv2D(filters, spec.kernel, padding="same", kernel_regularizer=penalty(keras, spec))(
            tensor
        )
        tensor = drop(keras, keras.layers.MaxPooling2D()(activate(keras, sums, spec)), spec.dropout)
    flat = keras.layers.Flatten()(tensor)
    return keras.Model(inputs, add_answer(keras, add_hidden(keras, flat, spec), shape, spec))

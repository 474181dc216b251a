"""Multi-layer perceptron (Rumelhart, Hinton and Williams 1986, Nature 323:533-536)."""

from typing import Any

from tasks.contracts.networks import Dense
from tasks.models.networks.layers import add_answer, add_hidden, read_picture
from tasks.models.networks.shape import NetworkShape


def build_dense(keras: Any, shape: NetworkShape, spec: Dense) -> Any:
    """Return hidden layers in a chain; without any it is logistic (for a number, linear) regression."""
    if shape.image:
        inputs, pixels = read_picture(keras, shape)
        numbers = keras.layers.Flatten()(pixels)
    else:
        inputs = numbers = keras.Input((shape.inputs,))
    return keras.Model(inputs, add_answer(keras, add_hidden(keras, numbers, spec), shape, spec))

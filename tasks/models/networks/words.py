"""Networks that see words without a state: their mean, or short phrases."""

from typing import Any

from tasks.contracts.networks import AverageEmbedding, Cnn1d
from tasks.models.networks.layers import add_answer, add_hidden, drop, penalty, read_words
from tasks.models.networks.shape import NetworkShape


def build_average(keras: Any, shape: NetworkShape, spec: AverageEmbedding) -> Any:
    """Return the mean of the words' vectors, then hidden layers (Iyyer et al. 2015, ACL 1681-1691); padding is no word."""
    numbers, vectors = read_words(keras, shape, spec, mask=True)
    mean = keras.layers.GlobalAveragePooling1D()(vectors)
    network = keras.Model(numbers, add_answer(keras, add_hidden(keras, mean, spec), shape, spec))
    # As a chain: the other form would hold the comparison that finds the padding, which is no layer, in its config.
    return keras.Sequential(network.layers)


def build_cnn1d(keras: Any, shape: NetworkShape, spec: Cnn1d) -> Any:
    """Return filters of several widths side by side, each by its strongest place (Kim 2014, EMNLP 1746-1751)."""
    numbers, vectors = read_words(keras, shape, spec)
    strongest = []
    for width in spec.widths:
        convolve = keras.layers.Conv1D(
            spec.filters, width, padding="same", activation="relu", kernel_regularizer=penalty(keras, spec)
        )
        strongest.append(keras.layers.GlobalMaxPooling1D()(convolve(vectors)))
    found = keras.layers.Concatenate()(strongest) if len(strongest) > 1 else strongest[0]
    return keras.Model(numbers, add_answer(keras, drop(keras, found, spec.dropout), shape, spec))

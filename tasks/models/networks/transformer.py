"""A small encoder of attention blocks (Vaswani et al. 2017, NeurIPS 30), from Keras' own layers alone."""

from typing import Any

from tasks.contracts.networks import Transformer
from tasks.models.networks.layers import add_answer, drop, penalty, read_words
from tasks.models.networks.shape import NetworkShape


def build_transformer(keras: Any, shape: NetworkShape, spec: Transformer) -> Any:
    """Return words and their places, attention blocks, and the mean over the words.

    As in the paper's encoder (section 3.1) each half of a block is LayerNorm(x + Dropout(half(x))); the places' vectors are
    learnt (section 3.5 found them as good as its waves). Padding is a word like any other.
    """
    numbers, words = read_words(keras, shape, spec)
    tensor = drop(keras, keras.layers.Add()([words, _place(keras, shape, numbers, words.shape[-1])]), spec.dropout)
    for _ in range(spec.blocks):
        tensor = _add_block(keras, tensor, spec)
    mean = keras.layers.GlobalAveragePooling1D()(tensor)
    return keras.Model(numbers, add_answer(keras, mean, shape, spec))


def _place(keras: Any, shape: NetworkShape, numbers: Any, width: int) -> Any:
    """Return a learnt vector for each place: every number of a row times 0 plus its place, then looked up."""
    # In float32 whatever the rest computes in: 16 bits have not a number for each place.
    count = keras.layers.Rescaling(0.0, offset=[float(at) for at in range(shape.inputs)], dtype="float32")
    places = count(numbers)
    return keras.layers.Embedding(shape.inputs, width)(places)


def _add_block(keras: Any, tensor: Any, spec: Transformer) -> Any:
    layers, width = keras.layers, tensor.shape[-1]
    attention = layers.MultiHeadAttention(spec.heads, width // spec.heads, kernel_regularizer=penalty(keras, spec))
    seen = drop(keras, attention(tensor, tensor), spec.dropout)
    tensor = layers.LayerNormalization()(layers.Add()([tensor, seen]))
    hidden = layers.Dense(spec.units, activation="relu", kernel_regularizer=penalty(keras, spec))(tensor)
    thought = drop(keras, layers.Dense(width, kernel_regularizer=penalty(keras, spec))(hidden), spec.dropout)
    return layers.LayerNormalization()(layers.Add()([tensor, thought]))

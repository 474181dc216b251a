"""What several architectures end or begin with: word vectors, hidden layers, the answer."""

from collections.abc import Sequence
from typing import Any, Protocol

from tasks.models.networks.shape import NetworkShape

EMBEDDING = "words"
"""Name of the layer that holds the words' vectors."""


LIGHTEST = 255


class Penalised(Protocol):
    """Parameters of an architecture whose weights are held small and whose outputs are left out at random."""

    @property
    def dropout(self) -> float: ...
    @property
    def l1(self) -> float: ...
    @property
    def l2(self) -> float: ...


class Hidden(Penalised, Protocol):
    """Parameters of an architecture with hidden layers."""

    @property
    def units(self) -> Sequence[int]: ...
    @property
    def activation(self) -> str: ...
    @property
    def normalise(self) -> str: ...


class Words(Protocol):
    """Parameters of an architecture that reads words."""

    @property
    def embedding(self) -> int: ...
    @property
    def word_dropout(self) -> float: ...


def penalty(keras: Any, spec: Penalised) -> Any:
    """Return what is added to the loss for each weight, l1 |w| + l2 w²; None where that is nothing."""
    return keras.regularizers.L1L2(l1=spec.l1, l2=spec.l2) if spec.l1 or spec.l2 else None


def drop(keras: Any, tensor: Any, share: float) -> Any:
    """Return the tensor with a share of its entries left out in training, the others scaled up by 1 / (1 - share)."""
    return keras.layers.Dropout(share)(tensor) if share else tensor


def activate(keras: Any, tensor: Any, spec: Hidden) -> Any:
    """Return the tensor normalised as asked and then activated, in the order of Ioffe and Szegedy (2015, section 3.2)."""
    if spec.normalise == "batch":
        tensor = keras.layers.BatchNormalization()(tensor)
    elif spec.normalise == "layer":
        tensor = keras.layers.LayerNormalization()(tensor)
    return keras.layers.Activation(spec.activation)(tensor)


def add_hidden(keras: Any, tensor: Any, spec: Hidden) -> Any:
    """Return what the hidden layers make of a tensor of shape (rows, any)."""
    for units in spec.units:
        sums = keras.layers.Dense(units, kernel_regularizer=penalty(keras, spec))(tensor)
        tensor = drop(keras, activate(keras, sums, spec), spec.dropout)
    return tensor


def add_answer(keras: Any, tensor: Any, shape: NetworkShape, spec: Penalised) -> Any:
    """Return the answer: a probability for two classes, one for each of more, a number in the target's units where there are none.

    Labels of which a row may have several have a probability each, which do not sum to 1.

    The weights of a number work on a target of mean 0 and deviation 1, whatever its units are.
    """
    if shape.several:
        return keras.layers.Dense(shape.classes, activation="sigmoid", kernel_regularizer=penalty(keras, spec))(tensor)
    activation = {0: "linear", 2: "sigmoid"}.get(shape.classes, "softmax")
    units = 1 if shape.classes in (0, 2) else shape.classes
    answer = keras.layers.Dense(units, activation=activation, kernel_regularizer=penalty(keras, spec))(tensor)
    return answer if shape.classes else keras.layers.Rescaling(shape.spread, shape.centre)(answer)


def read_picture(keras: Any, shape: NetworkShape) -> tuple[Any, Any]:
    """Return the input of a picture, shape (rows, height, width, channels), and its pixels from 0 to 1."""
    inputs = keras.Input(shape.image)
    return inputs, keras.layers.Rescaling(1 / LIGHTEST)(inputs)


def read_words(keras: Any, shape: NetworkShape, spec: Words, *, mask: bool = False) -> tuple[Any, Any]:
    """Return the input of word numbers, shape (rows, length), and the words' vectors, shape (rows, length, width).

    Word dropout leaves out whole vectors, each with the same chance, in training only (Iyyer et al. 2015, section 3.1).

    Parameters
    ----------
    mask
        Padding is no word, for layers that know of it; recurrent ones run faster without and learn what padding is.
    """
    numbers = keras.Input((shape.inputs,), dtype="int32")
    vectors = keras.layers.Embedding(shape.vocabulary, spec.embedding, mask_zero=mask, name=EMBEDDING)(numbers)
    if spec.word_dropout:
        vectors = keras.layers.Dropout(spec.word_dropout, noise_shape=(None, shape.inputs, 1))(vectors)
    return numbers, vectors

"""What a named network borrows: put in its place before training, looked through once, let go where the project asks for it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.contracts.borrowing import PretrainedWeights
from tasks.contracts.networks import Architecture, Augment, Network
from tasks.models.model import Array
from tasks.models.networks.catalogue import build_network
from tasks.models.networks.efficientnet import BACKBONE, FEATURES, WIDTH, let_go, place_weights
from tasks.models.networks.given_files import find_file
from tasks.models.networks.layers import EMBEDDING
from tasks.models.networks.mixing import mix_in_training
from tasks.models.networks.shape import NetworkShape
from tasks.models.networks.vectors import place_vectors, read_vectors
from tasks.models.networks.weight_files import read_weights
from tasks.models.stored import Stored

HEAD = "head"
"""Name of what is trained where a borrowed network stays still: the layers after it, as a network of their own."""
LOOKED_AT = 64
"""Pictures that a borrowed network looks at together: on their way they take a megabyte each."""
MOST_BYTES = 2**30
"""Of what was seen, held in memory; where it would be more, each epoch looks anew."""


def build_borrowing(
    keras: Any,
    shape: NetworkShape,
    spec: Network,
    architecture: Architecture,
    *,
    folder: Path,
    list_words: Callable[[], Sequence[str]],
) -> Any:
    """Return the uncompiled network with what it borrows in its place.

    Parameters
    ----------
    folder
        The project's, for files that are in no package.
    list_words
        Returns the vocabulary of its text; asked only where word vectors are borrowed.

    Raises
    ------
    SpecError
        A file is not there, or the architecture does not fit the data.
    IntegrityError
        A file is another one than its digest says, or not made as it should be.
    """
    if given := spec.embeddings:
        vectors = read_vectors(given, folder, list_words())
        network = build_network(keras, shape, architecture.model_copy(update={"embedding": vectors.table.shape[1]}))
        place_vectors(network, vectors)
        network.get_layer(EMBEDDING).trainable = given.trainable
        return network
    network = build_network(keras, shape, architecture)
    if spec.pretrained:
        _place_pretrained(network, spec.pretrained, folder)
    return network


def _place_pretrained(network: Any, given: PretrainedWeights, folder: Path) -> None:
    path = find_file(given.package, given.file, folder, given.digest, key="weights")
    place_weights(network, read_weights(path))
    network.get_layer(BACKBONE).trainable = False


def find_pupil(keras: Any, network: Any, spec: Network, *, rows: int, classes: int, seed: int) -> Any:
    """Return what is trained: the network, or its head alone where all before it gives the same in each epoch.

    For the head `look` is asked once for what it is taught on, and an epoch takes a thousandth of the time. Where rows are
    mixed it is the network in a form that mixes them.
    """
    if spec.augment.mixup:
        return mix_in_training(keras, network, spec.augment.mixup, classes, seed)
    if spec.pretrained is None or spec.unfreeze_after or spec.augment != Augment():
        return network
    fits = rows * WIDTH * np.dtype(np.float32).itemsize <= MOST_BYTES
    return keras.Model(network.get_layer(FEATURES).output, network.output, name=HEAD) if fits else network


def look(network: Any, pupil: Any, inputs: Array | Stored) -> Array | Stored:
    """Return what the pupil is taught on, shape (n, …): the inputs, or what the network sees in them before its head."""
    if pupil is network or pupil.name != HEAD:
        return inputs
    import keras  # noqa: PLC0415  only once TensorFlow was started

    seeing = keras.Model(network.inputs[0], network.get_layer(FEATURES).output)
    parts = range(0, len(inputs), LOOKED_AT)
    return np.concatenate([np.asarray(seeing(inputs[at : at + LOOKED_AT], training=False)) for at in parts])


def count_rows(network: Any, most: int) -> int:
    """Return how many rows may be answered together, at most so many."""
    return min(most, LOOKED_AT) if any(layer.name == BACKBONE for layer in network.layers) else most


def unfreeze(network: Any, spec: Network) -> float:
    """Have what was borrowed learn on, in place; return which share of the learning rate it is taught with."""
    if given := spec.pretrained:
        let_go(network, given.unfreeze_blocks)
        return given.unfreeze_rate
    network.get_layer(EMBEDDING).trainable = True
    return 1.0

"""What a named network borrows: put in its place before training, and let go where the project asks for it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tasks.contracts.borrowing import PretrainedWeights
from tasks.contracts.networks import Architecture, Network
from tasks.models.networks.catalogue import build_network
from tasks.models.networks.efficientnet import BACKBONE, let_go, place_weights
from tasks.models.networks.given_files import find_file
from tasks.models.networks.layers import EMBEDDING
from tasks.models.networks.shape import NetworkShape
from tasks.models.networks.vectors import place_vectors, read_vectors
from tasks.models.networks.weight_files import read_weights


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


def unfreeze(network: Any, spec: Network) -> float:
    """Have what was borrowed learn on, in place; return which share of the learning rate it is taught with."""
    if given := spec.pretrained:
        let_go(network, given.unfreeze_blocks)
        return given.unfreeze_rate
    network.get_layer(EMBEDDING).trainable = True
    return 1.0

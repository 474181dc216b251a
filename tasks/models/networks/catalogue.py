"""The architectures by name."""

from collections.abc import Callable, Mapping
from typing import Any

from tasks.contracts.networks import Architecture
from tasks.models.networks.dense import build_dense
from tasks.models.networks.efficientnet import build_efficientnet
from tasks.models.networks.images import build_cnn2d
from tasks.models.networks.recurrent import build_recurrent
from tasks.models.networks.shape import NetworkShape
from tasks.models.networks.transformer import build_transformer
from tasks.models.networks.words import build_average, build_cnn1d

_BUILDERS: Mapping[str, Callable[..., Any]] = {
    "dense": build_dense,
    "average_embedding": build_average,
    "cnn1d": build_cnn1d,
    "simple_rnn": build_recurrent,
    "lstm": build_recurrent,
    "gru": build_recurrent,
    "transformer": build_transformer,
    "cnn2d": build_cnn2d,
    "efficientnet_lite0": build_efficientnet,
}


def build_network(keras: Any, shape: NetworkShape, architecture: Architecture) -> Any:
    """Return the uncompiled network, its weights drawn from Keras' seed (`keras.utils.set_random_seed`).

    Parameters
    ----------
    keras
        The module, as `start_keras` returned it.

    Raises
    ------
    SpecError
        The architecture does not fit the data.
    """
    return _BUILDERS[architecture.name](keras, shape, architecture)

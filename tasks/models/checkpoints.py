"""A training as it stands in mid-epoch, as bytes without any code in them: what it takes to go on as if nothing had happened.

Where the bytes are kept, a shelf knows; which bytes belong to a training follows from all that enters it.
"""

import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from tasks.models.feed import Place
from tasks.models.model import Array
from tasks.models.stored import Stored

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 24


class CheckpointShelf(Protocol):
    """Keeps the newest checkpoint of each training; one that cannot be kept or read costs no training."""

    def load(self, key: str) -> bytes | None:
        """Return the newest checkpoint of this training as it was saved; None: there is none that can be trusted."""
        ...

    def save(self, key: str, data: bytes) -> None:
        """Keep this one, and none before it."""
        ...


class Keeping(NamedTuple):
    """Where a training keeps its checkpoints."""

    shelf: CheckpointShelf
    made_of: object
    """What enters the training beside its rows and its network, as plain JSON: parameters, seed, device."""


@dataclass(frozen=True)
class Checkpoint:
    """All that a training is made of between two steps."""

    place: Place
    history: dict[str, list[float]]
    """Metrics of the epochs that ended."""
    variables: list[Array]
    """Of the network: weights, moving averages, and the states from which dropout and augmentation draw."""
    optimizer: list[Array]
    metrics: list[Array]
    """Sums over the running epoch."""
    waiting: dict[str, Any] = field(default_factory=dict)
    """What callbacks remember, as plain JSON."""
    best: list[Array] = field(default_factory=list)
    """Weights of the epoch that was best so far, where training may end early."""

    def encode(self, key: str) -> bytes:
        """Return the bytes: a numpy archive of plain arrays."""
        lists = {name: getattr(self, name) for name in _LISTS}
        said = {"key": key, "place": self.place, "history": self.history, "waiting": self.waiting}
        said["counts"] = {name: len(arrays) for name, arrays in lists.items()}
        arrays = {f"{name}{at}": array for name, arrays in lists.items() for at, array in enumerate(arrays)}
        target = io.BytesIO()
        np.savez(target, said=np.frombuffer(json.dumps(said).encode(), dtype=np.uint8), **arrays)
        return target.getvalue()

    @classmethod
    def decode(cls, data: bytes, key: str) -> "Checkpoint":
        """Return what `encode` made bytes of. Raises ValueError where they are of another training, or of none."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                said = json.loads(file["said"].tobytes())
                lists = {name: [file[f"{name}{at}"] for at in range(said["counts"][name])] for name in _LISTS}
        except (KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(f"no checkpoint: {error}") from error
        if said["key"] != key:
            raise ValueError(f"expected the training {key[:12]}, received {said['key'][:12]}")
        return cls(Place(*said["place"]), said["history"], waiting=said["waiting"], **lists)


_LISTS = ("variables", "optimizer", "metrics", "best")


def load_checkpoint(shelf: CheckpointShelf, key: str) -> Checkpoint | None:
    """Return the newest checkpoint of a training; None where there is none, or none that can be read."""
    data = shelf.load(key)
    if data is None:
        return None
    try:
        return Checkpoint.decode(data, key)
    except ValueError as error:
        logger.warning("a checkpoint is not used, training begins anew: %s", error)
        return None


def name_training(made_of: Mapping[str, object], arrays: Iterable[Array | Stored | None]) -> str:
    """Return the SHA-256 over all that enters a training: two of one name become the same network, step by step.

    Parameters
    ----------
    made_of
        Plain JSON.
    arrays
        Rows, targets, weights, the network's variables at its beginning; None where there is none.
    """
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode())
    for array in arrays:
        if array is None:
            digest.update(b"none")
            continue
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        at_once = max(CHUNK_BYTES // max(array[:1].nbytes, 1), 1) if array.ndim else 1
        for at in range(0, len(array) if array.ndim else 1, at_once):
            digest.update(np.ascontiguousarray(array[at : at + at_once] if array.ndim else array).data)
    return digest.hexdigest()


def read_variables(network: Any, variables: Sequence[Any]) -> list[Array]:
    """Return the values of Keras variables of a network; on several devices those of each, which may differ."""
    return [np.array(part.numpy()) for part in _list_parts(network, variables)]


def write_variables(network: Any, variables: Sequence[Any], values: Sequence[Array]) -> None:
    """Set Keras variables. Raises ValueError unless there are as many values, of the same shapes."""
    parts = _list_parts(network, variables)
    expected, received = [tuple(part.shape) for part in parts], [value.shape for value in values]
    if expected != received:
        raise ValueError(f"expected variables of the shapes {expected}, received {received}")
    for part, value in zip(parts, values, strict=True):
        part.assign(value)


def _list_parts(network: Any, variables: Sequence[Any]) -> list[Any]:
    """Return TensorFlow's variables behind Keras': one, or one a device."""
    local = network.distribute_strategy.experimental_local_results
    return [part for variable in variables for part in local(variable.value)]

"""What a network is trained on, once its rows were prepared."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tasks.metrics.label_sets import spread
from tasks.models.model import Array
from tasks.models.networks.shape import NetworkShape
from tasks.models.partition import has_classes
from tasks.models.prepared import Matrix
from tasks.models.stored import Stored


class Material(NamedTuple):
    """What a network is trained on, once its rows were prepared."""

    prepare: Any
    classes: Array
    shape: NetworkShape
    inputs: Matrix
    target: Array
    """Numbers of the classes, or values."""
    weights: Array | None
    watched: tuple[Matrix, Array] | None

    def shared_by(self, devices: int) -> "Material":
        """Return what so many devices can share evenly: without the last few rows. Batch normalisation over no row is no number."""
        if devices == 1:
            return self
        kept = len(self.inputs) - len(self.inputs) % devices
        weights = None if self.weights is None else self.weights[:kept]
        watched = self.watched
        if watched:
            seen = len(watched[0]) - len(watched[0]) % devices
            watched = (_first(watched[0], seen), watched[1][:seen])
        return self._replace(
            inputs=_first(self.inputs, kept), target=self.target[:kept], weights=weights, watched=watched
        )


def _first(inputs: Matrix, rows: int) -> Matrix:
    return inputs.take(np.arange(rows)) if isinstance(inputs, Stored) else inputs[:rows]


def number_classes(target: Array, labels: Sequence[str]) -> tuple[Array, Array]:
    """Return the classes in order, or the labels, none of a regression, and what a network is taught."""
    classes = np.unique(target) if has_classes(target) else np.array(labels, dtype=object)
    return classes, number(target, classes)


def number(target: Array, classes: Array) -> Array:
    """Return the number of each row's class, the truth of each of its labels, or its value, as a network is taught it."""
    if target.dtype.kind == "u":
        return spread(target.astype(np.int64), len(classes)).astype(np.float32)
    return np.searchsorted(classes, target) if len(classes) else target.astype(np.float32)


def describe_values(target: Array) -> tuple[float, float]:
    """Return mean and standard deviation of a regression's target; 0 and 1 of classes, and 1 where nothing varies."""
    return (0.0, 1.0) if target.dtype.kind != "f" else (float(target.mean()), float(target.std()) or 1.0)

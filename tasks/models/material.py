"""What a network is trained on, once its rows were prepared."""

from typing import Any, NamedTuple

import numpy as np

from tasks.models.model import Array
from tasks.models.networks.shape import NetworkShape
from tasks.models.partition import has_classes


class Material(NamedTuple):
    """What a network is trained on, once its rows were prepared."""

    prepare: Any
    classes: Array
    shape: NetworkShape
    inputs: Array
    target: Array
    """Numbers of the classes, or values."""
    weights: Array | None
    watched: tuple[Array, Array] | None

    def shared_by(self, devices: int) -> "Material":
        """Return what so many devices can share evenly: without the last few rows. Batch normalisation over no row is no number."""
        if devices == 1:
            return self
        kept = len(self.inputs) - len(self.inputs) % devices
        weights = None if self.weights is None else self.weights[:kept]
        seen = self.watched and len(self.watched[0]) - len(self.watched[0]) % devices
        watched = (self.watched[0][:seen], self.watched[1][:seen]) if self.watched else None
        return self._replace(inputs=self.inputs[:kept], target=self.target[:kept], weights=weights, watched=watched)


def number_classes(target: Array) -> tuple[Array, Array]:
    """Return the classes in order, none of a regression, and what a network is taught."""
    classes = np.unique(target) if has_classes(target) else np.array([])
    return classes, number(target, classes)


def number(target: Array, classes: Array) -> Array:
    """Return the number of each row's class, or its value, as a network is taught it."""
    return np.searchsorted(classes, target) if len(classes) else target.astype(np.float32)


def describe_values(target: Array) -> tuple[float, float]:
    """Return mean and standard deviation of a regression's target; 0 and 1 of classes, and 1 where nothing varies."""
    return (0.0, 1.0) if has_classes(target) else (float(target.mean()), float(target.std()) or 1.0)


def as_matrix(prepared: Any) -> Array:
    """Return what a network takes: dense, int32 for word numbers, uint8 for pixels and float32 for all else."""
    dense = prepared.toarray() if hasattr(prepared, "toarray") else np.asarray(prepared)
    return dense if dense.dtype in (np.int32, np.uint8) else dense.astype(np.float32)

"""Classes that count more or less in a network's loss (`loss: {class_weights: …}`)."""

import numpy as np

from infra.errors import SpecError
from infra.suggestion import suggest
from tasks.contracts.optimisation import CrossEntropy, FocalLoss, Loss
from tasks.models.model import Array, ClassLabel, Floats, class_labels


def weigh_classes(target: Array, weights: Floats | None, loss: Loss | None, classes: Array) -> Floats | None:
    """Return how much each row counts: its weight times that of its class, shape (n,); None: all alike.

    Parameters
    ----------
    classes
        All there are, sorted.

    Raises
    ------
    SpecError
        A weight for a class that no training row has, or where a row may have several labels (codes of sets, unsigned).
    """
    if not isinstance(loss, CrossEntropy | FocalLoss) or not loss.class_weights:
        return weights
    if target.dtype.kind == "u":
        raise SpecError("loss.class_weights: a row may have several labels, and so no class that it counts by.")
    names = [_write(label) for label in class_labels(classes)]
    for name in loss.class_weights:
        if name not in names:
            raise SpecError(
                f"loss.class_weights: expected one of {', '.join(names)}, received {name!r}.{suggest(name, names)}"
            )
    each = np.array([loss.class_weights.get(name, 1.0) for name in names])[np.searchsorted(classes, target)]
    return np.asarray(each if weights is None else weights * each, dtype=np.float64)


def _write(label: ClassLabel) -> str:
    """Return a class as project.yaml writes it."""
    return str(label).lower() if isinstance(label, bool) else str(label)

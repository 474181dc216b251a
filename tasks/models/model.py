"""What a fitted model is, whatever made it."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from tasks.contracts.models import NetworkFit

Backend = Literal["sklearn", "keras"]
ClassLabel = str | int | float | bool
Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

Load = Callable[[str], Callable[..., Any]]
"""Resolves `module:function` in the project's folder."""

OnEpoch = Callable[[int, int, Mapping[str, float]], None]
"""Told of each epoch: its number from 1, how many there will be, its metrics."""


class FittedModel(Protocol):
    """A model with its preprocessing: takes raw rows, as the project's contract describes them."""

    @property
    def backend(self) -> Backend: ...

    @property
    def classes(self) -> tuple[ClassLabel, ...]:
        """The columns of `predict_proba`, in order: classes, or labels; none of a regression, which has no such method to call."""
        ...

    @property
    def history(self) -> dict[str, list[float]]:
        """Metrics per epoch; empty where there are no epochs or the model was loaded."""
        ...

    @property
    def trained(self) -> NetworkFit | None:
        """How a network was trained; None of an estimator, and where the model was loaded."""
        ...

    def predict(self, frame: pd.DataFrame) -> Array:
        """Return the class of each row, its set of labels in words, or a regression's value (float64), shape (n,)."""
        ...

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """Return the probability of each class, shape (n, k), of which rows sum to 1; or of each label, which need not."""
        ...


def class_labels(classes: Array) -> tuple[ClassLabel, ...]:
    """Return classes as plain Python scalars.

    >>> class_labels(np.array([0, 1]))
    (0, 1)
    """
    return tuple(classes.tolist())

"""Fitted networks, behind the same preprocessing as scikit-learn's estimators."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tasks.contracts.models import NetworkFit, TrainingPace
from tasks.metrics.label_sets import gather_bits, write_sets
from tasks.models.batch_sizes import answer_within_memory
from tasks.models.deciding import choose_classes
from tasks.models.inputs import InputColumns, Undecoded
from tasks.models.model import Array, Backend, ClassLabel, Floats
from tasks.models.networks.borrowing import count_rows
from tasks.models.prepared import Readable, apply_by_blocks

PREDICT_ROWS = 1_024
"""Rows answered at a time, so that memory is bounded."""


@dataclass(frozen=True)
class KerasModel:
    """A fitted network with the preprocessing of its inputs; `prepare` is None where none is needed."""

    columns: InputColumns
    prepare: Any
    network: Any
    classes: tuple[ClassLabel, ...]
    threads: int
    device: str = "CPU:0"
    history: dict[str, list[float]] = field(default_factory=dict)
    epochs: int = 0
    """Epochs of training that the weights are those of; fewer than there were where it ended early."""
    threshold: float | None = None
    """Probability of the class at `positive` from which it is answered; None: the most probable class is."""
    positive: int = 1
    several: bool = False
    """The classes are labels of which a row may have several."""
    pace: TrainingPace | None = None
    """Where the time of its last training went; None where it was loaded."""
    trained: NetworkFit | None = None
    """How, as far as the machine had a say in it; None of a model that was loaded."""
    backend: Backend = "keras"

    def predict(self, frame: pd.DataFrame) -> Array:
        """Return the class that is answered to each row, or a regression's value, shape (n,)."""
        return self.predict_inputs(self._read(frame))

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """Return the probability of each class, shape (n, k)."""
        return self.proba_inputs(self._read(frame))

    def _read(self, frame: pd.DataFrame) -> Readable:
        return Undecoded(self.columns, frame) if self.columns.images else self.columns.read(frame)

    def predict_inputs(self, inputs: Readable) -> Array:
        """Return the class, or the value, for inputs that `InputColumns.read` made."""
        if not self.classes:
            return self._answer(inputs)[:, 0]
        if self.several:
            return np.asarray(write_sets(gather_bits(self.proba_inputs(inputs) > 0.5), self.classes))
        text = isinstance(self.classes[0], str)
        classes: Array = np.array(self.classes, dtype=object if text else None)
        return np.asarray(classes[choose_classes(self.proba_inputs(inputs), self.threshold, self.positive)])

    def proba_inputs(self, inputs: Readable) -> Floats:
        """Return the probabilities for inputs that `InputColumns.read` made."""
        output = self._answer(inputs)
        if self.several:
            return output
        if output.shape[1] == 1:
            return np.hstack([1 - output, output])
        return np.asarray(output / output.sum(axis=1, keepdims=True))

    def _answer(self, inputs: Readable) -> Floats:
        """Return the network's outputs, shape (n, k)."""
        self.columns.require_rows(inputs)
        # Called directly and not by `predict`: that compiles a graph first and costs 50 ms for a single row.
        rows = count_rows(self.network, PREDICT_ROWS)
        parts = [
            answer_within_memory(lambda part: np.asarray(self.network(part, training=False)), matrix, rows)
            for matrix in apply_by_blocks(self.prepare, self.columns, inputs, rows)
        ]
        return np.concatenate(parts)


def network_config(network: Any) -> dict[str, Any]:
    """Return the network's architecture as JSON, without how it was trained."""
    import keras  # noqa: PLC0415  only once TensorFlow was started

    config: dict[str, Any] = json.loads(json.dumps(keras.saving.serialize_keras_object(network)))
    config.pop("compile_config", None)
    return config

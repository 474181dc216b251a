"""Keras candidates: the project's network behind the same preprocessing as scikit-learn's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from infra.errors import SpecError, TrainingFailed
from tasks.contracts.project import Network, ProjectSpec
from tasks.models.balancing import balance_rows, weigh_rows
from tasks.models.deciding import choose_classes
from tasks.models.epochs import train_network
from tasks.models.inputs import InputColumns, Inputs, Rows
from tasks.models.layers import require_known_layers
from tasks.models.model import Array, Backend, ClassLabel, Floats, Load, OnEpoch, class_labels
from tasks.models.partition import hold_out
from tasks.models.preprocessing import find_nominal, preprocessing_steps
from tasks.models.samplers import BY_NEIGHBOURS, Prepared, require_mixable, resample_prepared
from tasks.models.tensorflow_runtime import choose_device, holding, start_keras

PREDICT_ROWS = 1_024
"""Rows answered at a time, so that memory is bounded."""


@dataclass(frozen=True)
class NetworkShape:
    """What a project's build function is told of its data."""

    inputs: int
    """Width of a row after preprocessing."""
    classes: int
    vocabulary: int
    """Size of the table of word numbers (`prepare.text.vocabulary`)."""


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
    threshold: float | None = None
    """Probability of the class at `positive` from which it is answered; None: the most probable class is."""
    positive: int = 1
    backend: Backend = "keras"

    def predict(self, frame: pd.DataFrame) -> Array:
        """Return the class that is answered to each row, shape (n,)."""
        return self.predict_inputs(self.columns.read(frame))

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """Return the probability of each class, shape (n, k)."""
        return self.proba_inputs(self.columns.read(frame))

    def predict_inputs(self, inputs: Inputs) -> Array:
        """Return the class for inputs that `InputColumns.read` made."""
        text = isinstance(self.classes[0], str)
        classes: Array = np.array(self.classes, dtype=object if text else None)
        return np.asarray(classes[choose_classes(self.proba_inputs(inputs), self.threshold, self.positive)])

    def proba_inputs(self, inputs: Inputs) -> Floats:
        """Return the probabilities for inputs that `InputColumns.read` made."""
        self.columns.require_rows(inputs)
        self.columns.require_numbers(inputs)
        derived = self.columns.derive(inputs)
        matrix = as_matrix(derived if self.prepare is None else self.prepare.transform(derived))
        # Called directly and not by `predict`: that compiles a graph first and costs 50 ms for a single row.
        parts = [
            np.asarray(self.network(matrix[at : at + PREDICT_ROWS], training=False), dtype=np.float64)
            for at in range(0, len(matrix), PREDICT_ROWS)
        ]
        output = np.concatenate(parts)
        if output.shape[1] == 1:
            return np.hstack([1 - output, output])
        return np.asarray(output / output.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class KerasRecipe:
    """How a Keras candidate is made."""

    name: str
    spec: ProjectSpec
    columns: InputColumns
    load: Load

    def fit(self, rows: Rows, on_epoch: OnEpoch | None = None, *, watch: bool = True) -> KerasModel:
        """Return the network fitted on these rows and nothing else.

        The share that watches is parted from them as the project parts rows. It never decides anything, so by
        default (`network.refit`) the network is trained once more from the same seed, on all rows.

        Parameters
        ----------
        rows
            Training rows.
        on_epoch
            Told of each epoch, of both trainings.
        watch
            False where nobody looks at the metrics per epoch: a training that is followed by another is left out.
        """
        spec = self._network
        every = np.arange(len(rows))
        if spec.validation_share == 0 or (spec.refit and not watch):
            return self._train(rows, every, None, on_epoch)
        fit, held = hold_out(rows.target, rows.by, self.spec.split, share=spec.validation_share, seed=self.spec.seed)
        if not spec.refit:
            return self._train(rows, fit, held, on_epoch)
        first, second = _count_on(on_epoch, spec.epochs)
        watched = self._train(rows, fit, held, first)
        refitted = self._train(rows, every, None, second)
        again = {f"refit_{name}": values for name, values in refitted.history.items()}
        return replace(refitted, history={**watched.history, **again})

    def _train(self, rows: Rows, fit: Array, held: Array | None, on_epoch: OnEpoch | None) -> KerasModel:
        compute = self.spec.compute
        keras = start_keras(compute.threads)
        device = choose_device(compute, project=self.spec.name)
        classes, numbers = np.unique(rows.target, return_inverse=True)
        prepare, balance = self._preparation(), self.spec.candidates[self.name].balance
        fitted = balance_rows(rows.take(fit), balance, self.spec.seed)
        shown, weights = self.columns.derive(fitted.inputs, guarded=True), weigh_rows(fitted, balance)
        inputs = as_matrix(shown if prepare is None else prepare.fit_transform(shown, fitted.target))
        inputs, target, weights = self._resample(Prepared(inputs, fitted.target, weights), prepare)
        watched = None
        if held is not None:
            seen = self.columns.derive(rows.take(held).inputs)
            watched = (as_matrix(seen if prepare is None else prepare.transform(seen)), numbers[held])
        with holding(device):
            network = self._build(keras, NetworkShape(inputs.shape[1], len(classes), self._vocabulary))
            taught = (inputs, np.searchsorted(classes, target))
            history = train_network(
                network, taught, weights, watched, self._network, on_epoch=on_epoch, where=self._where
            )
        return KerasModel(self.columns, prepare, network, class_labels(classes), compute.threads, device, history)

    def _resample(self, rows: Prepared, prepare: Any) -> Prepared:
        """Return the prepared rows with some made or left out by their neighbours, where that is asked for."""
        balance = self.spec.candidates[self.name].balance
        if balance.resample not in BY_NEIGHBOURS:
            return rows
        require_mixable(self.columns.widened.texts, balance, self._where)
        nominal = find_nominal([] if prepare is None else prepare.steps, self.columns)
        return resample_prepared(rows, nominal, balance, self.spec.seed, self._where)

    @property
    def _where(self) -> str:
        return f"{self.spec.name}: candidates.{self.name}"

    @property
    def _network(self) -> Network:
        network = self.spec.candidates[self.name].network
        if network is None:
            raise SpecError(f"{self._where}: expected a network.")
        return network

    @property
    def _vocabulary(self) -> int:
        return self.spec.preparation_of(self.name).text.vocabulary

    def _preparation(self) -> Any:
        steps = preprocessing_steps(self.columns, self.spec.preparation_of(self.name), self.spec.seed)
        return Pipeline(steps) if steps else None

    def _build(self, keras: Any, shape: NetworkShape) -> Any:
        build = self.load(self._network.build)
        # Automatic names count up over the life of a process; from here they start anew.
        keras.utils.clear_session()
        keras.utils.set_random_seed(self.spec.seed)
        network = build(shape, dict(self.spec.candidates[self.name].params))
        if not isinstance(network, keras.Model) or not getattr(network, "compiled", False):
            raise SpecError(
                f"{self._where}: expected {self._network.build} to return a compiled keras.Model, received "
                f"{type(network).__name__}.",
                remedy="End the function with `model.compile(...)` and `return model`.",
            )
        require_known_layers(network_config(network))
        self._require_outputs(network, shape)
        return network

    def _require_outputs(self, network: Any, shape: NetworkShape) -> None:
        width = network.output_shape[-1]
        if width != shape.classes and not (width == 1 and shape.classes == 2):
            raise TrainingFailed(
                f"{self._where}: expected an output for each of the {shape.classes} classes (or one for two), "
                f"received a network with {width}.",
                remedy="The build function is told the number of classes: `shape.classes`.",
            )


def _count_on(on_epoch: OnEpoch | None, epochs: int) -> tuple[OnEpoch | None, OnEpoch | None]:
    """Return the listeners of two trainings that are told as one of twice the epochs."""
    if on_epoch is None:
        return None, None
    tell = on_epoch

    def first(epoch: int, of: int, metrics: Mapping[str, float]) -> None:
        tell(epoch, 2 * of, metrics)

    def second(epoch: int, of: int, metrics: Mapping[str, float]) -> None:
        tell(epochs + epoch, 2 * of, metrics)

    return first, second


def network_config(network: Any) -> dict[str, Any]:
    """Return the network's architecture as JSON, without how it was trained."""
    import keras  # noqa: PLC0415  only once TensorFlow was started

    config: dict[str, Any] = json.loads(json.dumps(keras.saving.serialize_keras_object(network)))
    config.pop("compile_config", None)
    return config


def as_matrix(prepared: Any) -> Array:
    """Return what a network takes: dense, int32 for word numbers and float32 for all else."""
    dense = prepared.toarray() if hasattr(prepared, "toarray") else np.asarray(prepared)
    return dense if dense.dtype == np.int32 else dense.astype(np.float32)

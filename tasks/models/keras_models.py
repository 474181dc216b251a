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
from tasks.models.epochs import train_network
from tasks.models.inputs import InputColumns, Inputs, Rows
from tasks.models.layers import require_known_layers
from tasks.models.model import Array, Backend, ClassLabel, Floats, Load, OnEpoch, class_labels
from tasks.models.partition import has_classes, hold_out
from tasks.models.preprocessing import preprocessing_steps
from tasks.models.tensorflow_runtime import choose_device, holding, start_keras

PREDICT_ROWS = 1_024
"""Rows answered at a time, so that memory is bounded."""


@dataclass(frozen=True)
class NetworkShape:
    """What a project's build function is told of its data."""

    inputs: int
    """Width of a row after preprocessing."""
    classes: int
    """0: a regression, whose network has one linear output and a loss of values (mse, mae, huber)."""
    vocabulary: int
    """Size of the table of word numbers (`prepare.text.vocabulary`)."""
    centre: float = 0.0
    """Mean of a regression's training target; 0 of classes."""
    spread: float = 1.0
    """Its standard deviation. A last layer `keras.layers.Rescaling(shape.spread, shape.centre)` answers in the target's units."""


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
    backend: Backend = "keras"

    def predict(self, frame: pd.DataFrame) -> Array:
        """Return the most probable class of each row, or a regression's value, shape (n,)."""
        return self.predict_inputs(self.columns.read(frame))

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """Return the probability of each class, shape (n, k)."""
        return self.proba_inputs(self.columns.read(frame))

    def predict_inputs(self, inputs: Inputs) -> Array:
        """Return the class, or the value, for inputs that `InputColumns.read` made."""
        if not self.classes:
            return self._answer(inputs)[:, 0]
        text = isinstance(self.classes[0], str)
        classes: Array = np.array(self.classes, dtype=object if text else None)
        return np.asarray(classes[self.proba_inputs(inputs).argmax(axis=1)])

    def proba_inputs(self, inputs: Inputs) -> Floats:
        """Return the probabilities for inputs that `InputColumns.read` made."""
        output = self._answer(inputs)
        if output.shape[1] == 1:
            return np.hstack([1 - output, output])
        return np.asarray(output / output.sum(axis=1, keepdims=True))

    def _answer(self, inputs: Inputs) -> Floats:
        """Return the network's outputs, shape (n, k)."""
        self.columns.require_rows(inputs)
        self.columns.require_numbers(inputs)
        matrix = as_matrix(inputs if self.prepare is None else self.prepare.transform(inputs))
        # Called directly and not by `predict`: that compiles a graph first and costs 50 ms for a single row.
        parts = [
            np.asarray(self.network(matrix[at : at + PREDICT_ROWS], training=False), dtype=np.float64)
            for at in range(0, len(matrix), PREDICT_ROWS)
        ]
        return np.concatenate(parts)


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
        classes, numbers = _number_classes(rows.target)
        prepare, balance = self._preparation(), self.spec.candidates[self.name].balance
        fitted = balance_rows(rows.take(fit), balance, self.spec.seed)
        shown, weights = fitted.inputs, weigh_rows(fitted, balance)
        inputs = as_matrix(shown if prepare is None else prepare.fit_transform(shown, fitted.target))
        watched = None
        if held is not None:
            seen = rows.take(held).inputs
            watched = (as_matrix(seen if prepare is None else prepare.transform(seen)), numbers[held])
        with holding(device):
            shape = NetworkShape(inputs.shape[1], len(classes), self._vocabulary, *_describe_values(fitted.target))
            network = self._build(keras, shape)
            taught = (inputs, _number(fitted.target, classes))
            history = train_network(
                network, taught, weights, watched, self._network, on_epoch=on_epoch, where=self._where
            )
        return KerasModel(self.columns, prepare, network, class_labels(classes), compute.threads, device, history)

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
        preparation, regression = self.spec.preparation_of(self.name), self.spec.is_regression
        steps = preprocessing_steps(self.columns, preparation, self.spec.seed, regression=regression)
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
        if shape.classes == 0 and width != 1:
            raise TrainingFailed(
                f"{self._where}: expected one output for the value of a regression, received a network with {width}.",
                remedy="End it with `keras.layers.Dense(1)`: one output, without an activation.",
            )
        if shape.classes and width != shape.classes and not (width == 1 and shape.classes == 2):
            raise TrainingFailed(
                f"{self._where}: expected an output for each of the {shape.classes} classes (or one for two), "
                f"received a network with {width}.",
                remedy="The build function is told the number of classes: `shape.classes`.",
            )


def _number_classes(target: Array) -> tuple[Array, Array]:
    """Return the classes in order, none of a regression, and what a network is taught."""
    classes = np.unique(target) if has_classes(target) else np.array([])
    return classes, _number(target, classes)


def _number(target: Array, classes: Array) -> Array:
    return np.searchsorted(classes, target) if len(classes) else target.astype(np.float32)


def _describe_values(target: Array) -> tuple[float, float]:
    """Return mean and standard deviation of a regression's target; 0 and 1 of classes, and 1 where nothing varies."""
    return (0.0, 1.0) if has_classes(target) else (float(target.mean()), float(target.std()) or 1.0)


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

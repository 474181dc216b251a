"""How a Keras candidate is made: its rows prepared, its network built, trained and handed over."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from infra.errors import SpecError, TrainingFailed
from infra.settings import load_settings
from tasks.contracts.models import NetworkFit, Precision
from tasks.contracts.networks import Architecture, Network
from tasks.contracts.project import ProjectSpec
from tasks.models.balancing import balance_rows, weigh_rows
from tasks.models.batch_search import find_batch_size
from tasks.models.batch_sizes import BatchSize, train_within_memory
from tasks.models.checkpoints import CheckpointShelf, Keeping
from tasks.models.epochs import train_network
from tasks.models.inputs import InputColumns, Rows, take_inputs
from tasks.models.keras_models import KerasModel, network_config
from tasks.models.layers import require_known_layers
from tasks.models.material import Material, describe_values, number, number_classes
from tasks.models.model import Array, Load, OnEpoch, class_labels
from tasks.models.networks.borrowing import build_borrowing, find_pupil, look, unfreeze
from tasks.models.networks.compiling import compile_network
from tasks.models.networks.shape import NetworkShape
from tasks.models.networks.weighing import weigh_classes
from tasks.models.partition import hold_out
from tasks.models.precision import answer_exactly, choose_precision, compute_exactly, computing_in
from tasks.models.prepared import apply, learn
from tasks.models.preprocessing import find_nominal, preprocessing_steps
from tasks.models.samplers import BY_NEIGHBOURS, Prepared, require_mixable, resample_prepared
from tasks.models.stored import hold
from tasks.models.tensorflow_runtime import capability_of, choose_devices, holding, start_keras
from tasks.models.text import list_words


@dataclass(frozen=True)
class KerasRecipe:
    """How a Keras candidate is made."""

    name: str
    spec: ProjectSpec
    columns: InputColumns
    load: Load
    shelf: CheckpointShelf | None = None
    """Where checkpoints are kept; None: nowhere."""

    def fit(self, rows: Rows, on_epoch: OnEpoch | None = None, *, watch: bool = True) -> KerasModel:
        """Return the network fitted on these rows and nothing else.

        The share that watches is parted from them as the project parts rows. By default (`network.refit`) the network
        is then trained once more from the same seed, on all rows; all that the share decides is for how many epochs,
        where training may end early: as many as were best (Goodfellow, Bengio and Courville 2016, Deep Learning,
        algorithm 7.2).

        Parameters
        ----------
        rows
            Training rows.
        on_epoch
            Told of each epoch, of both trainings.
        watch
            False where nobody looks at the metrics per epoch: a training that is followed by another, and does not say
            for how long, is left out.
        """
        spec = self._network
        every = np.arange(len(rows))
        if spec.validation_share == 0 or (spec.refit and not watch and spec.early_stopping is None):
            return self._train(rows, every, None, on_epoch)
        fit, held = hold_out(rows.target, rows.by, self.spec.split, share=spec.validation_share, seed=self.spec.seed)
        if not spec.refit:
            return self._train(rows, fit, held, on_epoch)
        watched = self._train(rows, fit, held, _count_twice(on_epoch))
        trained = len(watched.history["loss"])
        refitted = self._train(rows, every, None, _count_on(on_epoch, trained), watched)
        again = {f"refit_{name}": values for name, values in refitted.history.items()}
        return replace(refitted, history={**watched.history, **again})

    def _train(
        self, rows: Rows, fit: Array, held: Array | None, on_epoch: OnEpoch | None, watched: KerasModel | None = None
    ) -> KerasModel:
        """Return the network fitted on these rows: in batches that memory has room for, and as long as `watched` was best for."""
        compute = self.spec.compute
        keras = start_keras(compute.threads)
        devices = choose_devices(compute, project=self.spec.name)
        precision = choose_precision(compute.precision, capability_of(devices))
        material = self._prepare(rows, fit, held).shared_by(len(devices))

        def train(size: BatchSize) -> KerasModel:
            shared = size.shared_by(len(devices), len(material.inputs))
            sized = self._with_batches(shared.rows)
            how = NetworkFit(
                batch_size=shared.rows, batch_size_why=shared.why, precision=precision, devices=len(devices)
            )
            with self._anew(keras, devices, precision):
                epochs = watched.epochs if watched else None
                model = sized._train_once(keras, material, devices[0], how, on_epoch=on_epoch, epochs=epochs)
            if how.precision == "float32" and how.devices == 1:
                return model
            with holding(devices[:1]):
                return replace(model, network=_build_plain(keras, model.network))

        if watched and watched.trained:
            size = BatchSize.of(watched.trained)
        elif self._network.batch_size == "auto":
            size = self._find_batches(keras, material, devices, precision)
        else:
            size = BatchSize(self._network.step_rows)
        return train_within_memory(train, size, self._where)

    def _find_batches(self, keras: Any, rows: Material, devices: tuple[str, ...], precision: Precision) -> BatchSize:
        """Return the largest batch that fits, tried on networks that are thrown away: what is trained later follows from the size alone."""

        def step(size: int) -> None:
            size = BatchSize(size).shared_by(len(devices), len(rows.inputs)).rows
            with self._anew(keras, devices, precision):
                network, pupil = self._with_batches(size)._build(keras, rows.shape, len(rows.inputs), rows.prepare)
                weights = None if rows.weights is None else rows.weights[:size]
                taught = look(network, pupil, rows.inputs[:size]), rows.target[:size]
                pupil.fit(*taught, sample_weight=weights, batch_size=size, verbose=0)

        on_cpu = devices[0].startswith("CPU")
        return find_batch_size(step, len(rows.inputs), on_cpu=on_cpu, where=self._where)

    @contextmanager
    def _anew(self, keras: Any, devices: tuple[str, ...], precision: Precision) -> Iterator[None]:
        """Have a network built and trained inside as in a process that has done nothing yet: automatic names, seed, device."""
        # Before the devices are entered: what is entered with several cannot be left after its session is gone.
        keras.utils.clear_session()
        keras.utils.set_random_seed(self.spec.seed)
        with holding(devices), computing_in(keras, precision):
            yield

    def _with_batches(self, size: int) -> "KerasRecipe":
        """Return the recipe for a network that is trained in batches of this size."""
        candidate = self.spec.candidates[self.name]
        network = self._network.model_copy(update={"batch_size": size})
        sized = {**self.spec.candidates, self.name: candidate.model_copy(update={"network": network})}
        return replace(self, spec=self.spec.model_copy(update={"candidates": sized}))

    def _prepare(self, rows: Rows, fit: Array, held: Array | None) -> Material:
        classes, numbers = number_classes(rows.target, self.spec.labels)
        prepare, balance = self._preparation(), self.spec.candidates[self.name].balance
        fitted = balance_rows(rows.take(fit), balance, self.spec.seed)
        weights = weigh_rows(fitted, balance)
        with _saying(self._where):
            weights = weigh_classes(fitted.target, weights, self._network.loss, classes)
        inputs: Any = learn(
            prepare, self.columns, fitted, across=self._looks_across, seed=self.spec.seed, where=self._where
        )
        inputs, target, weights = self._resample(Prepared(inputs, fitted.target, weights), prepare)
        watched: Any = None
        if held is not None:
            watched = (apply(prepare, self.columns, take_inputs(rows.inputs, held)), numbers[held])
        shape = NetworkShape(
            prod(inputs.shape[1:]), len(classes), self._vocabulary, self.columns.pixels, *describe_values(target)
        )
        shape = replace(shape, several=bool(self.spec.labels))
        return Material(prepare, classes, shape, inputs, number(target, classes), weights, watched)

    def _train_once(
        self,
        keras: Any,
        rows: Material,
        device: str,
        how: NetworkFit,
        *,
        on_epoch: OnEpoch | None,
        epochs: int | None,
    ) -> KerasModel:
        network, pupil = self._build(keras, rows.shape, len(rows.inputs), rows.prepare)
        watched = rows.watched and (look(network, pupil, rows.watched[0]), rows.watched[1])
        course = train_network(
            pupil,
            (look(network, pupil, rows.inputs), rows.target),
            rows.weights,
            watched,
            self._network,
            seed=self.spec.seed,
            epochs=epochs,
            unfreeze=partial(self._unfreeze, keras, (network, pupil), rows.shape, len(rows.inputs)),
            on_epoch=on_epoch,
            where=self._where,
            keeping=self._keep(how),
        )
        return KerasModel(
            self.columns,
            rows.prepare,
            network,
            class_labels(rows.classes),
            self.spec.compute.threads,
            device,
            course.history,
            epochs=course.epochs,
            several=rows.shape.several,
            pace=course.pace,
            trained=how,
        )

    def _keep(self, how: NetworkFit) -> Keeping | None:
        if self.shelf is None:
            return None
        candidate, compute = self.spec.candidates[self.name], self.spec.compute.model_dump(mode="json")
        chosen = {"precision": how.precision, "devices": how.devices}
        return Keeping(self.shelf, {"params": candidate.params, "compute": compute, "chosen": chosen})

    def _resample(self, rows: Prepared, prepare: Any) -> Prepared:
        """Return the prepared rows with some made or left out by their neighbours, where that is asked for."""
        balance = self.spec.candidates[self.name].balance
        if balance.resample not in BY_NEIGHBOURS:
            return rows
        require_mixable(self.columns.widened, balance, self._where)
        rows = rows._replace(matrix=hold(rows.matrix))  # neighbours are looked for among all
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

    @property
    def _looks_across(self) -> bool:
        encodes = self.spec.preparation_of(self.name).category.encode
        return bool(self.columns.widened.categories) and encodes == "target"

    def _preparation(self) -> Any:
        if self.columns.images:
            return None
        preparation, regression = self.spec.preparation_of(self.name), self.spec.is_regression
        steps = preprocessing_steps(self.columns, preparation, self.spec.seed, regression=regression)
        return Pipeline(steps) if steps else None

    def _build(self, keras: Any, shape: NetworkShape, rows: int, prepare: Any) -> tuple[Any, Any]:
        """Return the network, and what of it is trained, compiled: itself, or a part or form of it with the same weights."""
        spec = self._network
        build = self.load(spec.build) if spec.build else None
        if build is not None:
            network = pupil = self._require_compiled(keras, build(shape, dict(self.spec.candidates[self.name].params)))
        elif spec.architecture is not None:
            with _saying(self._where):
                network = self._build_named(keras, shape, spec.architecture, prepare)
                pupil = find_pupil(keras, network, spec, rows=rows, classes=shape.classes, seed=self.spec.seed)
                self._compile(keras, pupil, shape, rows)
        answer_exactly(network)
        require_known_layers(network_config(network))
        self._require_outputs(network, shape)
        return network, pupil

    def _build_named(self, keras: Any, shape: NetworkShape, architecture: Architecture, prepare: Any) -> Any:
        folder = load_settings().projects / self.spec.name
        return build_borrowing(
            keras, shape, self._network, architecture, folder=folder, list_words=partial(list_words, prepare)
        )

    def _compile(
        self, keras: Any, network: Any, shape: NetworkShape, rows: int, *, first_epoch: int = 0, share: float = 1.0
    ) -> None:
        compile_network(
            keras,
            network,
            self._network,
            shape.classes,
            math.ceil(rows / self._network.step_rows),
            first_epoch=first_epoch,
            rate_share=share,
            several=shape.several,
        )

    def _unfreeze(self, keras: Any, trained: tuple[Any, Any], shape: NetworkShape, rows: int, epoch: int) -> None:
        network, pupil = trained
        self._compile(keras, pupil, shape, rows, first_epoch=epoch, share=unfreeze(network, self._network))

    def _require_compiled(self, keras: Any, network: Any) -> Any:
        if not isinstance(network, keras.Model) or not getattr(network, "compiled", False):
            raise SpecError(
                f"{self._where}: expected {self._network.build} to return a compiled keras.Model, received "
                f"{type(network).__name__}.",
                remedy="End the function with `model.compile(...)` and `return model`.",
            )
        return network

    def _require_outputs(self, network: Any, shape: NetworkShape) -> None:
        width = network.output_shape[-1]
        if shape.classes == 0 and width != 1:
            raise TrainingFailed(
                f"{self._where}: expected one output for the value of a regression, received a network with {width}.",
                remedy="End it with `keras.layers.Dense(1)`: one output, without an activation.",
            )
        if shape.classes and width != shape.classes and (shape.several or (width, shape.classes) != (1, 2)):
            raise TrainingFailed(
                f"{self._where}: expected an output for each of the {shape.classes} classes (or one for two), "
                f"received a network with {width}.",
                remedy="The build function is told the number of classes: `shape.classes`.",
            )


def _build_plain(keras: Any, network: Any) -> Any:
    """Return the network with its weights, as it is when it is loaded: in float32 and on one device, however it was trained."""
    compute_exactly(network)
    plain = keras.saving.deserialize_keras_object(network_config(network), safe_mode=True)
    plain.set_weights(network.get_weights())
    return plain


@contextmanager
def _saying(where: str) -> Iterator[None]:
    """Say which candidate it is whose network cannot be meant."""
    try:
        yield
    except SpecError as error:
        raise SpecError(f"{where}.network: {error.message}", remedy=error.remedy) from error


def _count_twice(on_epoch: OnEpoch | None) -> OnEpoch | None:
    """Return the listener of a training that another one will follow: so far as many epochs again are expected."""
    if on_epoch is None:
        return None
    tell = on_epoch

    def first(epoch: int, of: int, metrics: Mapping[str, float]) -> None:
        tell(epoch, 2 * of, metrics)

    return first


def _count_on(on_epoch: OnEpoch | None, done: int) -> OnEpoch | None:
    """Return the listener of a training that follows another of `done` epochs: both are told as one."""
    if on_epoch is None:
        return None
    tell = on_epoch

    def second(epoch: int, of: int, metrics: Mapping[str, float]) -> None:
        tell(done + epoch, done + of, metrics)

    return second

"""The epochs of a network's training: told as they come, ended early where asked, and when the loss is no number."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from infra.errors import MemoryRanOut, SpecError, TrainingFailed
from infra.suggestion import suggest
from tasks.contracts.models import TrainingPace
from tasks.contracts.networks import Network
from tasks.contracts.optimisation import PlateauRate
from tasks.models.checkpoints import Keeping, name_training, read_variables
from tasks.models.feed import Feed, Place
from tasks.models.model import Array, OnEpoch
from tasks.models.networks.rates import step_down
from tasks.models.pacing import EpochTime, Meter, compile_step, make_watch, summarise
from tasks.models.resuming import Heard, Keeper, Memory, Slot, make_recorder
from tasks.models.stored import Stored

Unfreeze = Callable[[int], None]
"""Told how many epochs were trained before."""


class Course(NamedTuple):
    """How a training went."""

    history: dict[str, list[float]]
    epochs: int
    """Epochs that the weights are those of: the best one where training may end early, else the last."""
    pace: TrainingPace | None
    """Where the time went; None where a training was found at its end."""


def train_network(
    network: Any,
    rows: tuple[Array | Stored, Array],
    weights: Array | None,
    watched: tuple[Array | Stored, Array] | None,
    spec: Network,
    *,
    seed: int,
    epochs: int | None = None,
    unfreeze: Unfreeze | None = None,
    on_epoch: OnEpoch | None,
    where: str,
    keeping: Keeping | None = None,
) -> Course:
    """Fit a compiled network in place and return its metrics per epoch.

    Parameters
    ----------
    rows
        Inputs and target; inputs in a file are read batch by batch.
    weights
        How much each row counts; None: all alike.
    watched
        Rows whose metrics are told as `val_…`, and by which training ends early where the project asks for it.
    seed
        The order of the rows follows from it and the epoch.
    epochs
        Instead of the project's number; training then never ends before.
    unfreeze
        Makes layers trainable that were not; called once, after as many epochs as the project says.
    on_epoch
        Told of each epoch, of those too that an earlier process trained.
    keeping
        Where checkpoints are kept every `spec.checkpoint_steps` steps; a training that finds one goes on from there, as if
        it had never been left.

    Raises
    ------
    SpecError
        Training shall end by a metric that the network does not tell.
    TrainingFailed
        A loss or metric became NaN or infinite.
    MemoryRanOut
        A batch does not fit.
    """
    import keras  # noqa: PLC0415  only once TensorFlow was started
    import tensorflow  # noqa: PLC0415

    last = epochs or spec.epochs
    feed = Feed(tensorflow, rows if weights is None else (*rows, weights), batch_size=spec.step_rows, seed=seed)
    stop = _end_early(keras, spec) if watched is not None and epochs is None else None
    plateau = step_down(keras, spec.schedule) if isinstance(spec.schedule, PlateauRate) else None
    training = _Training(
        tensorflow,
        network,
        feed,
        None if watched is None else Feed(tensorflow, watched, batch_size=spec.step_rows, seed=seed).in_order(),
        Memory({}, stop, plateau),
        Meter(),
        last,
        [_watch(keras, on_epoch, last, stop, where), *([plateau] if plateau else [])],
    )
    if keeping is not None and 0 < spec.checkpoint_steps <= feed.steps * last:
        made_of = {"last": last, "ends_early": stop is not None, "seed": seed, "made_of": keeping.made_of}
        key = _name(network, spec, made_of, [*rows, weights, *(watched or (None,))])
        training.keep(keeping, key, spec.checkpoint_steps, partial(_require_finite, of=last, where=where))
    _tell_again(training.memory.history, training.place.epoch, last, on_epoch)
    with _telling_memory(tensorflow, spec.step_rows, where):
        for start, end in _stages(spec, last, unfreeze):
            training.run(start, end)
    if not all(bool(tensorflow.reduce_all(tensorflow.math.is_finite(weight.value))) for weight in network.weights):
        raise _diverged(where, "weights are NaN or infinite", last, last)
    history = training.memory.history
    return Course(history, len(history["loss"]) if stop is None else stop.best_epoch + 1, summarise(training.times))


@dataclass
class _Training:
    """One training, stage by stage."""

    tensorflow: Any
    network: Any
    feed: Feed
    watching: Any
    memory: Memory
    meter: Meter
    last: int
    listening: list[Any]
    keeper: Keeper | None = None
    times: list[EpochTime] = field(default_factory=list)

    def keep(self, keeping: Keeping, key: str, every: int, heard: Heard) -> None:
        """Have checkpoints made, and go on from the newest where there is one."""
        slot = Slot(keeping.shelf, key, every)
        self.keeper = Keeper(self.network, slot, self.feed, self.memory, self.meter, heard)

    @property
    def place(self) -> Place:
        """Where it begins."""
        return self.keeper.place if self.keeper else Place()

    def run(self, start: int, end: int) -> None:
        """Train from the begin of epoch `start` to the end of epoch `end` - 1, or what is left of that."""
        import keras  # noqa: PLC0415  only once TensorFlow was started

        if end <= self.place.epoch:
            return
        begin, network = max(self.place, Place(start)), self.network
        if self.keeper and begin == self.place:
            self.keeper.put_back(compiled_anew=begin == Place(start))
        stops = [self.memory.stop] if self.memory.stop and end == self.last else []
        recorder = make_recorder(keras, self.memory, self.keeper, self.last)
        watch = make_watch(keras, network, self.meter, self.feed.rows, [*self.listening, *stops, recorder])
        step = compile_step(self.tensorflow, network, self.meter)
        network.steps_per_execution = 1
        network.train_function = self.keeper.watch(step) if self.keeper else step
        network.fit(
            self.feed.shuffled(begin, end),
            initial_epoch=begin.epoch,
            epochs=end,
            steps_per_epoch=self.feed.steps,
            validation_data=self.watching,
            shuffle=False,  # the feed has done so
            callbacks=watch,
            verbose=0,
        )
        network.train_function = None
        self.times += watch.times


def _name(network: Any, spec: Network, made_of: dict[str, Any], arrays: list[Array | Stored | None]) -> str:
    """Return the key of the training, by all that enters it."""
    made_of |= {"network": spec.model_dump(mode="json", exclude={"checkpoint_steps"}), "config": network.to_json()}
    return name_training(made_of, [*arrays, *read_variables(network, network.variables)])


def _tell_again(history: Mapping[str, list[float]], epochs: int, last: int, on_epoch: OnEpoch | None) -> None:
    """Tell of the epochs that an earlier process trained, as it was told then."""
    if on_epoch is not None:
        for epoch in range(epochs):
            metrics = {name: values[epoch] for name, values in history.items() if name != "learning_rate"}
            on_epoch(epoch + 1, last, metrics)


def _stages(spec: Network, last: int, unfreeze: Unfreeze | None) -> Iterator[tuple[int, int]]:
    """Yield from which epoch to which each stage goes: one, or two where layers are let go in between."""
    turn = spec.unfreeze_after
    if unfreeze is None or turn is None or turn >= last:
        yield 0, last
        return
    yield 0, turn
    unfreeze(turn)
    yield turn, last


def _watch(keras: Any, on_epoch: OnEpoch | None, last: int, stop: Any, where: str) -> Any:
    """Return what looks at each epoch first, and tells it."""

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            metrics = {name: float(value) for name, value in (logs or {}).items()}
            _require_finite(metrics, epoch + 1, last, where)
            _require_metric(metrics, stop, where)
            if on_epoch is not None:
                on_epoch(epoch + 1, last, metrics)

    return Watch()


@contextmanager
def _telling_memory(tensorflow: Any, batch_size: int, where: str) -> Iterator[None]:
    try:
        yield
    except (MemoryError, tensorflow.errors.ResourceExhaustedError) as error:
        raise MemoryRanOut(
            f"{where}: memory ran out in training with batches of {batch_size} rows.",
            remedy="Take a smaller `batch_size`, or a machine with more memory.",
        ) from error


def _end_early(keras: Any, spec: Network) -> Any:
    """Return what ends training when the watched metric no longer gets better and puts the best epoch's weights back."""
    if spec.early_stopping is None:
        return None

    class Stop(keras.callbacks.EarlyStopping):  # type: ignore[misc]
        recalled: dict[str, Any] | None = None

        def on_train_begin(self, logs: Any = None) -> None:
            super().on_train_begin(logs)
            if self.recalled is not None:
                for name, value in self.recalled.items():
                    setattr(self, name, value)

    return Stop(
        monitor=f"val_{spec.early_stopping.metric}",
        patience=spec.early_stopping.patience,
        min_delta=spec.early_stopping.min_delta,
        restore_best_weights=True,
    )


def _require_metric(metrics: Mapping[str, float], stop: Any, where: str) -> None:
    if stop is not None and stop.monitor not in metrics:
        told = [name.removeprefix("val_") for name in metrics if name.startswith("val_")]
        wanted = stop.monitor.removeprefix("val_")
        raise SpecError(
            f"{where}.network.early_stopping.metric: expected one of {', '.join(told)}, received {wanted!r}."
            f"{suggest(wanted, told)}"
        )


def _require_finite(metrics: Mapping[str, float], epoch: int, of: int, where: str) -> None:
    broken = [f"{name}={value}" for name, value in metrics.items() if not math.isfinite(value)]
    if broken:
        raise _diverged(where, ", ".join(broken), epoch, of)


def _diverged(where: str, what: str, epoch: int, of: int) -> TrainingFailed:
    return TrainingFailed(
        f"{where}: training diverged in epoch {epoch} of {of}: {what}.",
        remedy="Lower the learning rate, scale the inputs (`prepare.number.scale`), or clip the gradients.",
    )

"""A training kept every so many steps, and put back where it stood: exactly, to the last bit of its weights."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from infra.faults import reach
from tasks.models.checkpoints import Checkpoint, CheckpointShelf, load_checkpoint, read_variables, write_variables
from tasks.models.feed import Feed, Place
from tasks.models.pacing import Meter

logger = logging.getLogger(__name__)

Heard = Callable[[Mapping[str, float], int], None]
"""Told the metrics of the running epoch so far, and its number from 1."""


class Memory(NamedTuple):
    """What the callbacks of a training remember from epoch to epoch, beside its history."""

    history: dict[str, list[float]]
    stop: Any
    """Ends training early; None: nothing does."""
    plateau: Any
    """Lowers the rate; None: nothing does."""

    def tell(self) -> dict[str, Any]:
        """Return it as plain JSON, without the best weights."""
        said: dict[str, Any] = {}
        if self.stop is not None:
            said["stop"] = {name: getattr(self.stop, name, None) for name in ("wait", "best", "best_epoch")}
        if self.plateau is not None:
            said["plateau"] = {"lowest": self.plateau.lowest, "waited": self.plateau.waited}
        return said

    def recall(self, kept: Checkpoint) -> None:
        """Remember what a checkpoint says."""
        self.history.update(kept.history)
        if self.stop is not None:
            self.stop.recalled = {**kept.waiting["stop"], "best_weights": kept.best or None}
        if self.plateau is not None:
            for name, value in kept.waiting["plateau"].items():
                setattr(self.plateau, name, value)


class Slot(NamedTuple):
    """Where the checkpoints of one training go."""

    shelf: CheckpointShelf
    key: str
    """Names the training: `checkpoints.name_training`."""
    every: int
    """Steps from one to the next."""


@dataclass
class Keeper:
    """Stands between Keras' loop and its training step, and counts.

    `heard` is told how the running epoch does before it is kept; what it raises ends the training.
    """

    network: Any
    slot: Slot
    feed: Feed
    memory: Memory
    meter: Meter
    heard: Heard

    def __post_init__(self) -> None:
        self._kept = load_checkpoint(self.slot.shelf, self.slot.key)
        self.place = self._kept.place if self._kept else Place()
        if self._kept:
            self.memory.recall(self._kept)
        self._done = self.place.epoch * self.feed.steps + self.place.step
        self._next = self._following
        self._passed = self.place.step
        self._step: Any = None

    @property
    def _following(self) -> int:
        """The number of steps after which the next checkpoint is due."""
        return (self._done // self.slot.every + 1) * self.slot.every

    def watch(self, step: Any) -> Any:
        """Return the training step with its checkpoints, as Keras' loop calls it.

        Of an epoch that is gone on with the loop asks for the steps that were done as well: they pass without one.
        """
        self._step = step
        return self._train

    def _train(self, iterator: Any) -> Any:
        if self._passed:
            self._passed -= 1
            return {}
        said = self._step(iterator)
        self._done += 1
        if self._done == self._next:
            self._pause()
        return said

    def _pause(self) -> None:
        started = time.perf_counter()
        if self._done % self.slot.every:
            reach("checkpoint.between")
            self._next = (self._done // self.slot.every + 1) * self.slot.every
        else:
            epoch, step = divmod(self._done, self.feed.steps)
            if step:  # the end of an epoch is kept in `end_epoch`, once all has heard of it
                metrics = {name: float(value) for name, value in self.network.get_metrics_result().items()}
                self.heard(metrics, epoch + 1)
                self._save(Place(epoch, step))
            self._next = self._done + (self.slot.every // 2 or 1)
        self.meter.aside_s += time.perf_counter() - started

    def end_epoch(self, epoch: int, *, more: bool) -> None:
        """Keep the end of an epoch where a checkpoint is due; `more`: another one follows."""
        if more and self._done % self.slot.every == 0:
            self._save(Place(epoch + 1))

    def _save(self, place: Place) -> None:
        network, memory = self.network, self.memory
        best = memory.stop.best_weights if memory.stop is not None else None
        state = Checkpoint(
            place,
            memory.history,
            read_variables(network, network.variables),
            read_variables(network, network.optimizer.variables),
            read_variables(network, network.metrics_variables),
            memory.tell(),
            best or [],
        )
        self.slot.shelf.save(self.slot.key, state.encode(self.slot.key))
        reach("checkpoint.after_save")

    def put_back(self, *, compiled_anew: bool) -> None:
        """Bring the network to where it was kept.

        Parameters
        ----------
        compiled_anew
            A stage of training begins just here: it has an optimizer of its own, which has done nothing yet.
        """
        if self._kept is None:
            return
        network, place = self.network, self.place
        logger.info("training goes on after %d of %d steps of epoch %d", place.step, self.feed.steps, place.epoch + 1)
        if place.step:
            # Keras makes the variables of metrics when it first measures.
            network.evaluate(self.feed.in_order().take(1), verbose=0)
        with network.distribute_strategy.scope():
            network.optimizer.build(network.trainable_variables)
        write_variables(network, network.variables, self._kept.variables)
        if not compiled_anew:
            write_variables(network, network.optimizer.variables, self._kept.optimizer)

    def begin_epoch(self) -> None:
        """Put back what the metrics of an epoch had summed when it was left; Keras has just set them to nothing."""
        if self._kept is not None and self.place.step:
            write_variables(self.network, self.network.metrics_variables, self._kept.metrics)
        self._kept = None


def make_recorder(keras: Any, memory: Memory, keeper: Keeper | None, last: int) -> Any:
    """Return what writes the history, epoch by epoch, after all others have heard of the epoch, and has it kept."""

    class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  Keras' signature
            if keeper is not None:
                keeper.begin_epoch()

        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            for name, value in (logs or {}).items():
                memory.history.setdefault(name, []).append(float(value))
            if keeper is not None:
                keeper.end_epoch(epoch, more=epoch + 1 < last and not self.model.stop_training)

    return Recorder()

"""The epochs of a network's training: told as they come, ended early where asked, and when the loss is no number."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from infra.errors import MemoryRanOut, SpecError, TrainingFailed
from infra.suggestion import suggest
from tasks.contracts.networks import Network
from tasks.contracts.optimisation import PlateauRate
from tasks.models.model import Array, OnEpoch
from tasks.models.networks.rates import step_down

Unfreeze = Callable[[int], None]
"""Told how many epochs were trained before."""


class Course(NamedTuple):
    """How a training went."""

    history: dict[str, list[float]]
    epochs: int
    """Epochs that the weights are those of: the best one where training may end early, else the last."""


def train_network(
    network: Any,
    rows: tuple[Array, Array],
    weights: Array | None,
    watched: tuple[Array, Array] | None,
    spec: Network,
    *,
    epochs: int | None = None,
    unfreeze: Unfreeze | None = None,
    on_epoch: OnEpoch | None,
    where: str,
) -> Course:
    """Fit a compiled network in place and return its metrics per epoch.

    Parameters
    ----------
    weights
        How much each row counts; None: all alike.
    watched
        Rows whose metrics are told as `val_…`, and by which training ends early where the project asks for it.
    epochs
        Instead of the project's number; training then never ends before.
    unfreeze
        Makes layers trainable that were not; called once, after as many epochs as the project says.

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
    stop = _end_early(keras, spec) if watched is not None and epochs is None else None
    callbacks = [_watch(keras, on_epoch, last, stop, where), keras.callbacks.TerminateOnNaN()]
    if isinstance(spec.schedule, PlateauRate):
        callbacks.append(step_down(keras, spec.schedule))
    history: dict[str, list[float]] = {}
    with _telling_memory(tensorflow, spec.step_rows, where):
        for start, end in _stages(spec, last, unfreeze):
            stops = [stop] if stop and end == last else []
            fitted = network.fit(
                *rows,
                sample_weight=weights,
                initial_epoch=start,
                epochs=end,
                batch_size=spec.step_rows,
                validation_data=watched,
                callbacks=[*callbacks, *stops],
                verbose=0,
            )
            for name, values in fitted.history.items():
                history.setdefault(name, []).extend(float(value) for value in values)
    if not all(bool(tensorflow.reduce_all(tensorflow.math.is_finite(weight.value))) for weight in network.weights):
        raise _diverged(where, "weights are NaN or infinite", last, last)
    return Course(history, len(history["loss"]) if stop is None else stop.best_epoch + 1)


def _stages(spec: Network, last: int, unfreeze: Unfreeze | None) -> Iterator[tuple[int, int]]:
    """Yield from which epoch to which each stage goes: one, or two where layers are let go in between."""
    turn = spec.embeddings.unfreeze_after if spec.embeddings else None
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
    return keras.callbacks.EarlyStopping(
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


def _require_finite(metrics: dict[str, float], epoch: int, of: int, where: str) -> None:
    broken = [f"{name}={value}" for name, value in metrics.items() if not math.isfinite(value)]
    if broken:
        raise _diverged(where, ", ".join(broken), epoch, of)


def _diverged(where: str, what: str, epoch: int, of: int) -> TrainingFailed:
    return TrainingFailed(
        f"{where}: training diverged in epoch {epoch} of {of}: {what}.",
        remedy="Lower the learning rate, scale the inputs (`prepare.number.scale`), or clip the gradients.",
    )

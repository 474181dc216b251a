"""The epochs of a network's training: told as they come, ended when the loss is no number."""

import math
from typing import Any

from infra.errors import TrainingFailed
from tasks.contracts.project import Network
from tasks.models.model import Array, OnEpoch


def train_network(
    network: Any,
    rows: tuple[Array, Array],
    weights: Array | None,
    watched: tuple[Array, Array] | None,
    spec: Network,
    *,
    on_epoch: OnEpoch | None,
    where: str,
) -> dict[str, list[float]]:
    """Fit a compiled network in place and return its metrics per epoch; `weights` None: all rows count alike.

    Raises
    ------
    TrainingFailed
        A loss or metric became NaN or infinite, or memory ran out.
    """
    import keras  # noqa: PLC0415  only once TensorFlow was started
    import tensorflow  # noqa: PLC0415

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            metrics = {name: float(value) for name, value in (logs or {}).items()}
            _require_finite(metrics, epoch + 1, spec.epochs, where)
            if on_epoch is not None:
                on_epoch(epoch + 1, spec.epochs, metrics)

    try:
        fitted = network.fit(
            *rows,
            sample_weight=weights,
            epochs=spec.epochs,
            batch_size=spec.batch_size,
            validation_data=watched,
            callbacks=[Watch(), keras.callbacks.TerminateOnNaN()],
            verbose=0,
        )
    except (MemoryError, tensorflow.errors.ResourceExhaustedError) as error:
        raise TrainingFailed(
            f"{where}: memory ran out in training with batches of {spec.batch_size} rows.",
            remedy="Take a smaller `batch_size`, or a machine with more memory.",
        ) from error
    history: dict[str, list[float]] = {
        name: [float(value) for value in values] for name, values in fitted.history.items()
    }
    if not all(bool(tensorflow.reduce_all(tensorflow.math.is_finite(weight.value))) for weight in network.weights):
        raise _diverged(where, "weights are NaN or infinite", spec.epochs, spec.epochs)
    return history


def _require_finite(metrics: dict[str, float], epoch: int, of: int, where: str) -> None:
    broken = [f"{name}={value}" for name, value in metrics.items() if not math.isfinite(value)]
    if broken:
        raise _diverged(where, ", ".join(broken), epoch, of)


def _diverged(where: str, what: str, epoch: int, of: int) -> TrainingFailed:
    return TrainingFailed(
        f"{where}: training diverged in epoch {epoch} of {of}: {what}.",
        remedy="Lower the learning rate, scale the inputs (`prepare.number.scale`), or clip the gradients.",
    )

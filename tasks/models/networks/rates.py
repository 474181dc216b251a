"""The learning rate at each step of a training, as a table that is made before it begins."""

import math
from typing import Any

import numpy as np

from tasks.contracts.optimisation import ConstantRate, CosineRate, OneCycleRate, PlateauRate, RateSchedule, StepRate
from tasks.models.model import Floats


def plan_rates(schedule: RateSchedule | None, rate: float, epochs: int, steps: int) -> Floats | None:
    """Return the rate at each step, shape (epochs * steps,); None where it is not known before (plateau) or never changes.

    With T = epochs * steps, W = warmup_epochs * steps (at most T) and r the given rate, the rate at step t = 0, 1, … is

    - before W: r (t + 1) / W (Goyal et al. 2017, arXiv:1706.02677, section 2.2);
    - constant: r;
    - cosine: e r + (1 - e) r (1 + cos(π (t - W) / (T - W))) / 2 (Loshchilov and Hutter 2017, ICLR, equation 5, one period);
    - step: r f^⌊t / (every * steps)⌋;
    - one_cycle, with u = t / T: on straight lines from s r at u = 0 to r at u = rise, s r at u = 2 rise and e r at u = 1
      (Smith 2018, arXiv:1803.09820, section 4.1; without its change of momentum).

    Parameters
    ----------
    rate
        The highest rate, above 0.
    epochs
        Of the whole training, even where it ends early: the first epochs are then the same.
    steps
        Batches an epoch.
    """
    if schedule is None or schedule.name == "plateau":
        return None
    at = np.arange(epochs * steps, dtype=np.float64)
    if isinstance(schedule, OneCycleRate):
        return _one_cycle(schedule, rate, at / len(at))
    warm = min(schedule.warmup_epochs * steps, len(at))
    shares = _fall(schedule, (at - warm) / max(len(at) - warm, 1), at / steps)
    return np.asarray(rate * np.where(at < warm, (at + 1) / max(warm, 1), shares))


def _fall(schedule: ConstantRate | CosineRate | StepRate, done: Floats, epoch: Floats) -> Floats:
    """Return what is left of the rate, as a share: by the share of the steps after the warm-up, or by the epoch."""
    if isinstance(schedule, CosineRate):
        return np.asarray(schedule.end + (1 - schedule.end) * (1 + np.cos(np.pi * done)) / 2)
    if isinstance(schedule, StepRate):
        return np.asarray(schedule.factor ** np.floor(epoch / schedule.every))
    return np.ones_like(epoch)


def _one_cycle(schedule: OneCycleRate, rate: float, done: Floats) -> Floats:
    turns = [0.0, schedule.rise, 2 * schedule.rise, 1.0]
    return np.interp(done, turns, [schedule.start * rate, rate, schedule.start * rate, schedule.end * rate])


def follow(keras: Any, rates: Floats) -> Any:
    """Return the table as Keras takes it: looked up inside the training step, so that it costs nothing."""
    ops = keras.ops

    class Planned(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        def __call__(self, step: Any) -> Any:
            table = ops.convert_to_tensor(rates, dtype="float32")
            return ops.take(table, ops.minimum(ops.cast(step, "int32"), len(rates) - 1))

        def get_config(self) -> dict[str, Any]:
            return {}

    return Planned()


def step_down(keras: Any, plateau: PlateauRate) -> Any:
    """Return the callback that lowers the rate where the training loss stands still, and tells the rate of each epoch.

    Of the training loss and not of the watched rows' loss, so that training on all rows, which nothing watches, goes the
    same way.
    """

    class StepDown(keras.callbacks.Callback):  # type: ignore[misc]
        lowest, waited = math.inf, 0

        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: ARG002  Keras' signature
            rate = float(self.model.optimizer.learning_rate.value)
            lower = logs["loss"] < self.lowest - plateau.min_delta
            self.lowest, self.waited = (logs["loss"], 0) if lower else (self.lowest, self.waited + 1)
            if self.waited == plateau.patience:
                self.model.optimizer.learning_rate = rate * plateau.factor
                self.waited = 0
            logs["learning_rate"] = rate

    return StepDown()

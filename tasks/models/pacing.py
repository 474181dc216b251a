"""Where the time of an epoch goes: waiting for rows, the steps of training, and all the rest."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from tasks.contracts.models import TrainingPace


class EpochTime(NamedTuple):
    """One epoch, in seconds: from its begin, to the end of its last step, to its own end."""

    rows: int
    stepping_s: float
    input_s: float
    whole_s: float

    @property
    def compute_s(self) -> float:
        return max(self.stepping_s - self.input_s, 0.0)


class Meter:
    """Sums what passes while a network waits for its rows, and what of the steps' time is none of theirs."""

    def __init__(self) -> None:
        self.waited_s = self.aside_s = 0.0
        """For the next batch; and between two steps on something else, such as a checkpoint."""

    def read(self) -> tuple[float, float]:
        """Return both as they stand."""
        return self.waited_s, self.aside_s


def compile_step(tensorflow: Any, network: Any, meter: Meter) -> Any:
    """Return the function that trains the network on an iterator's next batch and returns its metrics.

    As the one that Keras makes for itself, but for the batch, which is taken outside of the graph: there the wait for it
    can be measured (TensorFlow has no clock in a deterministic graph).
    """

    def train(batch: Any) -> Any:
        strategy = network.distribute_strategy
        said = strategy.run(network.train_step, args=(batch,))
        # On several devices each says the same: metrics are summed over all of them.
        return {name: strategy.experimental_local_results(value)[0] for name, value in said.items()}

    compiled: Any = train if network.run_eagerly else None

    def step(iterator: Any) -> Any:
        nonlocal compiled
        asked = time.perf_counter()
        batch = next(iterator)
        meter.waited_s += time.perf_counter() - asked
        if compiled is None:
            # One graph, whichever batch comes first: of an epoch that is gone on with it may be the short one at the end.
            shapes = [iterator.element_spec]
            compiled = tensorflow.function(train, shapes, autograph=False, jit_compile=network.jit_compile)
        return compiled(batch)

    return step


def make_watch(keras: Any, network: Any, meter: Meter, rows: int, callbacks: Sequence[Any]) -> Any:
    """Return Keras' list of callbacks, which takes the time of each epoch (`times`) and leaves single steps alone.

    Nothing here listens to single steps; Keras' own list hands each of them to a thread all the same.

    Parameters
    ----------
    rows
        Of one epoch.
    """

    class Stopwatch(keras.callbacks.CallbackList):  # type: ignore[misc]
        times: list[EpochTime]
        began_s = stepped_s = waited_s = aside_s = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began_s, self.stepped_s = time.perf_counter(), 0.0
            self.waited_s, self.aside_s = meter.read()
            super().on_epoch_begin(epoch, logs)

        def on_test_begin(self, logs: Any = None) -> None:
            self._end_steps()
            super().on_test_begin(logs)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self._end_steps()
            waited, aside = (now - before for now, before in zip(meter.read(), self._before, strict=True))
            super().on_epoch_end(epoch, logs)
            whole = time.perf_counter() - self.began_s
            self.times.append(EpochTime(rows, self.stepped_s - aside, waited, whole))

        @property
        def _before(self) -> tuple[float, float]:
            return self.waited_s, self.aside_s

        def _end_steps(self) -> None:
            if not self.stepped_s:
                network.metrics_variables[0].numpy()  # a GPU may still be at it
                self.stepped_s = time.perf_counter() - self.began_s

        def _let_pass(self, batch: int, logs: Any = None) -> None:
            pass

        on_train_batch_begin = on_train_batch_end = on_test_batch_begin = on_test_batch_end = _let_pass

    watch = Stopwatch(list(callbacks), add_history=True, model=network)
    watch.times = []
    return watch


def summarise(times: Sequence[EpochTime]) -> TrainingPace | None:
    """Return the means over the epochs after the first, which also prepares; of the first where there is no other."""
    counted = times[1:] or times
    if not counted:
        return None
    n = len(counted)
    whole = sum(each.whole_s for each in counted) / n
    waited, compute = sum(each.input_s for each in counted) / n, sum(each.compute_s for each in counted) / n
    return TrainingPace(
        epochs=len(counted),
        rows_a_second=sum(each.rows for each in counted) / n / max(whole, 1e-9),
        input_seconds=waited,
        compute_seconds=compute,
        other_seconds=max(whole - waited - compute, 0.0),
    )

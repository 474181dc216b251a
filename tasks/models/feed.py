"""The rows of a training, batch by batch: in an order that follows from seed and epoch alone, from any step of any epoch on."""

import math
import mmap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tasks.models.model import Array
from tasks.models.partition import Positions
from tasks.models.stored import Stored

AHEAD = 4
"""Batches that are made ready while the network computes; more would only fill memory."""


class Place(NamedTuple):
    """Where a training stands: so many steps of this epoch (from 0) are done."""

    epoch: int = 0
    step: int = 0


class Feed:
    """Rows handed to a network in batches of positions, shuffled anew in each epoch.

    Arrays in memory are gathered by TensorFlow. What lies in a file (Stored, np.memmap) is read batch by batch and never held
    as a whole. Both give the same batches.

    Parameters
    ----------
    tensorflow
        The module, once it was started.
    arrays
        What a batch is made of, all of the same length: inputs, target and, where rows count differently, their weights.
    batch_size
        Rows a step; the last step of an epoch has what is left.
    seed
        The order of an epoch follows from it and the epoch's number.
    """

    def __init__(self, tensorflow: Any, arrays: Sequence[Array | Stored], *, batch_size: int, seed: int) -> None:
        self._tensorflow, self._size, self._seed = tensorflow, batch_size, seed
        self.rows = len(arrays[0])
        # Here and not on a GPU: what a step needs of them goes there, not all of them.
        with tensorflow.device("CPU:0"):
            self._readers = [_reader(tensorflow, array) for array in arrays]

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return math.ceil(self.rows / self._size)

    def shuffled(self, start: Place, last: int) -> Any:
        """Return the batches (tf.data) from that place on to the end of epoch `last` - 1."""
        data = self._tensorflow.data.Dataset
        orders = data.range(start.epoch, last).map(self._draw).prefetch(1)
        return self._read(orders.flat_map(self._part).skip(start.step))

    def in_order(self) -> Any:
        """Return each row once, as the arrays have them, in batches (tf.data)."""
        return self._read(self._tensorflow.data.Dataset.range(self.rows).batch(self._size))

    def _draw(self, epoch: Any) -> Any:
        def draw(number: Any) -> Positions:
            return order_rows(self.rows, self._seed, int(number))

        order = self._tensorflow.numpy_function(draw, [epoch], self._tensorflow.int64, stateful=False)
        return self._tensorflow.ensure_shape(order, (self.rows,))

    def _part(self, order: Any) -> Any:
        """Return the positions of an epoch in batches; whole ones as rows of one table, which is faster than one by one."""
        data, whole = self._tensorflow.data.Dataset, self.rows - self.rows % self._size
        batches = data.from_tensor_slices(self._tensorflow.reshape(order[:whole], (-1, self._size)))
        return batches if whole == self.rows else batches.concatenate(data.from_tensors(order[whole:]))

    def _read(self, positions: Any) -> Any:
        def read(batch: Any) -> tuple[Any, ...]:
            return tuple(reader(batch) for reader in self._readers)

        return positions.map(read, num_parallel_calls=2, deterministic=True).prefetch(AHEAD)


def order_rows(rows: int, seed: int, epoch: int) -> Positions:
    """Return the positions 0 to `rows` - 1 in the order of one epoch, int64.

    >>> order_rows(5, seed=0, epoch=1).tolist() == order_rows(5, seed=0, epoch=1).tolist()
    True
    """
    return np.random.default_rng([seed % 2**64, epoch]).permutation(rows)


def lies_in_a_file(array: Array) -> bool:
    """Return whether the array, or what it is a view of, is a file mapped into memory (np.memmap)."""
    part: Any = array
    while part is not None:
        if isinstance(part, np.memmap | mmap.mmap):
            return True
        part = getattr(part, "base", None)
    return False


def _reader(tensorflow: Any, array: Array | Stored) -> Callable[[Any], Any]:
    """Return what makes a batch of positions the rows at them; numbers with a fraction as float32."""
    kind = np.dtype(np.float32) if array.dtype.kind == "f" else array.dtype
    if not (isinstance(array, Stored) or lies_in_a_file(array)):
        held = tensorflow.convert_to_tensor(np.asarray(array, dtype=kind))
        return lambda positions: tensorflow.gather(held, positions)

    def fetch(positions: Array) -> Array:
        return np.asarray(array[positions], dtype=kind)

    def read(positions: Any) -> Any:
        # Reading changes nothing, so two batches may be read at a time.
        batch = tensorflow.numpy_function(fetch, [positions], tensorflow.as_dtype(kind), stateful=False)
        return tensorflow.ensure_shape(batch, (None, *array.shape[1:]))

    return read

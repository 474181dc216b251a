"""How many rows a network sees at once, where memory has a say in it."""

import gc
import logging
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from infra.errors import MemoryRanOut
from tasks.contracts.models import NetworkFit
from tasks.models.model import Array, Floats

logger = logging.getLogger(__name__)

LEAST_ROWS = 8
"""Batches are not made smaller than this: at a rate that was meant for many more rows the steps would be mostly noise."""

Made = TypeVar("Made")


class BatchSize(NamedTuple):
    """Rows a step of training, and why so many where the project does not say so."""

    rows: int
    why: str = ""

    @classmethod
    def of(cls, trained: NetworkFit) -> "BatchSize":
        """Return the size that a network was trained with, for one that is to be trained alike."""
        return cls(trained.batch_size, trained.batch_size_why)

    def shared_by(self, devices: int, rows: int) -> "BatchSize":
        """Return the next size below that so many devices share evenly, of no more than there are rows."""
        even = max(devices, min(self.rows, rows) // devices * devices)
        if devices == 1 or even == self.rows:
            return self
        before = f"{self.why}; " if self.why else ""
        return BatchSize(even, f"{before}{even} instead of {self.rows}: shared by {devices} devices")

    def halve(self) -> "BatchSize":
        """Return half the size."""
        rows = max(self.rows // 2, LEAST_ROWS)
        before = f"{self.why}; " if self.why else ""
        return BatchSize(rows, f"{before}{rows} instead of {self.rows}: memory ran out")


def train_within_memory(train: Callable[[BatchSize], Made], size: BatchSize, where: str) -> Made:
    """Return what `train` makes with batches of this size, or of the first of its halves that memory has room for.

    Parameters
    ----------
    train
        Trains anew from the same seed at each call, so that only the size differs.
    where
        The candidate, for the log.

    Raises
    ------
    MemoryRanOut
        Not even batches of `LEAST_ROWS` rows fit.
    """
    from tasks.models.tensorflow_runtime import memory_errors  # noqa: PLC0415  brings TensorFlow

    ran_out: tuple[type[Exception], ...] = (MemoryRanOut, *memory_errors())
    while True:
        try:
            return train(size)
        except ran_out as error:
            if size.rows <= LEAST_ROWS:
                raise MemoryRanOut(
                    f"{where}: memory ran out in training even with batches of {size.rows} rows; fewer are not tried.",
                    remedy="Make the network smaller (fewer units, filters or blocks), or what it reads (`prepare.text.length`, "
                    "`size` of a picture), or train on a machine with more memory.",
                ) from error
        smaller = size.halve()
        logger.warning(
            "%s: memory ran out with batches of %d rows; trained anew with %d", where, size.rows, smaller.rows
        )
        size = smaller
        # Not before: as long as the error lives, so does the network that was too large.
        gc.collect()


def answer_within_memory(answer: Callable[[Array], Array], inputs: Array, rows: int) -> Floats:
    """Return the answers to all inputs, asked for so many rows at once, or half as often as memory demands.

    Raises
    ------
    MemoryRanOut
        Not even one row fits.
    """
    from tasks.models.tensorflow_runtime import memory_errors  # noqa: PLC0415  brings TensorFlow

    parts: list[Floats] = []
    at = 0
    while at < len(inputs):
        try:
            parts.append(np.asarray(answer(inputs[at : at + rows]), dtype=np.float64))
        except memory_errors() as error:
            if rows == 1:
                raise MemoryRanOut(
                    "Memory ran out in answering a single row.", remedy="Take a machine with more memory."
                ) from error
            rows = -(-rows // 2)
            continue
        at += len(parts[-1])
    return np.concatenate(parts)

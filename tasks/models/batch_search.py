"""`network.batch_size: auto`: the largest batch that memory has room for, found by real steps of training."""

import gc
import logging
from collections.abc import Callable

from infra.errors import MemoryRanOut
from infra.memory import usable_bytes
from infra.peak_memory import watching_growth
from tasks.models.batch_sizes import BatchSize

logger = logging.getLogger(__name__)

SMALLEST = 32
LARGEST = 8_192
"""Larger batches end in sharper minima, which do worse on new rows (Keskar et al. 2017, ICLR, arXiv:1609.04836)."""
STEPS = 20
"""An epoch has at least so many steps: with fewer a network hardly moves."""
SHARE = 4
"""A step on the CPU may take one part in so many of the memory that is to be had."""

Step = Callable[[int], None]
"""Trains a throwaway copy of the network for one step of so many rows."""


def find_batch_size(step: Step, rows: int, *, on_cpu: bool, where: str, room_bytes: int | None = None) -> BatchSize:
    """Return the largest of 32, 64, … 8,192 rows whose step fits into memory, and what ended the search.

    On a GPU a step fits where the device does not refuse it. The CPU's memory is refused to nobody: a process that takes too
    much is killed. So there a step may take a quarter of what this process may use, and one that would, at twice the
    memory of the step before, is not tried. What is found therefore follows from the machine, not from the rows' values.

    Parameters
    ----------
    rows
        Training rows; a batch has at most a twentieth of them.
    on_cpu
        Whether steps are measured by this process's own memory.
    where
        The candidate, for the log.
    room_bytes
        What a step on the CPU may take; None: as above.
    """
    room = (usable_bytes() // SHARE if room_bytes is None else room_bytes) if on_cpu else None
    size, ended = SMALLEST, ""
    taken = _try(step, size)
    while not ended:
        ended = _say_end(2 * size, taken, rows, room)
        if not ended and (taken := _try(step, 2 * size)) is None:
            ended = "twice as many do not fit into memory"
        elif not ended:
            size *= 2
    logger.info("%s: batches of %d rows; %s", where, size, ended)
    return BatchSize(size, f"found: {ended}")


def _say_end(size: int, taken: int | None, rows: int, room: int | None) -> str:
    """Return why a step of this size is not tried after one of half of it; empty where it is."""
    if taken is None:
        return "memory has no room for more"
    if size > LARGEST:
        return "more are never tried"
    if size > rows // STEPS:
        return f"more would be over a {STEPS}th of the {rows:,} rows"
    if room is not None and 2 * taken > room:
        return f"twice as many would take more than {room / 1e6:,.0f} MB"
    return ""


def _try(step: Step, rows: int) -> int | None:
    """Return the bytes that a step of so many rows takes of this process's memory; None where it does not fit."""
    from tasks.models.tensorflow_runtime import memory_errors  # noqa: PLC0415  brings TensorFlow

    ran_out: tuple[type[Exception], ...] = (MemoryRanOut, *memory_errors())
    gc.collect()
    try:
        with watching_growth() as grown:
            step(rows)
    except ran_out:
        return None
    return grown[0]

"""The highest resident memory of this process: since it began, or since a moment that somebody marks."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

CLEAR = Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""proc(5): the kernel's mark of the highest resident memory begins anew."""

_before_reset = [0]
"""The highest of the marks that were given up, for what asks after the whole life of the process."""


def highest_bytes() -> int:
    """Return the highest resident memory of this process since it began, in bytes."""
    return max(_before_reset[0], _marked_bytes())


@contextmanager
def watching_growth() -> Iterator[list[int]]:
    """Yield what holds, at the end, by how many bytes the process grew at most meanwhile: one entry.

    Where the kernel's mark cannot be set back (not Linux, or not allowed), what stays below an earlier peak counts as no growth.
    """
    held, grown = psutil.Process().memory_info().rss, [0]
    _before_reset[0] = highest_bytes()
    with suppress(OSError):
        CLEAR.write_text(RESET_PEAK)
    mark = _marked_bytes()
    try:
        yield grown
    finally:
        highest = _marked_bytes()
        grown[0] = max(0, highest - held) if highest > mark else 0


def _marked_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes there, KiB elsewhere: getrusage(2)

"""Which worker of a pool this process serves, as its environment says."""

import os
from typing import NamedTuple


class Worker(NamedTuple):
    """A worker; `name` is empty outside of one. `without_gpu`: it serves the GPU pool on a machine that has none."""

    name: str
    without_gpu: bool


def describe_worker() -> Worker:
    """Return the worker that started this process: `KEEPFIT_WORKER` and `KEEPFIT_NO_GPU`."""
    return Worker(os.environ.get("KEEPFIT_WORKER", ""), os.environ.get("KEEPFIT_NO_GPU", "") not in ("", "0"))

"""TensorFlow, imported late, quiet, deterministic and with a stated number of threads."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from infra.errors import TrainingFailed
from tasks.contracts.project import Compute

logger = logging.getLogger(__name__)

_CHATTER = (b"I0000 ", b"WARNING: All log messages before absl::InitializeLog()")
"""What TensorFlow's C++ part says of its build at import, past every setting that is there to silence it."""


def start_keras(threads: int) -> Any:
    """Return the keras module on a deterministic TensorFlow with this many CPU threads.

    TensorFlow takes the number of threads once in the life of a process. A second wish is logged and not met: a
    fit then still repeats on this machine, but another process may differ from it in the last digits.
    """
    tensorflow = _import_tensorflow()
    import keras  # noqa: PLC0415  it chooses its backend at import

    in_use = threads_in_use()
    if in_use != threads:
        try:
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
            tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError:
            logger.warning(
                "TensorFlow already runs with %d threads in this process; %d cannot be set any more", in_use, threads
            )
    return keras


def threads_in_use() -> int:
    """Return the CPU threads that TensorFlow runs with; 0: as many as it likes."""
    return int(_import_tensorflow().config.threading.get_intra_op_parallelism_threads())


def choose_device(compute: Compute, *, project: str) -> str:
    """Return the device for training: `CPU:0` or `GPU:0`.

    Raises
    ------
    TrainingFailed
        A GPU is wanted, none is visible and the project does not allow the CPU instead.
    """
    if compute.device == "cpu":
        return "CPU:0"
    if _import_tensorflow().config.list_physical_devices("GPU"):
        return "GPU:0"
    if compute.fallback == "cpu":
        logger.warning("no GPU is visible: %s trains on the CPU, as its project.yaml allows", project)
        return "CPU:0"
    raise TrainingFailed(
        f"{project}: expected a GPU (compute.device: gpu), and TensorFlow sees none.",
        remedy="Train where there is one, or allow `compute.fallback: cpu`.",
    )


@lru_cache(maxsize=1)
def _import_tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with _without_chatter():
        import tensorflow  # noqa: PLC0415  the point of this function

        tensorflow.config.experimental.enable_op_determinism()
        for gpu in tensorflow.config.list_physical_devices("GPU"):
            tensorflow.config.experimental.set_memory_growth(gpu, True)
    return tensorflow


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Hold back stderr and let through what is not chatter afterwards."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not line.startswith(_CHATTER)))

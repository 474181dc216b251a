"""TensorFlow, imported late, quiet, deterministic and with a stated number of threads."""

import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from infra.errors import TrainingFailed
from infra.worker import describe_worker
from tasks.contracts.compute import Compute

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


_told: set[str] = set()
"""Projects of which it was said that they train on the CPU, since `tell_anew`."""


def tell_anew() -> None:
    """Have each project say once more that it trains on the CPU: a run begins, which may train many networks."""
    _told.clear()


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
    if reason := allow_cpu(compute):
        if project not in _told:
            _told.add(project)
            logger.warning("%s trains on the CPU: %s", project, reason)
        return "CPU:0"
    raise TrainingFailed(
        f"{project}: expected a GPU (compute.device: gpu), and TensorFlow sees none.",
        remedy="Train where there is one (`keepfit doctor` says what is seen here), or allow `compute.fallback: cpu`.",
    )


def choose_devices(compute: Compute, *, project: str) -> tuple[str, ...]:
    """Return the devices that share each batch, the first as `choose_device` says.

    Raises
    ------
    TrainingFailed
        As there, or where fewer are seen than are wanted.
    """
    first = choose_device(compute, project=project)
    kind = first.partition(":")[0]
    if compute.devices == 1 or (kind == "CPU" and compute.device == "gpu"):
        return (first,)
    seen = len(_import_tensorflow().config.list_logical_devices(kind))
    wanted = seen if compute.devices == "all" else compute.devices
    if wanted > seen:
        raise TrainingFailed(
            f"{project}: expected {wanted} devices of kind {kind} (compute.devices), and TensorFlow sees {seen}.",
            remedy="Let the process see more of them (CUDA_VISIBLE_DEVICES), or ask for fewer; `all` takes what there is.",
        )
    return tuple(f"{kind}:{at}" for at in range(wanted))


def capability_of(devices: Sequence[str]) -> tuple[int, int] | None:
    """Return the compute capability of the least of these GPUs; None of CPUs."""
    if not devices[0].startswith("GPU"):
        return None
    config = _import_tensorflow().config
    gpus = config.list_physical_devices("GPU")[: len(devices)]
    return min(tuple(config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))) for gpu in gpus)


def allow_cpu(compute: Compute) -> str:
    """Return why a project that wants a GPU may train on the CPU of this process; empty where it may not."""
    worker = describe_worker()
    if worker.without_gpu:
        return f"{worker.name or 'this worker'} serves the GPU pool and has no GPU"
    if compute.fallback == "cpu":
        return "no GPU is visible, and project.yaml says compute.fallback: cpu"
    return ""


def memory_errors() -> tuple[type[Exception], ...]:
    """Return what is raised where memory runs out: by Python, or by TensorFlow for the device's or its own."""
    return MemoryError, _import_tensorflow().errors.ResourceExhaustedError


class GpuUse(NamedTuple):
    """What this process has used of its GPUs since it began, of all together; all zero where it never touched one."""

    name: str = ""
    seconds: float = 0.0
    peak_memory_mb: float = 0.0


_held_s = [0.0]
"""Seconds of this process on GPUs: a meter that only runs forward, as `time.process_time` does."""
_held_gpus = [0]
"""The most GPUs that it held at a time."""


@contextmanager
def holding(devices: Sequence[str]) -> Iterator[None]:
    """Place what runs inside on the device, or a copy of it on each of several, which share each batch; time on GPUs is counted."""
    started = time.perf_counter()
    import keras  # noqa: PLC0415  once `start_keras` chose its backend

    with keras.device(devices[0]) if len(devices) == 1 else _mirror(tuple(devices)).scope():
        try:
            yield
        finally:
            if devices[0].startswith("GPU"):
                _held_s[0] += (time.perf_counter() - started) * len(devices)
                _held_gpus[0] = max(_held_gpus[0], len(devices))


@lru_cache(maxsize=8)
def _mirror(devices: tuple[str, ...]) -> Any:
    return _import_tensorflow().distribute.MirroredStrategy(list(devices))


def gpu_use() -> GpuUse:
    """Return what this process has used of GPUs so far, without importing TensorFlow for it."""
    if not _held_s[0]:
        return GpuUse()
    experimental, count = _import_tensorflow().config.experimental, _held_gpus[0]
    gpu = _import_tensorflow().config.list_physical_devices("GPU")[0]
    name = str(experimental.get_device_details(gpu).get("device_name", "GPU"))
    peak = sum(experimental.get_memory_info(f"GPU:{at}")["peak"] for at in range(count))
    return GpuUse(name if count == 1 else f"{count} x {name}", _held_s[0], peak / 1e6)


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

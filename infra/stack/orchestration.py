"""Prefect's server with its UI, and the workers: programs like the others, Prefect itself is not imported here."""

import sys
from typing import Final

from infra.stack.program import SERVER, WORKERS, Program
from infra.stack.state import LOOPBACK, StackState, Worker

QUIET: Final = {"DO_NOT_TRACK": "1", "GX_ANALYTICS_ENABLED": "false", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}


def describe_server(state: StackState) -> Program:
    """Return Prefect's server with its UI, on its own database."""
    folder = state.folder / "prefect"
    environment = {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": state.database_url("prefect", "postgresql+asyncpg"),
        "PREFECT_SERVER_API_AUTH_STRING": state.sign_in,
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": f"{state.ui},http://localhost:{state.ports.prefect}",
        "PREFECT_API_URL": f"{state.ui}/api",
        "PREFECT_UI_API_URL": f"{state.ui}/api",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        **QUIET,
    }
    where = ("--host", LOOPBACK, "--port", str(state.ports.prefect))
    command = (sys.executable, "-P", "-m", "prefect", "server", "start", *where)
    ports = {"prefect": state.ports.prefect}
    return Program("prefect-server", SERVER, command, folder, environment, ports=ports, settles_s=8)


def describe_worker(state: StackState, worker: Worker) -> Program:
    """Return a worker that runs each flow run as a process; it has a home of its own, as on another machine."""
    folder = state.folder / "workers" / worker.name
    environment = {
        **state.environment(),
        **QUIET,
        "KEEPFIT_WORKER": worker.name,
        "KEEPFIT_CHECKOUT": str(state.checkout),
        "KEEPFIT_PROJECTS": str(state.projects),
        "KEEPFIT_HOME": str(folder),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_LOGGING_EXTRA_LOGGERS": "flows,tasks,infra",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "KERAS_HOME": str(folder / "keras"),
        **_choose_gpu(worker),
    }
    limit = ("--limit", "1") if worker.gpu is not None else ()
    who = ("--pool", worker.pool, "--name", worker.name, "--type", "process")
    command = (sys.executable, "-P", "-m", "prefect", "worker", "start", *who, *limit)
    return Program(worker.name, WORKERS, command, folder, environment, settles_s=4, stop_wait_s=15, inherits=True)


def _choose_gpu(worker: Worker) -> dict[str, str]:
    if worker.gpu is None:
        return {}
    if not worker.gpu:
        return {"CUDA_VISIBLE_DEVICES": "", "KEEPFIT_NO_GPU": "1"}
    return {"CUDA_VISIBLE_DEVICES": worker.gpu, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def plan_workers(cpu: int, gpu: int, gpus: tuple[str, ...]) -> tuple[Worker, ...]:
    """Return the workers: one a GPU, and those beyond the last GPU named for what they lack.

    >>> [worker.name for worker in plan_workers(1, 2, ("0",))]
    ['cpu-worker-1', 'gpu-worker-0', 'gpu-worker-1-without-gpu']
    """
    on_cpu = [Worker(name=f"cpu-worker-{number}", pool="cpu-pool") for number in range(1, cpu + 1)]
    seen = [*gpus, *[""] * gpu][:gpu]
    on_gpu = [
        Worker(name=f"gpu-worker-{index}" + ("" if name else "-without-gpu"), pool="gpu-pool", gpu=name)
        for index, name in enumerate(seen)
    ]
    return (*on_cpu, *on_gpu)

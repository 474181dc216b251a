"""Whether anybody would take a run: asked before one is sent to a pool, and while one waits there."""

from datetime import UTC, datetime

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import Worker, WorkerStatus, WorkQueue
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from infra.errors import NoWorker

UNASKED_S = 120.0
"""A worker asks its queues for work every ten seconds: one that nobody asked for so long is in no worker's list."""


def require_worker(client: SyncPrefectClient, target: DeploymentResponse, project: str, otherwise: str) -> None:
    """Return if a worker is there for the deployment's runs.

    Parameters
    ----------
    client
        A client of the Prefect server.
    target
        The deployment; it names its pool and its queue.
    project
        Whose run it is, for the message.
    otherwise
        What can be done without a worker, for the message: the rest of a sentence after "or".

    Raises
    ------
    NoWorker
        No worker of its pool is online, the pool or the queue is paused or gone, or no worker serves the queue.
    """
    name, queue_name = str(target.work_pool_name), str(target.work_queue_name)
    try:
        pool = client.read_work_pool(name)
        queue = client.read_work_queue_by_name(queue_name, work_pool_name=name)
    except ObjectNotFound:
        raise NoWorker(
            f"{project}: expected the queue {queue_name} of the work pool {name}; there is none.",
            remedy="`keepfit deploy` makes it from prefect.yaml.",
        ) from None
    if pool.is_paused:
        raise NoWorker(
            f"{project}: the work pool {name} is paused.", remedy=f"`prefect work-pool resume {name}` opens it again."
        )
    if queue.is_paused:
        raise NoWorker(
            f"{project}: the queue {queue_name} of {name} is paused.",
            remedy=f"`prefect work-queue resume {queue_name} --pool {name}` opens it again.",
        )
    workers = client.read_workers_for_work_pool(name)
    if not any(worker.status == WorkerStatus.ONLINE for worker in workers):
        up = "keepfit up --gpu-workers 1" if name.startswith("gpu") else "keepfit up"
        raise NoWorker(
            f"{project}: expected a worker that serves {name}, found none{_tell_last_seen(workers)}.",
            remedy=f"Start one (`{up}`, `prefect worker start --pool {name}`), or {otherwise}.",
        )
    if _count_unasked_s(queue) > UNASKED_S:
        raise NoWorker(
            f"{project}: the workers of {name} serve other queues than {queue_name}.",
            remedy=f"Start one that serves it (`prefect worker start --pool {name} --work-queue {queue_name}`), "
            f"or {otherwise}.",
        )


def _count_unasked_s(queue: WorkQueue) -> float:
    since = queue.last_polled or queue.created
    return (datetime.now(UTC) - since).total_seconds() if since else 0.0


def _tell_last_seen(workers: list[Worker]) -> str:
    seen = [(worker.last_heartbeat_time, worker.name) for worker in workers if worker.last_heartbeat_time]
    if not seen:
        return ""
    when, name = max(seen)
    return f" ({name} was there {(datetime.now(UTC) - when).total_seconds() / 60:.0f} minutes ago)"

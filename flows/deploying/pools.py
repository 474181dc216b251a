"""Work pools and their queues, brought to what prefect.yaml says without touching what belongs to whoever runs them."""

from collections.abc import Mapping
from typing import NamedTuple

import anyio
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import ObjectNotFound
from prefect.workers.utilities import get_default_base_job_template_for_infrastructure_type

from flows.deploying.description import Pool, Queue
from infra.errors import UsageError

Slots = Mapping[str, int | None]


class PoolRow(NamedTuple):
    """A pool or a queue as it stands on the server now."""

    pool: str
    queue: str
    priority: int | None
    limit: int | None


def ensure_pools(client: SyncPrefectClient, pools: Mapping[str, Pool], slots: Slots) -> list[PoolRow]:
    """Make missing pools and queues, and bring limits and priorities of the others up to date; twice is once.

    Parameters
    ----------
    slots
        How many runs at once, by `cpu_slots` and `gpu_slots`; None leaves a queue that exists as it is.
    """
    rows: list[PoolRow] = []
    for name, pool in pools.items():
        limits = {queue: _limit_of(client, name, queue, described, slots) for queue, described in pool.queues.items()}
        reserved = sum(queue.reserved or 0 for queue in pool.queues.values())
        total = reserved + sum(limit or 0 for limit in limits.values())
        made = _ensure_pool(client, name, pool, total)
        rows.append(PoolRow(f"{name} ({made.type})", "", None, total))
        for queue, described in sorted(pool.queues.items(), key=lambda item: item[1].priority):
            _ensure_queue(client, name, queue, described, limits[queue])
            rows.append(PoolRow("", queue, described.priority, limits[queue]))
    return rows


DEFAULT_SLOTS = {"cpu_slots": 2, "gpu_slots": 1}


def _limit_of(client: SyncPrefectClient, pool: str, name: str, queue: Queue, slots: Slots) -> int | None:
    if not isinstance(queue.limit, str):
        return queue.limit
    wanted = slots[queue.limit]
    if wanted is not None:
        return wanted
    try:
        found = client.read_work_queue_by_name(name, work_pool_name=pool)
    except ObjectNotFound:
        return DEFAULT_SLOTS[queue.limit]
    # 0 is an operator's way to let nothing start.
    return DEFAULT_SLOTS[queue.limit] if found.concurrency_limit is None else found.concurrency_limit


def _ensure_pool(client: SyncPrefectClient, name: str, pool: Pool, limit: int) -> WorkPool:
    try:
        found = client.read_work_pool(name)
    except ObjectNotFound:
        made = WorkPoolCreate(
            name=name,
            type=pool.type,
            description=pool.description,
            concurrency_limit=limit,
            base_job_template=_template_of(pool.type),
        )
        return client.create_work_pool(made)
    # Its type and its job template say how its owners run things: a team's kubernetes pool stays one.
    if (found.concurrency_limit, found.description) != (limit, pool.description):
        client.update_work_pool(name, WorkPoolUpdate(concurrency_limit=limit, description=pool.description))
    return found


def _template_of(kind: str) -> dict[str, object]:
    template = anyio.run(get_default_base_job_template_for_infrastructure_type, kind)
    if template is None:
        raise UsageError(
            f"prefect.yaml: {kind!r} is no type of work pool that this installation knows.",
            remedy="Install its Prefect integration, or make the pool by hand: `prefect work-pool create`.",
        )
    return template


def _ensure_queue(client: SyncPrefectClient, pool: str, name: str, queue: Queue, limit: int | None) -> None:
    try:
        found = client.read_work_queue_by_name(name, work_pool_name=pool)
    except ObjectNotFound:
        found = client.create_work_queue(name, work_pool_name=pool, priority=queue.priority)
    wanted = {"priority": queue.priority, "concurrency_limit": limit, "description": queue.description}
    if wanted != {key: getattr(found, key) for key in wanted}:
        client.update_work_queue(found.id, **wanted)

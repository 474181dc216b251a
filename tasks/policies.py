"""How each step is run: its retries, its timeout and what its key is made of, as one table.

A step is keyed by what it computes: its name, its stage's source files, the project's spec and code, and its inputs'
digests. The registry's ledger keeps the result under that key, so a step that runs twice, in the same run or after a
crash, finds its first result. Prefect's own result cache is not used (docs/decisions/0002-step-ledger.md).
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial, wraps
from pathlib import Path
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar, get_type_hints

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.client.schemas.objects import TaskRun as PrefectTaskRun
from prefect.tasks import Task
from pydantic import BaseModel

from infra.artifacts.reference import references_in
from infra.errors import KeepfitError, RegistryUnavailable
from infra.faults import reach
from infra.registry.records import Fencing
from infra.workspace import open_workspace
from tasks.contracts.runs import RunContext

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R", bound=BaseModel)


class Policy(NamedTuple):
    """One row of the table."""

    stage: str
    retries: int
    timeout_s: float
    keyed: bool = True


HOUR = 3600.0
POLICIES: dict[str, Policy] = {
    # The source is read anew in every run: what it holds now is what counts, and its digest says whether that is new.
    "ingest": Policy("ingestion", retries=3, timeout_s=HOUR, keyed=False),
    "validate": Policy("validation", retries=2, timeout_s=HOUR),
    "split": Policy("preparation", retries=2, timeout_s=HOUR),
    "train": Policy("training", retries=1, timeout_s=24 * HOUR),
    "study": Policy("training", retries=1, timeout_s=24 * HOUR),
    "score": Policy("scoring", retries=2, timeout_s=HOUR),
    "evaluate": Policy("evaluation", retries=2, timeout_s=HOUR),
    "decide": Policy("evaluation", retries=2, timeout_s=HOUR),
    "report": Policy("release", retries=2, timeout_s=HOUR),
    # Idempotent in the registry itself: by the version's key, and by the champion's sequence number.
    "register": Policy("release", retries=3, timeout_s=HOUR, keyed=False),
    "release": Policy("release", retries=3, timeout_s=HOUR, keyed=False),
}

RETRY_DELAYS_S = [1.0, 5.0, 20.0]
SHORTEST_PATIENCE_S, LONGEST_PATIENCE_S = 10.0, 600.0
"""A finished result waits for a database that does not answer as long as it took to make, within these bounds."""

SHARED_SOURCES = ("contracts", "metrics", "models")
"""Packages whose code every stage builds on: part of each key."""


def step(function: Callable[Concatenate[RunContext, P], R]) -> Task[Concatenate[RunContext, P], R]:
    """Make a plain step function a Prefect task under its row of the table."""
    name = function.__name__
    policy = POLICIES[name]
    result_type: type[R] = get_type_hints(function)["return"]

    @wraps(function)
    def body(run: RunContext, *args: P.args, **kwargs: P.kwargs) -> R:
        started = time.perf_counter()
        reach(f"{name}.start")
        logger.info("%s started", name, extra={"step": name, "phase": "start"})
        key = step_key(name, run, (args, kwargs)) if policy.keyed else None
        found = open_workspace().registry.find_step(key) if key else None
        result = result_type.model_validate(found) if found else function(run, *args, **kwargs)
        if key and not found:
            result = result_type.model_validate(_commit(name, key, run, result, time.perf_counter() - started))
        elif not key:
            reach(f"{name}.before_commit")
        reach(f"{name}.after_commit")
        seconds = time.perf_counter() - started
        extra = {"step": name, "phase": "end", "seconds": seconds, "found": bool(found)}
        logger.info("%s done in %.1f s%s", name, seconds, ", found in the ledger" if found else "", extra=extra)
        return result

    decorate = task(
        name=name,
        retries=policy.retries,
        retry_delay_seconds=RETRY_DELAYS_S[: policy.retries],
        retry_jitter_factor=0.5,
        retry_condition_fn=is_retryable,
        timeout_seconds=policy.timeout_s,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return decorate(body)


def _commit(name: str, key: str, run: RunContext, result: BaseModel, seconds: float) -> dict[str, Any]:
    reach(f"{name}.before_commit")
    commit = partial(
        open_workspace().registry.commit_step,
        Fencing(run.run_id, run.project, run.fence),
        key=key,
        step=name,
        result=json.loads(result.model_dump_json()),  # model_dump(mode="json") leaves NaN as it is: that is no JSON
        blobs=list(references_in(result)),
        seconds=seconds,
    )
    return _insist(commit, name, min(max(seconds, SHORTEST_PATIENCE_S), LONGEST_PATIENCE_S))


def _insist(commit: Callable[[], dict[str, Any]], name: str, patience_s: float) -> dict[str, Any]:
    """Return what the ledger answers; a restart of the database must not cost the work that is waiting to be noted."""
    give_up = time.monotonic() + patience_s
    while True:
        try:
            return commit()
        except RegistryUnavailable as error:
            if time.monotonic() > give_up:
                raise
            logger.warning("%s is done and waits for the database, up to %.0f s: %s", name, patience_s, error.message)
            time.sleep(1.0)


def is_retryable(_task: object, _run: PrefectTaskRun, state: State[Any]) -> bool:
    """Return whether this failure may pass by itself: a class of error says so of itself."""
    return isinstance(state.data, KeepfitError) and state.data.retryable


VOLATILE = {"run_id", "fence", "as_of", "taken_at", "is_new", "fit_seconds", "seconds", "cpu_seconds"}
VOLATILE |= {"gpu_seconds", "peak_memory_mb", "gpu_peak_memory_mb", "worker", "pace"}
"""Fields that say when, where and how long, not what: they never make a key differ."""


def step_key(name: str, run: RunContext, inputs: object) -> str:
    """Return the SHA-256 of what the step computes: code, spec and inputs."""
    parts = [name, source_digest(POLICIES[name].stage), _plain(run), _plain(inputs)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def key_of_call(function: Task[..., Any], run: RunContext, *args: object) -> str:
    """Return the key under which the ledger keeps this call of a step."""
    return step_key(function.name, run, (args, {}))


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields if name not in VOLATILE}
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items() if key not in VOLATILE}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return value.isoformat() if isinstance(value, datetime) else value


@lru_cache(maxsize=32)
def source_digest(stage: str) -> str:
    """Return the SHA-256 over the source files of a stage, of what all stages share, and of the lock."""
    root = Path(__file__).parent
    folders = [root / stage, *(root / shared for shared in SHARED_SOURCES)]
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    lock = root.parent / "requirements.lock"
    digest = hashlib.sha256()
    for path in [*files, *([lock] if lock.exists() else [])]:
        digest.update(f"{path.relative_to(root.parent).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()

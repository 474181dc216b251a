"""Where training runs: in the run's own process, or on the pool of workers that its project asks for.

What was trained is read from the ledger and nowhere else, so that a child that ran twice, or whose end nobody saw,
is as good as one that ran once. Waiting is bounded, and a child whose parent gives up is cancelled.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.runtime import deployment as own_deployment
from prefect.states import Cancelled, Cancelling

from flows.workers import require_worker
from infra.errors import (
    DispatchFailed,
    KeepfitError,
    NoWorker,
    OrchestratorUnavailable,
    RegistryUnavailable,
    error_named,
)
from infra.registry.records import Fencing
from infra.workspace import open_workspace
from tasks.contracts.compute import Compute
from tasks.contracts.data import SplitRef
from tasks.contracts.models import FitReport
from tasks.contracts.project import ProjectSpec
from tasks.contracts.runs import RunContext
from tasks.policies import POLICIES, key_of_call
from tasks.training.steps import train

logger = logging.getLogger(__name__)

CHILDREN = 2
"""A child whose process died is followed by one more; one that failed is not: it would fail again."""
POLL_S = 2.0
SILENCE_S = 300.0
"""For so long the Prefect server may not answer while a child is waited for."""
LOOK_AT_LEASE_S = 30.0
ON_THE_CPU = "let the project train on the CPU: compute.fallback: cpu"


def train_where_asked(run: RunContext, parts: SplitRef, spec: ProjectSpec) -> FitReport:
    """Return the outcome of training: here, or for `compute.device: gpu` in a deployed run on the GPU pool.

    Where it is here and the project asks for it, workers of the CPU pool help with the trials of a search.

    A run that somebody typed (`keepfit run`) trains where it was typed: nothing says that a pool sees its store.

    Raises
    ------
    NoWorker
        Nobody serves the GPU pool, and the project does not allow the CPU instead.
    LeaseLost
        Another run of the project has taken over meanwhile.
    DispatchFailed
        The child was cancelled, or not done in time, or its process died twice.
    KeepfitError
        Whatever the child failed with.
    """
    if spec.compute.device == "gpu" and own_deployment.id:
        key = key_of_call(train, run, parts)
        if not _is_trained(key):
            _train_on_pool(run, parts, key, spec.compute)
            _require_result(run, key)
        return train(run, parts)
    with _helped_by_pool(run, parts, spec):
        return train(run, parts)


@contextmanager
def _helped_by_pool(run: RunContext, parts: SplitRef, spec: ProjectSpec) -> Iterator[None]:
    """Let free workers of the CPU pool make trials while the body trains; without them it only takes longer."""
    searched = any(candidate.search for candidate in spec.candidates.values())
    wanted = spec.tuning.workers - 1 if searched and spec.tuning.workers_on == "pool" and own_deployment.id else 0
    key = key_of_call(train, run, parts)
    if not wanted or _is_trained(key):
        yield
        return
    with get_client(sync_client=True) as client:
        children: list[FlowRun] = []
        try:
            target = _find_deployment(client, "fit/cpu", run.project)
            for place in range(1, wanted + 1):
                children.append(_start(target, run, parts, key, f"trials-{place}", trials_only=True))
        except (NoWorker, httpx.HTTPError, PrefectException) as error:
            logger.warning("the trials are made without help: %s", error)
        try:
            yield
        finally:
            for child in children:
                cancel(client, child.id, "The run that it was to help needs it no more.")


def _is_trained(key: str) -> bool:
    return open_workspace().registry.find_step(key) is not None


def _train_on_pool(run: RunContext, parts: SplitRef, key: str, compute: Compute) -> None:
    try:
        _dispatch("fit/gpu", run, parts, key)
    except NoWorker as missing:
        if compute.fallback != "cpu":
            raise
        logger.warning("%s Training on the CPU instead, as project.yaml says (compute.fallback).", missing.message)
        try:
            _dispatch("fit/cpu", run, parts, key)
        except NoWorker as neither:  # its own advice is what was just tried
            raise NoWorker(
                f"{missing.message} Nor can the CPU train instead: {neither.message}",
                remedy="Start a worker of either pool (`keepfit up`), then start the run again.",
            ) from neither


def _require_result(run: RunContext, key: str) -> None:
    if not _is_trained(key):
        raise DispatchFailed(
            f"{run.project}: the training on the pool ended well, and its result is not in this run's registry.",
            remedy="Give all workers the same KEEPFIT_DATABASE_URL and KEEPFIT_STORE_URL.",
        )


def _dispatch(name: str, run: RunContext, parts: SplitRef, key: str) -> None:
    """Let a worker train, and return when it has. Raises as `train_where_asked`."""
    with get_client(sync_client=True) as client, naming_silence():
        target = _find_deployment(client, name, run.project)
        for attempt in range(1, CHILDREN + 1):
            require_worker(client, target, run.project, ON_THE_CPU)
            child = _start(target, run, parts, key, attempt)
            try:
                state = _await(client, child, target, run)
            except (DispatchFailed, httpx.HTTPError, PrefectException):
                if _is_trained(key):  # only its end was not seen
                    return
                raise
            if state.is_completed() or _is_trained(key):
                return
            if not state.is_crashed() or attempt == CHILDREN:
                raise _explain(state, child, run.project)
            logger.warning("the training of %s crashed (%s); once more", run.project, state.message)


def _find_deployment(client: SyncPrefectClient, name: str, project: str) -> DeploymentResponse:
    try:
        return client.read_deployment_by_name(name)
    except ObjectNotFound:
        raise NoWorker(
            f"{project}: expected the deployment {name}, to train where the project asks for; there is none.",
            remedy="`keepfit deploy` makes it from prefect.yaml.",
        ) from None


def _start(
    target: DeploymentResponse, run: RunContext, parts: SplitRef, key: str, attempt: int | str, **more: bool
) -> FlowRun:
    parameters = {"run": run.model_dump(mode="json"), "parts": parts.model_dump(mode="json"), "key": key, **more}
    started = run_deployment(
        target.id,
        parameters=parameters,
        timeout=0,
        as_subflow=True,
        idempotency_key=f"{run.run_id}:{run.fence}:{target.name}:{attempt}",
        tags=["keepfit", run.project],
    )
    child = cast("FlowRun", started)  # the type also allows for a coroutine, which it is in async code alone
    logger.info("sent to %s as %s", target.work_pool_name, child.name)
    return child


def _await(client: SyncPrefectClient, child: FlowRun, target: DeploymentResponse, run: RunContext) -> State[Any]:
    """Return the child's final state; whatever ends the waiting before that, the child is cancelled."""
    try:
        return _poll(client, child, target, run)
    except BaseException as error:
        cancel(client, child.id, f"The run that waited for it gave up: {type(error).__name__}.")
        raise


def _poll(client: SyncPrefectClient, child: FlowRun, target: DeploymentResponse, run: RunContext) -> State[Any]:
    pool, limit_s = target.work_pool_name, POLICIES["train"].timeout_s
    started = answered = asked = time.monotonic()
    seen = ""
    while time.monotonic() - started < limit_s:
        if time.monotonic() - asked > LOOK_AT_LEASE_S:
            asked = time.monotonic()
            _require_lease(run)
        try:
            state = client.read_flow_run(child.id).state
            if state is not None and state.is_final():
                return state
            if state is None or state.is_scheduled() or state.is_pending():
                require_worker(
                    client, target, run.project, ON_THE_CPU
                )  # the pool says READY for about 100 s after its worker is gone
            if state is not None and state.name and state.name != seen:
                seen = state.name
                logger.info("training on %s: %s is %s", pool, child.name, seen.lower())
            answered = time.monotonic()
        except ObjectNotFound:
            raise DispatchFailed(
                f"{run.project}: the training on {pool} was deleted in Prefect before it had ended.",
                remedy="The same run again sends another one.",
            ) from None
        except (httpx.HTTPError, PrefectException):
            if time.monotonic() - answered > SILENCE_S:
                raise
        time.sleep(POLL_S)
    raise DispatchFailed(
        f"{run.project}: expected the training on {pool} to end within {limit_s / 3600:.0f} hours; it was cancelled.",
        remedy="`prefect flow-run logs` shows what it did; train on fewer rows or epochs, or on a faster worker.",
    )


def _require_lease(run: RunContext) -> None:
    """Raise LeaseLost when the project's lease has moved on: nobody would use what the child trains."""
    with suppress(RegistryUnavailable):
        open_workspace().registry.renew_lease(Fencing(run.run_id, run.project, run.fence))


def cancel(client: SyncPrefectClient, child: UUID, why: str) -> None:
    """Cancel a flow run; one that no worker has taken is cancelled at once, for the others the worker is asked to."""
    try:
        state = client.read_flow_run(child).state
        if state is not None and state.is_final():
            return
        waits = state is None or state.is_scheduled()
        client.set_flow_run_state(child, Cancelled(message=why) if waits else Cancelling(message=why), force=True)
    except (httpx.HTTPError, PrefectException) as error:
        logger.warning("flow run %s could not be cancelled: %s", child, error)


def _explain(state: State[Any], child: FlowRun, project: str) -> KeepfitError:
    remedy = f"Its log stands on the page of the flow run {child.name}."
    message = state.message or f"it ended as {state.name}"
    told = error_named(state.name or "", message, remedy=remedy)
    if told is not None:
        return told
    if state.is_crashed():
        remedy += (
            " A process that was killed (-9, 137) mostly ran out of memory: give the worker more, or train on less."
        )
    return DispatchFailed(f"{project}: the training on the pool ended as {state.name}: {message}", remedy=remedy)


@contextmanager
def naming_silence() -> Iterator[None]:
    """Say plainly that the Prefect server does not answer.

    Raises
    ------
    OrchestratorUnavailable
        In place of the client's own error.
    """
    try:
        yield
    except (httpx.HTTPError, PrefectException) as error:
        raise OrchestratorUnavailable(
            f"The Prefect server does not answer as expected: {type(error).__name__}.",
            remedy="What is done stands in the ledger: the same run again goes on from there.",
        ) from error

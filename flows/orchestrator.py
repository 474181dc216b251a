"""What the orchestrator is told of runs that could not tell it themselves: their end is known from our own ledger."""

import logging
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import PrefectException
from prefect.runtime import flow_run
from prefect.states import Crashed

from infra.registry.registry import Registry

logger = logging.getLogger(__name__)

FLOW_RUN = "prefect_flow_run"
"""The parameter of a run under which the ledger keeps the flow run's id."""


def name_flow_run() -> dict[str, str]:
    """Return the id of this flow run for the ledger; nothing outside of one."""
    return {FLOW_RUN: flow_run.id} if flow_run.id else {}


def mark_crashed(registry: Registry, dead: str, finder: str) -> None:
    """Let the flow run of a dead run end as Crashed where Prefect still shows it as running.

    Prefect's view decides nothing here: where it cannot be told, that is logged and the run goes on.
    """
    known = registry.run(dead).parameters.get(FLOW_RUN)
    if not isinstance(known, str) or not flow_run.id:
        return
    state: State[Any] = Crashed(message=f"The process died without a word; found by run {finder}.")
    try:
        with get_client(sync_client=True) as client:
            seen = client.read_flow_run(UUID(known)).state
            if seen is None or not seen.is_final():
                client.set_flow_run_state(UUID(known), state, force=True)
    except (PrefectException, httpx.HTTPError) as error:
        logger.info("the flow run %s could not be marked as crashed: %s", known, error)

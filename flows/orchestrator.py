"""The Prefect server as keepfit reaches it, and what it is told of runs that could not tell it themselves."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import PrefectException, PrefectHTTPStatusError
from prefect.runtime import flow_run
from prefect.states import Crashed

from infra.errors import OrchestratorUnavailable, UsageError
from infra.registry.registry import Registry

logger = logging.getLogger(__name__)

FLOW_RUN = "prefect_flow_run"
"""The parameter of a run under which the ledger keeps the flow run's id."""


@contextmanager
def reach_orchestrator() -> Iterator[SyncPrefectClient]:
    """Hold a client of the server that PREFECT_API_URL names; whatever goes wrong there is said in keepfit's words.

    Raises
    ------
    UsageError
        No server is named, or it wants another PREFECT_API_AUTH_STRING, which is never shown.
    OrchestratorUnavailable
        Nothing answers, or not in time, or not as a Prefect server does.
    """
    if not _is_address(given := os.environ.get("PREFECT_API_URL", "")):
        raise UsageError(
            "PREFECT_API_URL: expected the address of a Prefect server, such as http://127.0.0.1:4200/api; "
            f"{'it is another kind of text' if given else 'it is not set'}.",
            remedy="`keepfit up` starts one on this machine.",
        )
    try:
        with get_client(sync_client=True) as client:
            yield client
    except PrefectHTTPStatusError as error:
        raise explain_refusal(error) from error
    except (httpx.HTTPError, PrefectException) as error:
        raise OrchestratorUnavailable(
            f"PREFECT_API_URL: expected a Prefect server at {name_server()}; {type(error).__name__}.",
            remedy="Start it (`keepfit up`, or `prefect server start`), or correct PREFECT_API_URL.",
        ) from error


def _is_address(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:  # a port that is none, brackets that do not close
        return False


def name_server() -> str:
    """Return where PREFECT_API_URL points, without what a URL may hold of secrets."""
    url = urlsplit(os.environ["PREFECT_API_URL"])
    port = f":{url.port}" if url.port else ""
    return f"{url.scheme}://{url.hostname}{port}{url.path}"


def explain_refusal(error: PrefectHTTPStatusError) -> UsageError | OrchestratorUnavailable:
    """Return the error that says what to do about an answer of the server that is none of the expected ones."""
    status = error.response.status_code
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        given = "another one" if os.environ.get("PREFECT_API_AUTH_STRING") else "none"
        return UsageError(
            f"PREFECT_API_AUTH_STRING: the Prefect server at {name_server()} asks for one (code {status}), received {given}.",
            remedy="Set it to user:password as whoever runs that server gave them to you.",
        )
    path = error.request.url.path
    return OrchestratorUnavailable(
        f"The Prefect server at {name_server()} answered {error.request.method} {path} with code {status}: "
        f"{error.response.text[:300]}",
        remedy="Its log says more. Was it started with another version of Prefect than 3.8?",
    )


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

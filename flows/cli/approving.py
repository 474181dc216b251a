"""`keepfit approve`: a person's yes or no to a version that waits, in the run that asks for it, or right here."""

import json
import os
import time
from typing import Any
from uuid import UUID

from flows.cli.deployments import prepare
from flows.cli.render import console
from infra.actor import actor_name
from infra.errors import Conflict, KeepfitError, UsageError, error_named
from tasks.release.approval import approve_proposal, find_proposal, refuse_proposal
from tasks.release.moves import require_words
from tasks.release.stored import LABEL

FLOW = "approve"
PATIENCE_S = 60.0
"""For so long the command waits for a worker to carry out what was decided."""


def decide(run: str, why: str, *, refuse: bool, as_json: bool) -> None:
    """Release or refuse what waits, and print what came of it.

    Parameters
    ----------
    run
        A version (iris@7), or the name or id of the run that asks for it.

    Raises
    ------
    UsageError
        Nothing of this name waits, or the reason is empty.
    Conflict
        The champion has moved since the version was judged, or somebody else answered in the same moment.
    KeepfitError
        Whatever the run that asks failed with; or the Prefect server that PREFECT_API_URL names does not answer.
    """
    reason = require_words(why, "--why")
    form = {"decision": "refuse" if refuse else "approve", "why": reason, "by": actor_name()}
    if os.environ.get("PREFECT_API_URL"):
        prepare()
        answer = _answer_run(run, form)
        if answer is not None:
            _print(answer, as_json=as_json)
            return
    if not LABEL.fullmatch(run):
        raise UsageError(
            f"No suspended run called {run!r} asks for an approval.",
            remedy="Name the version instead, such as iris@7; `keepfit projects` shows what waits.",
        )
    settle = refuse_proposal if refuse else approve_proposal
    _print(settle(find_proposal(run), reason, form["by"]).message, as_json=as_json)


def _answer_run(run: str, form: dict[str, str]) -> str | None:
    """Give the form to the run that asks, and return how it ended; None where no run does, or not any more."""
    from flows.orchestrator import reach_orchestrator

    with reach_orchestrator() as client:
        found = find_run(client, run)
        if found is None or not _resume(client, found, form):
            return None
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            state = client.read_flow_run(found).state
            if state is not None and state.is_final():
                return _read_end(state)
            time.sleep(0.5)
    return f"Told the run that asks for {run}; a worker of its pool carries it out as soon as one is free."


def _resume(client: Any, asking: UUID, form: dict[str, str]) -> bool:
    """Return whether the run goes on with this answer; False where it waited for too long and has failed."""
    from prefect.client.schemas.responses import SetStateStatus

    answer = client.resume_flow_run(asking, run_input=form)
    if answer.status == SetStateStatus.ACCEPT:
        return True
    if answer.state is not None and answer.state.is_failed():
        return False
    raise Conflict(
        f"The run that asks took no answer: {answer.details.reason}",
        remedy="Somebody else may have answered it; `keepfit history PROJECT` shows what came of it.",
    )


def find_run(client: Any, run: str) -> UUID | None:
    """Return the newest suspended run of this name, id or version."""
    from prefect.client.schemas.filters import (
        FlowFilter,
        FlowFilterName,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort

    suspended = FlowRunFilterStateType(any_=[StateType.PAUSED])
    asking = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[FLOW])),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=suspended)),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
    )
    for one in asking:
        if run in (one.name, str(one.id), one.parameters.get("version")):
            return UUID(str(one.id))
    return None


def _read_end(state: Any) -> str:
    if state.is_completed():
        return str(state.message)
    if state.name == "Superseded":
        raise Conflict(str(state.message))
    raise error_named(state.name, str(state.message)) or KeepfitError(f"{state.name}: {state.message}")


def _print(message: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"outcome": message}))
        return
    console.print(message, soft_wrap=True)

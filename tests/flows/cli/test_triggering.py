"""`keepfit trigger --wait`: how the end of a run elsewhere becomes the end of the command here."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import anyio
import pytest
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelled, Completed, Crashed, exception_to_failed_state

from flows.cli.triggering import Started, explain_end, find_run, say_briefly, tell_end
from flows.orchestrator import FLOW_RUN
from infra.errors import ContractBroken, KeepfitError, LeaseHeld, UsageError
from infra.registry.registry import Registry
from infra.settings import load_settings
from infra.workspace import open_workspace
from tests.infra.registry.builders import begin, promote, register

STARTED = Started(str(uuid4()), "iris: operator", "http://127.0.0.1:4200/runs/flow-run/1")


def ended(state: State) -> FlowRun:
    return FlowRun(flow_id=uuid4(), state=state, state_type=state.type, state_name=state.name)


def failed(error: Exception) -> FlowRun:
    """As Prefect's engine ends a flow that raised."""

    async def end() -> State:
        return await exception_to_failed_state(error, message="Flow run encountered an exception:")

    return ended(anyio.run(end))


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setenv("KEEPFIT_HOME", str(tmp_path))
    for cached in (load_settings, open_workspace):
        cached.cache_clear()
    yield open_workspace().registry
    open_workspace().registry.close()
    for cached in (load_settings, open_workspace):
        cached.cache_clear()


def test_an_error_of_the_run_is_raised_here_with_its_own_class_and_where_to_look() -> None:
    raised = explain_end("iris", STARTED, failed(ContractBroken("40 rows are broken.", remedy="Look.")), None)
    assert type(raised) is ContractBroken
    assert raised.exit_code == 3
    assert "40 rows are broken." in raised.message
    assert STARTED.url in raised.remedy


@pytest.mark.parametrize(
    ("flow_run", "kind", "said"),
    [
        (
            failed(ValueError("out of the blue")),
            KeepfitError,
            "iris: the run ended as Failed: ValueError: out of the blue",
        ),
        (ended(Crashed(message="No heartbeat.")), KeepfitError, "iris: the run ended as Crashed: No heartbeat."),
        (
            ended(Cancelled(message="Deployment concurrency limit reached.")),
            LeaseHeld,
            "iris: another retraining is in flight, so this one was not started.",
        ),
    ],
    ids=["not ours", "crashed", "not alone"],
)
def test_any_other_end_is_named(flow_run: FlowRun, kind: type[KeepfitError], said: str) -> None:
    raised = explain_end("iris", STARTED, flow_run, None)
    assert type(raised) is kind
    assert raised.message == said


def test_what_the_ledger_says_of_the_error_comes_before_what_prefect_says(registry: Registry) -> None:
    grant = begin(registry, parameters={FLOW_RUN: STARTED.flow_run_id})
    registry.finish_run(grant, state="failed", outcome={}, error="the whole story")
    run = find_run("iris", STARTED)
    assert run is not None
    assert explain_end("iris", STARTED, failed(ContractBroken("cut")), run).message == "the whole story"


def test_a_run_that_registered_nothing_is_told_in_a_sentence(registry: Registry) -> None:
    grant = begin(registry, parameters={FLOW_RUN: STARTED.flow_run_id})
    registry.finish_run(grant, state="completed", outcome={"status": "dry_run", "decision": "PROMOTE", "version": None})
    dry = find_run("iris", STARTED)
    assert dry is not None
    assert say_briefly(dry, "PROMOTE").endswith(
        "the gate says PROMOTE. Nothing was registered or released; there is no champion yet."
    )
    register(registry, begin(registry))
    promote(registry, 1, 0)
    unchanged = dry.model_copy(update={"outcome": {"status": "unchanged"}})
    assert say_briefly(unchanged, "HOLD") == "Nothing new: the same model as before; iris@1 stays champion."


def test_a_run_that_completed_in_another_registry_is_no_failed_run(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"the run completed, in another registry .*has no such run") as told:
        tell_end("iris", STARTED, ended(Completed()), strict=False, as_json=False)
    assert "KEEPFIT_DATABASE_URL" in told.value.remedy

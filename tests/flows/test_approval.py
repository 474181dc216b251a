"""A release that waits for a person: the run that asks, its form, and what becomes of the answer."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.objects import FlowRun, State
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Failed

from flows import approval
from flows.approval import DEPLOYMENT, approve, ask_for_approval
from flows.cli import approving
from infra.errors import Conflict, OrchestratorUnavailable, UsageError
from infra.registry.registry import open_registry
from infra.workspace import open_workspace
from tasks.contracts.release import Proposal
from tasks.release.moves import promote_by_hand
from tests.flows.conftest import Place
from tests.flows.desk import Desk, open_desk
from tests.flows.tables import write_rows
from tests.tasks.release.waiting import PROJECT, make_version, make_waiting, own_workspace

pytestmark = pytest.mark.engine

YES = {"decision": "approve", "why": "It is right", "by": "ann"}
NO = {"decision": "refuse", "why": "Not now", "by": "ann"}


@pytest.fixture
def desk(prefect_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("PREFECT_API_URL", prefect_url)
    with own_workspace(tmp_path / "home", monkeypatch), open_desk(prefect_url) as desk:
        deployed = desk.deploy(approve, DEPLOYMENT.partition("/")[2])
        yield desk
        desk.withdraw(deployed)


def ask(desk: Desk, proposal: Proposal) -> FlowRun:
    """Start the run that asks, as the retraining flow does, and bring it to its form."""
    ask_for_approval(PROJECT)
    (run,) = find(desk, proposal)
    state = desk.run(approve, run)
    assert (state.type.value, state.name) == ("PAUSED", "Suspended")
    return desk.client.read_flow_run(run.id)


def find(desk: Desk, proposal: Proposal) -> list[FlowRun]:
    runs = desk.client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=["approve"])))
    return [run for run in runs if run.parameters == {"version": proposal.label, "run_id": proposal.run_id}]


def answer(desk: Desk, run: FlowRun, form: dict[str, str]) -> State[Any]:
    desk.client.resume_flow_run(run.id, run_input=form)
    return desk.run(approve, run)


def read_input(desk: Desk, run: FlowRun, part: str) -> Any:
    return json.loads(desk.client.read_flow_run_input(run.id, f"suspended-decision-{part}"))


def test_approved_in_the_form_the_version_becomes_champion_and_the_history_says_who(desk: Desk) -> None:
    proposal = make_waiting("a")
    run = ask(desk, proposal)
    evidence = desk.artifacts(run)
    assert {"Verdict", "Report"} <= set(evidence)
    state = answer(desk, run, YES)
    assert (state.type.value, state.name) == ("COMPLETED", "Approved")
    assert "approved by ann" in str(state.message)
    (row,) = open_workspace().registry.history(PROJECT)
    assert (row.version, row.actor, row.why) == (1, "ann", "It is right")
    shown = desk.artifacts(run)["demo-history"].data
    (told,) = json.loads(str(shown))
    assert (told["who"], told["what"], told["why"]) == ("ann", "promote demo@1", "It is right")


def test_the_form_shows_the_evidence_and_explains_each_field(desk: Desk) -> None:
    run = ask(desk, make_waiting("a"))
    text = read_input(desk, run, "description")
    for word in ("May demo@1 go?", "May go: better.", "accuracy", "0.9000", "7 days"):
        assert word in text
    schema = read_input(desk, run, "schema")
    assert schema["required"] == ["decision", "why", "by"]
    assert all(field["description"] for field in schema["properties"].values())


def test_the_form_refuses_what_is_no_answer(desk: Desk) -> None:
    run = ask(desk, make_waiting("a"))
    wrong = {
        "why": {**YES, "why": "  "},
        "by": {**YES, "by": ""},
        "decision": {**YES, "decision": "perhaps"},
        "required": {"decision": "approve"},
        "more": {**YES, "more": "x"},
    }
    for said, form in wrong.items():
        refused = desk.client.resume_flow_run(run.id, run_input=form)
        assert refused.status.value == "REJECT", said
        assert said in str(refused.details)
    assert desk.client.read_flow_run(run.id).state_name == "Suspended"
    assert open_workspace().registry.champion(PROJECT).version is None


def test_refused_in_the_form_nothing_moves_and_the_run_says_so(desk: Desk) -> None:
    run = ask(desk, make_waiting("a"))
    state = answer(desk, run, NO)
    assert (state.type.value, state.name) == ("COMPLETED", "Refused")
    assert open_workspace().registry.champion(PROJECT).version is None
    (told,) = json.loads(str(desk.artifacts(run)["demo-history"].data))
    assert (told["who"], told["what"], told["why"]) == ("ann", "refuse demo@1", "Not now")


def test_a_champion_that_moved_while_the_form_waited_makes_it_void(desk: Desk) -> None:
    make_version("a", approval="none")
    run = ask(desk, make_waiting("b"))
    promote_by_hand("demo@1", "in a hurry", "bob")
    state = answer(desk, run, YES)
    assert (state.type.value, state.name) == ("FAILED", "Superseded")
    assert "the champion is demo@1" in str(state.message)
    assert open_workspace().registry.champion(PROJECT).version == 1


def test_a_run_that_died_after_the_release_ends_as_approved_when_it_runs_again(desk: Desk) -> None:
    proposal = make_waiting("a")
    run = ask(desk, proposal)
    desk.client.resume_flow_run(run.id, run_input=YES)
    promote_by_hand("demo@1", "It is right", "ann")  # what the dead process had done
    assert desk.run(approve, run).name == "Approved"
    assert len(open_workspace().registry.history(PROJECT)) == 1


def test_whoever_waits_is_asked_about_once(desk: Desk) -> None:
    proposal = make_waiting("a")
    for _ in range(3):
        ask_for_approval(PROJECT)
    assert len(find(desk, proposal)) == 1


def test_a_form_that_nobody_answered_in_time_can_be_answered_no_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "PATIENCE", timedelta(0))
    run = ask(desk, make_waiting("a"))
    late = desk.client.resume_flow_run(run.id, run_input=YES)
    assert late.status.value == "REJECT"
    state = desk.client.read_flow_run(run.id).state
    assert state is not None
    assert state.is_failed()
    assert "never resumed" in str(state.message)
    assert open_workspace().registry.champion(PROJECT).version is None


def test_who_waits_on_after_a_form_that_ran_out_is_asked_about_once_more(desk: Desk) -> None:
    proposal = make_waiting("a")
    for runs in (1, 2, 3):
        for _ in range(2):
            ask_for_approval(PROJECT)
        found = find(desk, proposal)
        assert len(found) == runs
        (last,) = [run for run in found if run.state_name == "Scheduled"]
        desk.client.set_flow_run_state(last.id, Failed(message="never resumed"), force=True)


def test_the_command_decides_itself_where_the_form_ran_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(approval, "PATIENCE", timedelta(0))
    proposal = make_waiting("a")
    ask(desk, proposal)
    approving.decide(proposal.label, "It is right", refuse=False, as_json=False)
    assert "demo@1 is the champion" in capsys.readouterr().out


def test_the_command_ends_with_the_error_of_the_run_that_asks(desk: Desk) -> None:
    make_version("a", approval="none")
    run = ask(desk, make_waiting("b"))
    promote_by_hand("demo@1", "in a hurry", "bob")
    with worker_for(desk, run), pytest.raises(Conflict, match="the champion is demo@1"):
        approving.decide(run.name, "It is right", refuse=False, as_json=False)


def test_something_that_does_not_wait_fails_with_one_sentence(desk: Desk) -> None:
    make_version("a", approval="none")
    state = desk.run(approve, desk.submit(DEPLOYMENT, version="demo@1", run_id=""))
    assert (state.type.value, state.name) == ("FAILED", "UsageError")
    assert "demo@1 does not wait for approval" in str(state.message)


def test_the_command_answers_the_run_that_asks(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    proposal = make_waiting("a")
    run = ask(desk, proposal)
    for word in (proposal.label, run.name, str(run.id)):
        assert approving.find_run(desk.client, word) == run.id
    with worker_for(desk, run):
        approving.decide(proposal.label, "It is right", refuse=False, as_json=False)
    assert "demo@1 is the champion" in capsys.readouterr().out
    (row,) = open_workspace().registry.history(PROJECT)
    assert (row.actor, row.why) == ("tester", "It is right")
    assert desk.client.read_flow_run(run.id).state_name == "Approved"


@contextmanager
def worker_for(desk: Desk, run: FlowRun) -> Iterator[None]:
    """Let somebody wait beside the test until the run is resumed, and then run it."""

    def wait_and_run() -> None:
        deadline = time.monotonic() + 20
        while desk.client.read_flow_run(run.id).state_name == "Suspended" and time.monotonic() < deadline:
            time.sleep(0.05)
        desk.run(approve, run)

    worker = threading.Thread(target=copy_context().run, args=(wait_and_run,))
    worker.start()
    yield
    worker.join(timeout=30)
    assert not worker.is_alive()


@pytest.mark.parametrize("server", ["with a server", "without one"])
def test_the_command_decides_itself_where_no_run_asks(
    desk: Desk, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if server == "without one":
        monkeypatch.delenv("PREFECT_API_URL")
    make_waiting("a")
    approving.decide("demo@1", "Not now", refuse=True, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"outcome": "demo@1 is refused by tester: Not now"}
    with pytest.raises(UsageError, match="was refused by tester"):
        approving.decide("demo@1", "After all", refuse=False, as_json=False)


def test_a_server_that_does_not_answer_is_named_and_nothing_is_decided(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_waiting("a")
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}),
        pytest.raises(OrchestratorUnavailable, match="expected a Prefect server at"),
    ):
        approving.decide("demo@1", "It is right", refuse=False, as_json=False)
    assert open_workspace().registry.champion(PROJECT).version is None


def test_a_run_of_this_name_that_asks_nothing_is_refused_with_the_way_out(desk: Desk) -> None:
    with pytest.raises(UsageError, match=r"No suspended run called 'iris: operator'") as caught:
        approving.decide("iris: operator", "It is right", refuse=False, as_json=False)
    assert "iris@7" in caught.value.remedy


def test_a_project_that_asks_a_person_releases_nothing_by_itself(place: Place, table: Path) -> None:
    spec = table / "project.yaml"
    spec.write_text(spec.read_text() + "release: {approval: operator}\n")
    for _ in range(2):
        outcome = place.answer("run", "table")
        assert (outcome["status"], outcome["version"], outcome["champion"]) == ("waiting", "table@1", None)
        assert outcome["verdict"]["summary"].startswith("May go: better")
    code, said = place.keepfit("approve", "table@1", "--refuse", "--why", "Not this one")
    assert code == 0, said
    again = place.answer("run", "table")
    assert (again["status"], again["version"]) == ("held", "table@1")
    assert again["verdict"]["summary"] == "It passes, but it is a model that somebody refused to release."
    write_rows(table, sharpness=2.0, seed=1)
    assert place.answer("run", "table")["status"] == "waiting"
    code, said = place.keepfit("approve", "table@2", "--why", "The newer one")
    assert code == 0, said
    with open_registry(place.database) as registry:
        (row,) = registry.history("table")
        assert (row.version, row.actor, row.why) == (2, "tester", "The newer one")
        judged = [use for use in registry.audit("table", limit=500) if use.action == "test.use"]
        assert len(judged) == 2, "a version that waits is not judged again and again"

"""Promote and roll back from a form: the same moves as the commands make."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.operating import promote, rollback
from infra.workspace import open_workspace
from tests.flows.desk import Desk, open_desk
from tests.tasks.release.waiting import PROJECT, make_version, own_workspace

pytestmark = pytest.mark.engine


@pytest.fixture
def desk(prefect_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with own_workspace(tmp_path / "home", monkeypatch), open_desk(prefect_url) as desk:
        yield desk


def test_who_did_what_and_why_stands_in_the_history_and_on_the_page(desk: Desk) -> None:
    for letter in ("a", "b"):
        make_version(letter, approval="none")
    promoting, rolling_back = desk.deploy(promote, "by-hand"), desk.deploy(rollback, "by-hand")
    for label in ("demo@1", "demo@2"):
        run = desk.submit(promoting, version=label, why=" it is better ", by="ann")
        assert desk.run(promote, run).name == "Completed"
    # A form offers the projects that are there; `demo` is a registry's alone.
    run = desk.client.create_flow_run(rollback, parameters={"project": PROJECT, "why": "it is not", "by": "bob"})
    state = desk.run(rollback, run)
    assert str(state.message) == "demo@1 is the champion (release 3, rollback); before: demo@2."
    registry = open_workspace().registry
    moves = [(row.kind, row.version, row.actor, row.why) for row in registry.history(PROJECT)]
    assert moves == [
        ("promote", 1, "ann", "it is better"),
        ("promote", 2, "ann", "it is better"),
        ("rollback", 1, "bob", "it is not"),
    ]
    assert [row.actor for row in registry.audit(PROJECT) if row.action == "release.rollback"] == ["bob"]
    told = json.loads(str(desk.artifacts(run)["demo-history"].data))
    assert [(row["who"], row["what"]) for row in told] == [
        ("bob", "rollback demo@1"),
        ("ann", "promote demo@2"),
        ("ann", "promote demo@1"),
    ]
    assert rolling_back == "rollback/by-hand"


@pytest.mark.parametrize(
    ("flow", "filled", "said"),
    [
        (promote, {"version": "demo@9"}, "demo@9 is not registered"),
        (promote, {"version": "demo@1"}, "demo@1 is the champion already"),
        (rollback, {"project": PROJECT}, "there is no earlier champion"),
        (rollback, {"project": "unknown"}, "there is no earlier champion"),
    ],
    ids=["unknown version", "the champion", "nothing before", "unknown project"],
)
def test_what_cannot_be_done_ends_with_one_sentence_and_moves_nothing(desk: Desk, flow, filled, said) -> None:
    make_version("a", approval="none")
    registry = open_workspace().registry
    registry.release(
        project=PROJECT, number=1, expected_seq=0, kind="promote", why="first", actor="x", fencing=None, evidence={}
    )
    run = desk.client.create_flow_run(flow, parameters={**filled, "why": "I think so", "by": "ann"})
    state = desk.run(flow, run)
    assert (state.type.value, state.name) == ("FAILED", "UsageError")
    assert said in str(state.message)
    assert "Traceback" not in str(state.message)
    assert len(registry.history(PROJECT)) == 1

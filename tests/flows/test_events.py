"""What the event feed shows of a project: each move once, whoever tells it and however often."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect import flow
from prefect.events.filters import EventFilter, EventOccurredFilter, EventResourceFilter
from prefect.events.schemas.events import ReceivedEvent

from flows.brakes import LOOP
from flows.events import find_news, tell_news
from flows.operating import promote
from infra.workspace import open_workspace
from tasks.release.approval import refuse_proposal
from tasks.release.moves import promote_by_hand, roll_back
from tests.flows.desk import Desk, open_desk
from tests.tasks.release.waiting import PROJECT, make_version, make_waiting, own_workspace

RECEIVED_WITHIN_S = 30
SINCE = datetime.now(UTC) - timedelta(minutes=1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with own_workspace(tmp_path / "home", monkeypatch):
        yield


@pytest.fixture
def desk(prefect_url: str, home: None) -> Iterator[Desk]:
    with open_desk(prefect_url) as desk:
        yield desk


@flow(name="telling", persist_result=False)
def tell() -> None:
    """What the sweeper does, and nothing else."""
    tell_news()


def read_feed(desk: Desk, count: int) -> list[ReceivedEvent]:
    """Return what this test's registry made the feed show, the first one first, as soon as there is so much."""
    mine = {one.id for one in find_news(PROJECT)}
    wanted = EventFilter(
        resource=EventResourceFilter(id=[f"keepfit.project.{PROJECT}"]), occurred=EventOccurredFilter(since=SINCE)
    )
    give_up = time.monotonic() + RECEIVED_WITHIN_S
    while True:
        seen = [event for event in desk.client.read_events(wanted, limit=50).events if event.id in mine]
        if len(seen) >= count:
            return sorted(seen, key=lambda event: event.occurred)
        assert time.monotonic() < give_up, seen
        time.sleep(0.2)


@pytest.mark.engine
def test_what_was_moved_without_a_server_is_told_once_by_the_next_sweeps(desk: Desk) -> None:
    refuse_proposal(make_waiting("c"), "too few rows", "eve")
    for letter in "ab":
        row, _ = make_version(letter, approval="none")
        promote_by_hand(row.label, "it is better", "ann")
    roll_back(PROJECT, "it is not", "bob")
    registry = open_workspace().registry
    registry.move_breaker(PROJECT, "open", why="three in vain", actor=LOOP, evidence={}, expected_seq=0)
    for _ in range(3):
        desk.run(tell, desk.client.create_flow_run(tell))
    told = [(event.event, event.resource.name, event.payload["actor"]) for event in read_feed(desk, 5)]
    assert told == [
        ("keepfit.release.refused", "demo@1 is refused", "eve"),
        ("keepfit.release.promoted", "demo@2 is the champion", "ann"),
        ("keepfit.release.promoted", "demo@3 is the champion", "ann"),
        ("keepfit.release.rolled-back", "demo@3 is rolled back, demo@2 is the champion again", "bob"),
        ("keepfit.breaker.opened", "demo: the breaker is open", LOOP),
    ]


@pytest.mark.engine
def test_a_form_s_move_is_told_with_its_reason_and_its_run(desk: Desk) -> None:
    row, _ = make_version("a", approval="none")
    run = desk.client.create_flow_run(promote, parameters={"version": row.label, "why": "it is better", "by": "ann"})
    assert desk.run(promote, run).is_completed()
    [event] = read_feed(desk, 1)
    assert (event.payload["version"], event.payload["why"], event.payload["actor"]) == ("demo@1", "it is better", "ann")
    assert f"prefect.flow-run.{run.id}" in {related.id for related in event.related}


def test_the_loop_s_own_rollback_is_told_as_such(home: None) -> None:
    for letter in "ab":
        promote_by_hand(make_version(letter, approval="none")[0].label, "it is better", "ann")
    roll_back(PROJECT, "worse in use", LOOP)
    [news] = [one for one in find_news(PROJECT) if one.event == "keepfit.release.taken-back"]
    assert news.name == "demo@2 is taken back, demo@1 is the champion again"


def test_two_registries_never_share_an_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for name in ("one", "other"):
        with own_workspace(tmp_path / name, monkeypatch):
            promote_by_hand(make_version("a", approval="none")[0].label, "it is better", "ann")
            ids += [one.id for one in find_news(PROJECT)]
    assert len(set(ids)) == 2


def test_without_a_run_nobody_is_told_and_no_server_is_asked(home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")  # nobody listens there
    promote_by_hand(make_version("a", approval="none")[0].label, "it is better", "ann")
    tell_news(PROJECT)

"""The loop on the real stack: a schedule watches March, and without another command a new champion serves."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect.events.filters import EventFilter, EventOccurredFilter, EventResourceFilter
from prefect.events.schemas.events import ReceivedEvent

from tests.servers.loop import WINDOW, Loop, orchestrator
from tests.servers.stack import Stack

pytestmark = [
    pytest.mark.servers,
    pytest.mark.engine,
    pytest.mark.end_to_end,
    pytest.mark.slow,
    pytest.mark.xdist_group("stack"),
]

CHAIN = ("keepfit.window.retrain", "keepfit.retraining.wanted", "keepfit.release.promoted")


@pytest.fixture(scope="module")
def releases(stack: Stack, loop: Loop) -> list[dict[str, Any]]:
    told = stack.keepfit("history", "flights", "--json").stdout
    return list(json.loads(told[told.index("[") :]))


@pytest.fixture(scope="module")
def feed(stack: Stack, loop: Loop) -> list[ReceivedEvent]:
    """What the event feed shows of the project, the first one first."""
    mine = EventResourceFilter(id=["keepfit.project.flights"])
    ever = EventOccurredFilter(since=datetime.now(UTC) - timedelta(days=1))
    with orchestrator(stack) as client:
        events = client.read_events(EventFilter(resource=mine, occurred=ever), limit=50).events
    return sorted(events, key=lambda event: event.occurred)


def about(event: ReceivedEvent) -> set[str]:
    return {related.id for related in event.related}


def test_without_another_command_a_new_champion_serves(stack, loop, releases):
    champions = {each["project"]: each["champion"] for each in json.loads(stack.keepfit("projects", "--json").stdout)}
    assert champions["flights"] == "flights@2"
    assert [(row["version"], row["actor"], row["evidence"]["decision"]) for row in releases] == [
        (1, "gate", "PROMOTE"),
        (2, "gate", "PROMOTE"),
    ]


def test_the_history_names_window_trigger_run_and_gate(stack, loop, releases):
    asked = releases[-1]["run"]
    assert (asked["trigger"], asked["window"]) == ("drift", WINDOW)
    assert asked["parameters"]["prefect_flow_run"] == str(loop.retrained[0].id)
    shown = json.loads(stack.keepfit("show", "flights@2", "--json").stdout)
    [gate] = [check for check in shown["verdict"]["checks"] if check["kind"] == "primary"]
    assert gate["status"] == "pass"
    assert gate["candidate"] > gate["champion"]
    said = " ".join(stack.keepfit("history", "flights", COLUMNS="200").stdout.split())
    assert f"drift {WINDOW}, run {asked['run_id'][:8]}" in said
    assert f"{gate['candidate']:.4f}" in said
    assert re.search(rf"{WINDOW} RETRAIN alarm flights@1", said)


def test_the_feed_shows_the_chain_from_the_window_to_the_release(loop, feed):
    later = [event for event in feed if event.resource.name != "flights@1 is the champion"]
    first = [next(event for event in later if event.event == name) for name in CHAIN]
    assert [event.occurred for event in first] == sorted(event.occurred for event in first)
    window, wanted, release = first
    watching = {f"prefect.flow-run.{run.id}" for run in loop.watched}
    assert watching & about(window)
    assert watching & about(wanted)
    assert f"prefect.flow-run.{loop.retrained[0].id}" in about(release)
    assert wanted.payload["trigger"] == loop.retrained[0].parameters["trigger"]
    assert release.payload["version"] == "flights@2"


def test_a_schedule_that_fires_twice_makes_one_retraining(loop, feed):
    messages = {str(run.state.message) for run in loop.watched}
    assert len(loop.watched) == 2
    assert len(messages) == 1, "what was said of the window stands"
    assert messages.pop().startswith(f"RETRAIN: flights/{WINDOW}")
    assert [event.event for event in feed].count("keepfit.window.retrain") == 1
    assert [event.event for event in feed].count("keepfit.retraining.wanted") == 2
    first, second = loop.retrained
    assert first.state.name == "Completed"
    assert second.state.name in {"Answered", "Cancelled"}

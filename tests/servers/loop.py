"""The loop closed once on the real stack: a month of flights watched by a schedule, and what follows without a command.

Both who asks Prefect's API and who looks at the UI need it; like the stack it is made once.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleUpdate, DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import RRuleSchedule
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from tests.servers.stack import Stack

__all__ = ["loop"]

WINDOW = "2013-03"
FIRES, FIRST_S, APART_S = 2, 8, 25
WITHIN_S = 400
NEWS = "flights@2 is the champion"
KEPT_WITHIN_S = 60


@dataclass(frozen=True)
class Loop:
    """All flow runs of the loop, the first one first."""

    first: dict[str, Any]
    """What the operator's own retraining came to."""
    watched: list[FlowRun]
    retrained: list[FlowRun]
    """Those that an automation started."""


@contextmanager
def orchestrator(stack: Stack) -> Iterator[SyncPrefectClient]:
    """A client of the stack's Prefect server."""
    given = stack.state.environment()
    settings = {PREFECT_API_URL: given["PREFECT_API_URL"], PREFECT_API_AUTH_STRING: given["PREFECT_API_AUTH_STRING"]}
    with temporary_settings(settings), get_client(sync_client=True) as client:
        yield client


@pytest.fixture(scope="session")
def loop(stack: Stack) -> Loop:
    """Flights is trained on January and February, then March is watched by a schedule that fires twice; wait for the end."""
    trained = stack.keepfit("trigger", "flights", "--as-of", "2013-03-01", "--wait", "--json")
    assert trained.returncode == 0, trained.stdout + trained.stderr
    with orchestrator(stack) as client:
        schedule(client)
        watched = wait_for_runs(client, "monitor/flights", FIRES)
        retrained = [run for run in wait_for_runs(client, "retrain/flights", FIRES + 1) if by_alarm(run)]
        wait_for_release(client)
    return Loop(json.loads(trained.stdout[trained.stdout.index("{") :]), watched, retrained)


def schedule(client: SyncPrefectClient) -> None:
    """Give monitor/flights a schedule that fires FIRES times, the first time in FIRST_S seconds."""
    begin = datetime.now(UTC) + timedelta(seconds=FIRST_S)
    rule = f"DTSTART:{begin:%Y%m%dT%H%M%S}\nRRULE:FREQ=SECONDLY;INTERVAL={APART_S};COUNT={FIRES}"
    fires = DeploymentScheduleUpdate(
        schedule=RRuleSchedule(rrule=rule, timezone="UTC"),
        active=True,
        parameters={"window": WINDOW, "as_of": "2013-04-01T00:00:00Z"},
    )
    deployment = client.read_deployment_by_name("monitor/flights")
    client.update_deployment(deployment.id, DeploymentUpdate(schedules=[fires]))


def wait_for_release(client: SyncPrefectClient) -> None:
    """Wait until the feed shows the release: the server keeps events some seconds after it took them."""
    releases = EventNameFilter(name=["keepfit.release.promoted"])
    give_up = time.monotonic() + KEPT_WITHIN_S
    while True:
        feed = client.read_events(EventFilter(event=releases), limit=50)  # a filter looks back from when it is made
        if NEWS in {event.resource.name for event in feed.events}:
            return
        assert time.monotonic() < give_up, NEWS
        time.sleep(1)


def by_alarm(run: FlowRun) -> bool:
    return run.parameters["trigger"]["kind"] in {"drift", "performance"}


def wait_for_runs(client: SyncPrefectClient, deployment: str, count: int) -> list[FlowRun]:
    """Return the runs of a deployment, the first one first, as soon as so many have ended."""
    mine = DeploymentFilter(id=DeploymentFilterId(any_=[client.read_deployment_by_name(deployment).id]))
    give_up = time.monotonic() + WITHIN_S
    while True:
        runs = client.read_flow_runs(deployment_filter=mine)
        ended = [run for run in runs if run.state is not None and run.state.is_final()]
        if len(ended) >= count:
            return sorted(ended, key=lambda run: str(run.expected_start_time))
        assert time.monotonic() < give_up, (deployment, [(run.name, run.state) for run in runs])
        time.sleep(1)

"""A worker and its process that die together: the run ends in Prefect and in the registry, its slots are free."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psutil
import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Scheduled, Suspended

from flows.deploying import deploy
from flows.deploying.description import FILE, read_description
from flows.local_server import LocalServer
from infra.errors import GateRefused
from infra.registry.registry import Registry, open_registry
from infra.settings import load_settings
from tests.flows.conftest import Place
from tests.flows.described import keep_deployments
from tests.flows.tables import make_table, write_rows

ROOT = Path(__file__).parents[2]
BOUND_S = 120.0

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("dead workers")]


@dataclass
class Yard:
    """A server with keepfit's automations, two projects deployed to it, and workers."""

    url: str
    home: Path
    environment: dict[str, str]
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start_worker(self, name: str) -> "subprocess.Popen[bytes]":
        """Start a worker whose runs stand still before they train, until somebody lets them go on."""
        own = {"PREFECT_HOME": str(self.home / name), "PREFECT_WORKER_QUERY_SECONDS": "2", "KEEPFIT_WORKER": name}
        own |= {"KEEPFIT_FAULT_POINT": "train.start", "KEEPFIT_FAULT_SIGNAL": "STOP"}
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "cpu-pool", "--name", name]
        with (self.home / f"{name}.log").open("ab") as log:
            worker = subprocess.Popen(
                command,
                env={**os.environ, **self.environment, **own},
                cwd=self.home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.workers.append(worker)
        return worker

    def keepfit(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "flows.cli.main", *arguments]
        environment = {**os.environ, **self.environment, "COLUMNS": "200"}
        return subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


@pytest.fixture(scope="module")
def yard(prefect_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    home = tmp_path_factory.mktemp("yard")
    place = Place(None, home)  # type: ignore[arg-type]
    folder = make_table(place, home / "projects")
    chair = shutil.copytree(folder, folder.with_name("chair")) / "project.yaml"
    chair.write_text(chair.read_text().replace("name: table", "name: chair"))
    server = LocalServer(Path(shutil.copytree(prefect_database, home / "server")))
    environment = {
        "PREFECT_API_URL": server.url,
        "KEEPFIT_HOME": str(home / "keepfit"),
        "KEEPFIT_PROJECTS": str(home / "projects"),
        "KEEPFIT_CHECKOUT": str(ROOT),
        "KEEPFIT_ACTOR": "tester",
        "KEEPFIT_DATABASE_URL": place.database,
        "KEEPFIT_STORE_URL": place.store,
        "DO_NOT_TRACK": "1",
    }
    (home / FILE).write_text(yaml.safe_dump(reduce(read_description(ROOT).raw)))
    server.wait()
    yard = Yard(server.url, home, environment)
    try:
        with temporary_settings({PREFECT_API_URL: server.url}), pytest.MonkeyPatch.context() as patch:
            patch.setenv("PREFECT_API_URL", server.url)
            patch.setenv("KEEPFIT_PROJECTS", environment["KEEPFIT_PROJECTS"])
            load_settings.cache_clear()
            deploy(home, 3, None, lambda _: None)
        load_settings.cache_clear()
        yield yard
    finally:
        for worker in yard.workers:
            worker.terminate()
        for worker in yard.workers:
            try:
                worker.wait(timeout=30)
            except subprocess.TimeoutExpired:  # the way it ends is not what is tested here
                worker.kill()
                worker.wait()
        server.stop()


def reduce(raw: dict[str, Any]) -> dict[str, Any]:
    """The file with the retraining of two other projects, the approval and the sweeper."""
    iris, approve, sweep = (each for each in raw["deployments"] if each["name"] in ("iris", "release", "regular"))
    retrain = [
        {
            **iris,
            "name": name,
            "schedules": [],
            "tags": ["keepfit"],
            "parameters": {**iris["parameters"], "project": name},
        }
        for name in ("table", "chair")
    ]
    return keep_deployments(raw, [*retrain, approve, sweep])


@contextmanager
def opened_client(yard: Yard) -> Iterator[SyncPrefectClient]:
    with temporary_settings({PREFECT_API_URL: yard.url}), get_client(sync_client=True) as opened:
        yield opened


def opened_registry(yard: Yard) -> Registry:
    return open_registry(yard.environment["KEEPFIT_DATABASE_URL"])


@pytest.fixture
def client(yard: Yard) -> Iterator[SyncPrefectClient]:
    with opened_client(yard) as opened:
        yield opened


@pytest.fixture
def registry(yard: Yard) -> Iterator[Registry]:
    with opened_registry(yard) as opened:
        yield opened


def wait_for(what: str, found: Callable[[], Any], limit_s: float, yard: Yard) -> Any:
    give_up = time.monotonic() + limit_s
    while not (answer := found()):
        if time.monotonic() > give_up:
            logs = "\n".join(f"{log}:\n{log.read_text()[-2000:]}" for log in yard.home.glob("*.log"))
            raise AssertionError(f"{what}: not within {limit_s} s\n{logs}")
        time.sleep(0.25)
    return answer


def stopped_process(registry: Registry, project: str) -> "psutil.Process | None":
    """The process of the run in flight, once it stands still at the fault point."""
    for run in registry.runs(project, state="running"):
        process = psutil.Process(run.pid)
        if process.status() == psutil.STATUS_STOPPED:
            return process
    return None


def state_of(client: SyncPrefectClient, flow_run: str) -> str:
    state = client.read_flow_run(UUID(flow_run)).state
    return str(state.type.value) if state else ""


class Death(NamedTuple):
    """A run whose worker and process were killed together, and an approval that waits for a person meanwhile."""

    flow_run: str
    run_id: str
    at: datetime
    approval: UUID
    suspended_at: datetime


@pytest.fixture(scope="module")
def death(yard: Yard) -> Death:
    """It takes a minute until it is noticed, so it happens first and is looked at last."""
    with opened_client(yard) as client, opened_registry(yard) as registry:
        approval, suspended_at = suspend_approval(client), datetime.now(UTC)
        doomed = yard.start_worker("doomed")
        wait_for("the worker", lambda: client.read_workers_for_work_pool("cpu-pool"), 60, yard)
        said, errors = yard.keepfit("trigger", "table", "--json").communicate(timeout=60)
        assert said, errors
        flow_run = json.loads(said)["flow_run_id"]
        process = wait_for("the run at its fault point", lambda: stopped_process(registry, "table"), 90, yard)
        run = registry.runs("table")[0]
        doomed.kill()
        process.kill()
        at = datetime.now(UTC)
        doomed.wait()
        assert (state_of(client, flow_run), registry.run(run.run_id).state) == ("RUNNING", "running")
        yard.start_worker("next")  # as whoever supervises workers does
        return Death(flow_run, run.run_id, at, approval, suspended_at)


def suspend_approval(client: SyncPrefectClient) -> UUID:
    """Suspend a run of the deployment `approve/release` whose only heartbeat comes in after that."""
    deployment = client.read_deployment_by_name("approve/release")
    tomorrow = Scheduled(scheduled_time=datetime.now(UTC) + timedelta(days=1))
    made = client.create_flow_run_from_deployment(deployment.id, parameters={"version": "table@1"}, state=tomorrow)
    client.set_flow_run_state(made.id, Suspended(timeout_seconds=3600), force=True)
    emit_event(
        "prefect.flow-run.heartbeat",
        resource={"prefect.resource.id": f"prefect.flow-run.{made.id}"},
        related=[
            {"prefect.resource.id": "prefect.tag.keepfit", "prefect.resource.role": "tag"},
            {"prefect.resource.id": f"prefect.flow.{made.flow_id}", "prefect.resource.role": "flow"}
            | {"prefect.resource.name": "approve"},
        ],
    )
    EventsWorker.drain_all(timeout=10)
    return made.id


def test_a_second_run_is_refused_and_ctrl_c_ends_the_waiting_alone(
    yard: Yard, death: Death, client: SyncPrefectClient, registry: Registry
) -> None:
    waiting = yard.keepfit("trigger", "chair", "--wait")
    line = waiting.stderr.readline()  # type: ignore[union-attr]
    assert "/runs/flow-run/" in line
    flow_run = line.strip().rpartition("/")[2]
    process = wait_for("the run before it trains", lambda: stopped_process(registry, "chair"), 60, yard)

    _, said = yard.keepfit("trigger", "chair", "--wait").communicate(timeout=90)
    assert "chair: another retraining is in flight, so this one was not started." in said

    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate(timeout=30)
    assert waiting.returncode == 128 + signal.SIGINT
    assert "only the waiting has stopped" in said
    assert "/runs/flow-run/" in said

    process.resume()
    wait_for("the end", lambda: state_of(client, flow_run) == "COMPLETED", 90, yard)
    assert registry.champion("chair").version == 1
    assert registry.runs("chair")[0].parameters["prefect_flow_run"] == flow_run


def test_waiting_shows_the_steps_and_ends_with_the_verdict(yard: Yard, death: Death, registry: Registry) -> None:
    write_rows(yard.home / "projects" / "chair", sharpness=2.0, seed=1)
    waiting = yard.keepfit("trigger", "chair", "--wait", "--strict", "--reason", "a look")
    wait_for("the run before it trains", lambda: stopped_process(registry, "chair"), 60, yard).resume()
    said, steps = waiting.communicate(timeout=120)
    assert waiting.returncode == GateRefused.exit_code, steps
    assert [line.split()[1] for line in steps.splitlines()[1:]][:4] == ["ingest", "validate", "split", "train"]
    assert said.split()[0] == "HOLD"
    assert "chair@2 is kept with its evidence; chair@1 stays champion." in said
    assert "keepfit show chair@2" in said
    assert registry.runs("chair")[0].why == "a look"


def test_the_run_whose_worker_and_process_died_together_is_final_and_its_slots_free_in_time(
    yard: Yard, death: Death, client: SyncPrefectClient, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    wait_for("the end in Prefect", lambda: state_of(client, death.flow_run) != "RUNNING", BOUND_S, yard)
    wait_for("the end in the registry", lambda: registry.run(death.run_id).state != "running", BOUND_S, yard)
    flow_run, run = client.read_flow_run(UUID(death.flow_run)), registry.run(death.run_id)
    assert flow_run.state is not None
    assert run.ended_at is not None
    in_prefect_s = (flow_run.state.timestamp - death.at).total_seconds()
    in_registry_s = (run.ended_at - death.at).total_seconds()
    with capsys.disabled():
        sys.stdout.write(f"\nkilled together: final in Prefect after {in_prefect_s:.0f} s, ")
        sys.stdout.write(f"in the registry after {in_registry_s:.0f} s\n")

    assert (flow_run.state.type.value, run.state) == ("CRASHED", "crashed")
    assert "No heartbeat" in str(flow_run.state.message)
    assert max(in_prefect_s, in_registry_s) < BOUND_S
    limit = client.read_deployment_by_name("retrain/table").global_concurrency_limit
    assert limit is not None
    assert limit.active_slots == 0
    assert [row.subject for row in registry.audit("table") if row.action == "run.crash"] == [run.run_id]
    noticed = death.suspended_at + timedelta(seconds=75 + 15)
    wait_for("the time at which a dead run would be noticed", lambda: datetime.now(UTC) > noticed, 90, yard)
    assert state_of(client, str(death.approval)) == "PAUSED"
    sweeps = ArtifactFilter(key=ArtifactFilterKey(any_=["sweep"]))
    report = wait_for("the report", lambda: client.read_artifacts(artifact_filter=sweeps), 30, yard)
    assert run.run_id in str(report[0].data)

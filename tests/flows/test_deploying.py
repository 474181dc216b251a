"""prefect.yaml on a real server: everything is there, twice is once, and what an operator decided stays decided."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.events.schemas.automations import AutomationCore
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.deploying import Deployed, deploy
from flows.deploying.description import FILE, read_description
from flows.orchestrator import reach_orchestrator
from infra.errors import KeepfitError, OrchestratorUnavailable, UsageError
from infra.settings import load_settings
from tests.flows.conftest import Place
from tests.flows.described import keep_deployments
from tests.flows.tables import make_table

ROOT = Path(__file__).parents[2]
TEMPLATE: dict[str, Any] = {"job_configuration": {"image": "{{ image }}"}, "variables": {"properties": {"image": {}}}}
DECIDED = {"fit": 0, "retrain": 5}
"""Slots that an operator gave to queues of cpu-pool."""

CANARY = "operator:canary-71aa-prefect"

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("deploying")]


class Desk:
    """An operator's place: a server, and a deployment of this checkout to it."""

    def __init__(self, url: str, client: SyncPrefectClient) -> None:
        self.url, self.client = url, client
        self.told: list[str] = []

    def deploy(self, checkout: Path = ROOT, cpu: int | None = None, gpu: int | None = None) -> Deployed:
        with temporary_settings({PREFECT_API_URL: self.url}), pytest.MonkeyPatch.context() as environment:
            environment.setenv("PREFECT_API_URL", self.url)
            environment.setenv("KEEPFIT_CHECKOUT", "/only/on/this/machine")
            return deploy(checkout, cpu, gpu, self.told.append)

    def limits(self) -> dict[str, int | None]:
        queues = {
            f"{pool}/{queue.name}": queue.concurrency_limit
            for pool in ("cpu-pool", "gpu-pool")
            for queue in self.client.read_work_queues(work_pool_name=pool)
        }
        return {pool: self.client.read_work_pool(pool).concurrency_limit for pool in ("cpu-pool", "gpu-pool")} | queues


@pytest.fixture(scope="module")
def desk(prefect_url: str) -> Iterator[Desk]:
    """Deployed once; the GPUs are a cluster's, so their pool was there before."""
    with temporary_settings({PREFECT_API_URL: prefect_url}), get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="gpu-pool", type="kubernetes", base_job_template=TEMPLATE))
        desk = Desk(prefect_url, client)
        desk.deploy()
        yield desk
        for pool in ("cpu-pool", "gpu-pool"):
            client.delete_work_pool(pool)
        for automation in client.read_automations():
            client.delete_automation(automation.id)  # they would act on other tests' runs
        for described in read_description(ROOT).deployments:
            client.delete_deployment(client.read_deployment_by_name(described.full_name).id)


def test_everything_that_the_file_describes_is_on_the_server(desk: Desk) -> None:
    described = read_description(ROOT)
    for wanted in described.deployments:
        found = desk.client.read_deployment_by_name(wanted.full_name)
        assert found.entrypoint == wanted.entrypoint
        assert (found.work_pool_name, found.work_queue_name) == (
            wanted.work_pool.name,
            wanted.work_pool.work_queue_name,
        )
        assert found.parameters == wanted.parameters
        assert sorted(found.tags) == sorted(wanted.tags)
        assert [(each.schedule.cron, each.active) for each in found.schedules] == [
            (each["cron"], True) for each in wanted.schedules
        ]
    cpu = {"cpu-pool": 6, "cpu-pool/operate": None, "cpu-pool/fit": 2, "cpu-pool/retrain": 2, "cpu-pool/default": None}
    assert desk.limits() == cpu | {"gpu-pool": 1, "gpu-pool/default": 1}
    queues = desk.client.read_work_queues(work_pool_name="cpu-pool")
    assert [queue.name for queue in sorted(queues, key=lambda queue: queue.priority or 0)][:3] == [
        "operate",
        "fit",
        "retrain",
    ]
    assert {each.name for each in desk.client.read_automations()} == {each["name"] for each in described.automations}


def test_the_path_of_the_deploying_machine_is_in_no_deployment(desk: Desk) -> None:
    """Each worker has a checkout of its own: the variable must be read there."""
    iris = desk.client.read_deployment_by_name("retrain/iris")
    assert iris.pull_steps == [
        {"prefect.deployments.steps.set_working_directory": {"directory": "{{ $KEEPFIT_CHECKOUT }}"}}
    ]


def test_twice_is_once_and_what_an_operator_decided_stays(desk: Desk, place: Place) -> None:
    client = desk.client
    iris = client.read_deployment_by_name("retrain/iris")
    client.update_deployment_schedule(iris.id, iris.schedules[0].id, active=False)
    client.pause_deployment(client.read_deployment_by_name("retrain/imdb").id)
    first, *others = sorted(client.read_automations(), key=lambda each: each.name)
    client.update_automation(first.id, editable(first, enabled=False))
    client.update_work_pool("cpu-pool", WorkPoolUpdate(base_job_template=TEMPLATE))

    done = place.answer("deploy", "--cpu-slots", "3")

    assert client.read_deployment_by_name("retrain/iris").id == iris.id
    paused = {row["name"] for row in done["deployments"] if row["paused"]}  # type: ignore[index]
    assert paused == {"retrain/iris", "retrain/imdb"}
    for name, active in (("iris", False), ("penguins", True)):
        schedules = client.read_deployment_by_name(f"retrain/{name}").schedules
        assert [each.active for each in schedules] == [active]
    imdb = client.read_deployment_by_name("retrain/imdb")
    assert imdb.paused
    assert imdb.schedules[0].active, "so that it fires again once somebody resumes the deployment"
    automations = {each.name: (each.id, each.enabled) for each in client.read_automations()}
    assert automations == {first.name: (first.id, False)} | {each.name: (each.id, True) for each in others}
    assert client.read_work_pool("cpu-pool").base_job_template == TEMPLATE
    gpus = client.read_work_pool("gpu-pool")
    assert (gpus.type, gpus.base_job_template) == ("kubernetes", TEMPLATE)
    limits = desk.limits()
    assert (limits["cpu-pool"], limits["cpu-pool/fit"], limits["cpu-pool/retrain"]) == (8, 3, 3)
    assert (limits["gpu-pool"], limits["gpu-pool/default"]) == (1, 1)


class Again(NamedTuple):
    """One more deployment, after somebody else has been there: what was so before it, what it said, what is so after it."""

    automations: int
    twin: str
    """The automation that the file has changed, and that was there twice."""
    limits: dict[str, int | None]
    done: Deployed
    told: list[str]
    after: dict[str, int | None]


@pytest.fixture(scope="module")
def again(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Again:
    folder, client = tmp_path_factory.mktemp("again"), desk.client
    raw = only(read_description(ROOT).raw, "sweep")
    raw["definitions"]["automations"][0]["trigger"]["within"] = 120
    (folder / FILE).write_text(yaml.safe_dump(raw))
    table = make_table(Place(None, folder), folder / "projects")  # type: ignore[arg-type]
    before, limits = client.read_automations(), desk.limits()
    twin = next(each for each in before if "heartbeat" in each.name)
    client.create_automation(editable(twin))
    queues = {name: client.read_work_queue_by_name(name, work_pool_name="cpu-pool") for name in DECIDED}
    for name, slots in DECIDED.items():
        client.update_work_queue(queues[name].id, concurrency_limit=slots)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEPFIT_PROJECTS", str(table.parent))
        load_settings.cache_clear()
        told = len(desk.told)
        done = desk.deploy(folder)
    load_settings.cache_clear()
    after = desk.limits()
    for name in DECIDED:
        client.update_work_queue(queues[name].id, concurrency_limit=limits[f"cpu-pool/{name}"])
    return Again(len(before), twin.name, limits, done, desk.told[told:], after)


def test_a_changed_automation_is_brought_up_to_date_and_a_double_removed(desk: Desk, again: Again) -> None:
    within = {each.name: each.trigger.within.total_seconds() for each in desk.client.read_automations()}  # type: ignore[union-attr]
    assert len(desk.client.read_automations()) == again.automations
    assert within[again.twin] == 120


def test_the_slots_that_an_operator_set_stay_where_none_are_asked_for(again: Again) -> None:
    """None at all is a way to let nothing start."""
    assert again.after == again.limits | {"cpu-pool/fit": 0, "cpu-pool/retrain": 5, "cpu-pool": 2 + 0 + 5}


def test_a_new_project_is_told_of_and_stops_nothing(again: Again) -> None:
    assert again.done.neglected == ["table: has no deployment. Add a stanza to prefect.yaml, as iris has one"]
    assert f"! {again.done.neglected[0]}" in again.told


def editable(automation: AutomationCore, **changes: object) -> AutomationCore:
    """The automation without what the server keeps to itself."""
    return AutomationCore.model_validate(automation.model_dump(exclude={"id", "owner_resource"}) | changes)


def only(raw: dict[str, Any], flow: str) -> dict[str, Any]:
    """The file with the deployments of one flow."""
    return keep_deployments(raw, [each for each in raw["deployments"] if each["entrypoint"].endswith(f".{flow}")])


def test_a_file_that_rots_deploys_nothing(desk: Desk, tmp_path: Path) -> None:
    raw = only(read_description(ROOT).raw, "sweep")
    raw["deployments"][0]["entrypoint"] = "flows.sweeping.sweeep"
    raw["definitions"]["pools"]["tpu-pool"] = {"type": "process", "queues": {"default": {"priority": 1}}}
    (tmp_path / FILE).write_text(yaml.safe_dump(raw))
    with pytest.raises(UsageError, match="sweeep"):
        desk.deploy(tmp_path)
    assert "tpu-pool" not in {pool.name for pool in desk.client.read_work_pools()}


def test_what_prefect_says_is_shown_when_it_fails(desk: Desk, tmp_path: Path) -> None:
    raw = only(read_description(ROOT).raw, "sweep")
    raw["deployments"][0]["schedules"] = [{"cron": "every now and then", "timezone": "UTC"}]
    (tmp_path / FILE).write_text(yaml.safe_dump(raw))
    with pytest.raises(KeepfitError, match=r"(?s)`prefect deploy` ended with code 1.*\|.*every now and then"):
        desk.deploy(tmp_path)


def test_pause_and_resume_move_the_schedules_of_one_project(desk: Desk, place: Place) -> None:
    answer = place.answer("pause", "penguins")
    assert answer == place.answer("pause", "penguins")
    assert answer == {"project": "penguins", "deployment": "retrain/penguins", "paused": True, "next_run": None}
    assert not desk.client.read_deployment_by_name("retrain/penguins").schedules[0].active
    assert desk.client.read_deployment_by_name("sweep/regular").schedules[0].active

    answer = place.answer("resume", "penguins")
    assert answer["next_run"].endswith("T06:00:00+00:00")  # type: ignore[index]
    assert desk.client.read_deployment_by_name("retrain/penguins").schedules[0].active
    assert "next run  20" in place.keepfit("resume", "penguins")[1]


def test_trigger_says_at_once_that_no_worker_is_there_and_starts_nothing(desk: Desk, place: Place) -> None:
    before = len(desk.client.read_flow_runs())
    code, said = place.keepfit("trigger", "iris", "--wait")
    assert code == 1
    assert "iris: expected a worker that serves cpu-pool, found none." in said
    assert "`keepfit run iris`" in said
    desk.client.update_work_pool("cpu-pool", WorkPoolUpdate(is_paused=True))
    assert "iris: the work pool cpu-pool is paused." in place.keepfit("trigger", "iris")[1]
    desk.client.update_work_pool("cpu-pool", WorkPoolUpdate(is_paused=False))
    assert len(desk.client.read_flow_runs()) == before


def test_a_project_without_a_deployment_is_told_what_to_do(desk: Desk, place: Place, table: Path) -> None:
    for command in ("trigger", "pause", "resume"):
        code, said = place.keepfit(command, "table")
        assert code == 2
        assert "expected the deployment retrain/table" in said
        assert "keepfit deploy" in said


class Gatekeeper(BaseHTTPRequestHandler):
    """Wants another password from everybody, as a Prefect server behind authentication does."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None: ...


def test_a_server_that_is_not_named_silent_or_refuses_is_said_without_the_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(UsageError, match=r"PREFECT_API_URL.*it is not set"), reach_orchestrator():
        pass
    for text in ("127.0.0.1:4200", "http://", "http://127.0.0.1:99999/api", f"http://{CANARY}@[::1/api"):
        monkeypatch.setenv("PREFECT_API_URL", text)
        with pytest.raises(UsageError, match=r"PREFECT_API_URL.*another kind of text") as wrong, reach_orchestrator():
            pass
        assert CANARY not in str(wrong.value)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", CANARY)
    with HTTPServer(("127.0.0.1", 0), Gatekeeper) as server:
        url = f"http://127.0.0.1:{server.server_port}/api"
        monkeypatch.setenv("PREFECT_API_URL", url)
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        with pytest.raises(UsageError, match=r"PREFECT_API_AUTH_STRING.*code 401.*another one") as refused:
            ask(url)
        server.shutdown()
        serving.join()
    with pytest.raises(OrchestratorUnavailable, match=rf"expected a Prefect server at {url}; ConnectError") as silent:
        ask(url)
    assert CANARY not in f"{refused.value}{silent.value}"


def ask(url: str) -> None:
    with temporary_settings({PREFECT_API_URL: url}), reach_orchestrator() as client:
        client.read_work_pools()


def test_no_address_is_shown_with_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.orchestrator import name_server

    monkeypatch.setitem(os.environ, "PREFECT_API_URL", f"https://{CANARY}@prefect.example.org/api")
    assert name_server() == "https://prefect.example.org/api"

"""Training on a pool: real workers in folders, homes and checkouts of their own, over PostgreSQL and S3."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from prefect.client.schemas.objects import FlowRun

from infra.registry.registry import open_registry
from tests.flows.conftest import Place, Zygote
from tests.flows.tables import make_table, write_rows
from tests.flows.workers import Shop
from tests.servers.postgres import PostgresServer
from tests.servers.seaweed import S3Server

pytestmark = [pytest.mark.engine, pytest.mark.servers, pytest.mark.slow, pytest.mark.xdist_group("dispatch")]

POOL = "gpu-test"
DEPLOYED = {"PREFECT__RUNTIME__DEPLOYMENT__ID": str(uuid4())}
"""Makes a run in the test's own place one that a worker started: only those send their training away."""


@pytest.fixture(scope="module")
def place(
    zygote: Zygote, postgres_server: PostgresServer, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Place:
    folder = tmp_path_factory.mktemp("parent")
    place = Place(
        zygote,
        folder,
        dict(s3_server.env),
        database=postgres_server.url(postgres_server.create_database()),
        store=f"s3://{s3_server.make_bucket()}/keepfit",
    )
    make_table(place, folder / "projects")
    set_compute(place, "{device: gpu}")
    return place


@pytest.fixture(scope="module")
def shop(place: Place, prefect_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    world = {"KEEPFIT_DATABASE_URL": place.database, "KEEPFIT_STORE_URL": place.store, **place.environment}
    shop = Shop(prefect_url, tmp_path_factory.mktemp("workers"), world)
    yield shop
    shop.stop()


@pytest.fixture(autouse=True)
def pool(shop: Shop) -> Iterator[None]:
    shop.deploy("gpu", POOL)
    yield
    shop.withdraw(POOL)


def set_compute(place: Place, compute: str, more: str = "") -> None:
    spec = Path(place.environment["KEEPFIT_PROJECTS"]) / "table" / "project.yaml"
    kept = [line for line in spec.read_text().splitlines() if not line.startswith(("compute:", "selection:"))]
    spec.write_text("\n".join([*kept, f"compute: {compute}", more or "selection: {folds: 2}", ""]))


def new_rows(place: Place, seed: int) -> None:
    write_rows(Path(place.environment["KEEPFIT_PROJECTS"]) / "table", sharpness=2.0, seed=seed)


class Running:
    """A run that goes on beside the test."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.answer: tuple[int, str] = (-1, "")
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self.answer = self.place.keepfit("run", "table", **DEPLOYED)

    def wait(self) -> tuple[int, str]:
        self.thread.join(timeout=120)
        assert not self.thread.is_alive()
        return self.answer


def wait_for(found: Callable[[], object], what: str, timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not found():
        assert time.monotonic() < end, f"never seen: {what}"
        time.sleep(0.2)


def states(children: list[FlowRun]) -> list[str | None]:
    return [child.state_name for child in children]


def test_a_worker_that_shares_no_folder_trains_the_model_that_this_process_would_have(
    place: Place, shop: Shop, zygote: Zygote, tmp_path: Path
) -> None:
    shop.start_worker(POOL, "gpu-worker-0-without-gpu", KEEPFIT_NO_GPU="1")
    wait_for(lambda: "started" in shop.log_of("gpu-worker-0-without-gpu"), "the worker")
    code, said = place.keepfit("run", "table", **DEPLOYED)
    assert code == 0, said + shop.log_of("gpu-worker-0-without-gpu")
    [child] = shop.children("gpu")
    assert child.state_name == "Completed"
    made = place.answer("show", "table@1")["manifest"]  # type: ignore[index,call-overload]
    assert made["fit"]["hardware"]["worker"] == "gpu-worker-0-without-gpu"

    alone = Place(zygote, tmp_path, dict(place.environment))
    assert alone.keepfit("run", "table")[0] == 0
    inline = alone.answer("show", "table@1")["manifest"]  # type: ignore[index,call-overload]
    assert inline["fit"]["hardware"]["worker"] == ""
    assert inline["model"]["content"] == made["model"]["content"]


def test_a_child_that_fails_fails_its_parent_with_its_own_error(place: Place, shop: Shop) -> None:
    new_rows(place, 1)
    spec = Path(place.environment["KEEPFIT_PROJECTS"]) / "table" / "project.yaml"
    good = spec.read_text()
    spec.write_text(good.replace("LogisticRegression}", "LogisticRegression, params: {C: -1.0}}"))
    code, inline = place.keepfit("run", "table")
    assert code != 0
    shop.start_worker(POOL, "gpu-worker-1")
    wait_for(lambda: "started" in shop.log_of("gpu-worker-1"), "the worker")
    again, dispatched = place.keepfit("run", "table", **DEPLOYED)
    spec.write_text(good)
    assert again == code
    message = next(line for line in inline.splitlines() if line.startswith("keepfit:"))
    assert message in dispatched.splitlines()
    assert "Its log stands on the page of the flow run" in dispatched


def test_a_worker_with_another_checkout_is_refused(place: Place, shop: Shop) -> None:
    new_rows(place, 2)
    shop.start_worker(POOL, "other", "--limit", "0").kill()  # makes its folders
    changed = shop.folder / "other" / "checkout" / "tasks" / "training" / "fitting.py"
    changed.write_text(changed.read_text() + "# changed\n")
    shop.start_worker(POOL, "other")
    wait_for(lambda: "started" in shop.log_of("other"), "the worker")
    code, said = place.keepfit("run", "table", **DEPLOYED)
    assert code == 2
    assert "the checkout of other has others in keepfit" in said
    shutil.rmtree(shop.folder / "other" / "checkout")


def test_no_worker_on_the_pool_is_said_at_once_with_what_to_do(place: Place, shop: Shop) -> None:
    new_rows(place, 3)
    started = time.monotonic()
    code, said = place.keepfit("run", "table", **DEPLOYED)
    assert code == 1
    assert time.monotonic() - started < 30
    assert f"expected a worker that serves {POOL}, found none" in said
    assert "keepfit up --gpu-workers 1" in said
    assert shop.children("gpu") == []


def test_where_the_project_says_so_the_cpu_trains_instead_and_the_version_tells(place: Place, shop: Shop) -> None:
    new_rows(place, 4)
    set_compute(place, "{device: gpu, fallback: cpu}")
    shop.deploy("cpu", "cpu-test")
    shop.start_worker("cpu-test", "cpu-worker-1")
    wait_for(lambda: "started" in shop.log_of("cpu-worker-1"), "the worker")
    code, said = place.keepfit("run", "table", **DEPLOYED)
    set_compute(place, "{device: gpu}")
    shop.withdraw("cpu-test")
    assert code == 0, said
    assert "Training on the CPU instead" in said
    with open_registry(place.database) as registry:
        last = registry.versions("table")[-1].label
    made = place.answer("show", last)["manifest"]  # type: ignore[index,call-overload]
    assert made["fit"]["hardware"]["worker"] == "cpu-worker-1"


def test_a_child_that_dies_is_followed_by_one_more_and_makes_one_version(place: Place, shop: Shop) -> None:
    new_rows(place, 5)
    with open_registry(place.database) as registry:
        before = len(registry.versions("table"))
    shop.pretend_worker(POOL)
    run = Running(place)
    wait_for(lambda: shop.children("gpu"), "the first child")
    dying = {"KEEPFIT_FAULT_POINT": "train.before_commit"}
    shop.start_worker(POOL, "dying", "--run-once", **dying)
    wait_for(lambda: len(shop.children("gpu")) == 2, "the second child")
    shop.start_worker(POOL, "gpu-worker-2")
    code, said = run.wait()
    assert code == 0, said
    assert states(shop.children("gpu")) == ["Crashed", "Completed"], "the fault must have fired"
    with open_registry(place.database) as registry:
        assert len(registry.versions("table")) == before + 1


def test_a_parent_that_is_stopped_cancels_its_child(place: Place, shop: Shop) -> None:
    new_rows(place, 6)
    set_compute(place, "{device: gpu}", "selection: {folds: 50, repeats: 200}")
    shop.start_worker(POOL, "gpu-worker-3")
    wait_for(lambda: "started" in shop.log_of("gpu-worker-3"), "the worker")
    run = Running(place)
    wait_for(lambda: "Running" in states(shop.children("gpu")), "the child at work")
    with open_registry(place.database) as registry:
        psutil.Process(registry.runs("table", limit=1)[0].pid).terminate()
    code, said = run.wait()
    set_compute(place, "{device: gpu}")
    assert code == 128 + 15, said
    wait_for(lambda: states(shop.children("gpu")) == ["Cancelled"], "the child cancelled")
    with open_registry(place.database) as registry:
        assert registry.runs("table", limit=1)[0].state == "cancelled"

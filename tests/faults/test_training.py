"""Training that runs out of memory, or has no worker to run on (FAULTS.md row 19)."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectAlreadyExists

from tests.faults.invariants import check_invariants, look
from tests.faults.places import FaultPlace
from tests.flows.tables import make_table

pytestmark = [pytest.mark.engine, pytest.mark.servers, pytest.mark.xdist_group("faults")]

MORE_BYTES = 400_000_000
HUGE = "sklearn.neural_network.MLPClassifier, params: {hidden_layer_sizes: [20000, 20000]}"
"""Its weights take 3.2 GB."""


@pytest.fixture
def table(place: FaultPlace) -> Path:
    return make_table(place, place.home / "projects") / "project.yaml"


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_AS"), reason="the limit of another process can be set on Linux only")
def test_memory_that_runs_out_is_told_with_what_to_do_and_a_smaller_candidate_is_released(
    place: FaultPlace, table: Path
) -> None:
    spec = table.read_text()
    table.write_text(spec.replace("sklearn.linear_model.LogisticRegression", HUGE))
    with place.stopped_at("train.start", "run", "table") as command:
        limit = command.process.memory_info().vms + MORE_BYTES
        command.process.rlimit(psutil.RLIMIT_AS, (limit, limit))
    assert command.code == 1, command.said
    assert "memory ran out in training on" in command.said
    assert "Unable to allocate 2.98 GiB" in command.said, "the limit was met in the fit, and nowhere else"
    assert "Train on a worker with more memory" in command.said
    assert "Traceback" not in command.said
    check_invariants(place)
    with place.registry() as registry:
        (failed,) = registry.runs("table")
        assert failed.state == "failed"
        assert "memory ran out" in str(failed.error)

    table.write_text(spec)
    code, said = place.keepfit("run", "table")
    assert code == 0, said
    check_invariants(place)
    with place.registry() as registry:
        assert registry.champion("table").version == 1


def test_a_training_that_the_kernel_kills_is_a_crashed_run_and_the_next_goes_on(place: FaultPlace) -> None:
    with place.stopped_at("train.before_commit", "run", "iris") as command:
        os.kill(command.process.pid, signal.SIGKILL)  # what the kernel sends where memory runs out
    assert command.code == -signal.SIGKILL
    with pytest.raises(AssertionError, match=r"^I6: .*its process is gone"):
        check_invariants(place)
    code, said = place.keepfit("run", "iris")
    assert code == 0, said
    assert "died without a word" in said
    check_invariants(place)
    assert sorted(row["state"] for row in look(place).tables["run"]) == ["completed", "crashed"]


DEPLOYED = {"PREFECT__RUNTIME__DEPLOYMENT__ID": str(uuid4())}
"""Makes a run one that a worker started: only those send their training to a pool."""
POOL = "gpu-fault"


@pytest.fixture
def client(place: FaultPlace) -> Iterator[SyncPrefectClient]:
    """A client of the server, with the deployment `fit/gpu` on a pool of its own."""
    with place.prefect.client() as client:
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        flow = client.create_flow_from_name("fit")
        deployment = client.create_deployment(
            flow, "gpu", entrypoint="flows.fitting.fit", path=".", work_pool_name=POOL
        )
        yield client
        client.delete_deployment(deployment)
        client.delete_work_pool(POOL)


def children(client: SyncPrefectClient) -> list[FlowRun]:
    return [run for run in client.read_flow_runs() if run.name.endswith(": fit") or run.work_pool_name == POOL]


def test_a_pool_whose_worker_goes_ends_the_run_and_cancels_the_child_that_nobody_took(
    place: FaultPlace, table: Path, client: SyncPrefectClient
) -> None:
    spec = table.read_text()
    table.write_text(spec + "compute: {device: gpu}\n")
    place.environment |= DEPLOYED
    with place.stopped_at("split.after_commit", "run", "table") as command:
        client.send_worker_heartbeat(POOL, "gpu-worker-0", heartbeat_interval_seconds=2)
    assert command.code == 1, command.said
    assert f"expected a worker that serves {POOL}, found none (gpu-worker-0 was there" in command.said
    assert "compute.fallback: cpu" in command.said
    assert "Traceback" not in command.said
    assert command.seconds < 60
    assert [child.state_name for child in children(client)] == ["Cancelled"]
    check_invariants(place)
    assert [row["state"] for row in look(place).tables["run"]] == ["failed"]

    table.write_text(spec)
    code, said = place.keepfit("run", "table")
    assert code == 0, said
    check_invariants(place)

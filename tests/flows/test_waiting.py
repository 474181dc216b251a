"""What a run makes of a training on a pool that does not simply end well; the test plays the worker."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Crashed

from flows import dispatch, workers
from flows.workers import require_worker
from infra.errors import DispatchFailed, LeaseLost, NoWorker
from infra.registry.holder import describe_process
from infra.registry.records import Fencing
from infra.workspace import open_workspace
from tasks.contracts.compute import Compute
from tasks.contracts.runs import RunContext
from tasks.policies import POLICIES
from tests.flows.workers import Shop
from tests.tasks.release.builders import make_manifest
from tests.tasks.release.waiting import PROJECT, own_workspace

pytestmark = pytest.mark.engine

POOL = "gpu-played"
KEY = "f" * 64
PARTS = make_manifest().split


@pytest.fixture
def shop(prefect_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(dispatch, "POLL_S", 0.05)
    shop = Shop(prefect_url, tmp_path / "workers", {})
    shop.deploy("gpu", POOL)
    with temporary_settings({PREFECT_API_URL: prefect_url}):
        yield shop
    shop.withdraw(POOL)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunContext]:
    with own_workspace(tmp_path / "home", monkeypatch):
        grant = open_workspace().registry.begin_run(
            project=PROJECT,
            flow="retrain",
            trigger_kind="operator",
            trigger_key=None,
            why="",
            parameters={},
            actor="tester",
            holder=describe_process(),
        )
        manifest = make_manifest()
        yield RunContext(
            project=PROJECT,
            run_id=grant.run_id,
            fence=grant.fence,
            spec=manifest.spec,
            code="c" * 64,
            as_of=manifest.snapshot.as_of,
        )


def play(monkeypatch: pytest.MonkeyPatch, *acts: Callable[[FlowRun], object]) -> None:
    """Let these happen to each child as soon as it is sent."""
    start = dispatch._start

    def start_and_play(*arguments: object) -> FlowRun:
        child = start(*arguments)  # type: ignore[arg-type]
        for act in acts:
            act(child)
        return child

    monkeypatch.setattr(dispatch, "_start", start_and_play)


def keep_result(run: RunContext) -> Callable[[FlowRun], object]:
    fencing = Fencing(run.run_id, run.project, run.fence)
    keep = open_workspace().registry.commit_step
    return lambda child: keep(fencing, key=KEY, step="train", result={}, blobs=[], seconds=0.0)


def crash(shop: Shop) -> Callable[[FlowRun], object]:
    def act(child: FlowRun) -> None:
        with shop.client() as client:
            client.set_flow_run_state(child.id, Crashed(), force=True)

    return act


def delete(shop: Shop) -> Callable[[FlowRun], object]:
    def act(child: FlowRun) -> None:
        with shop.client() as client:
            client.delete_flow_run(child.id)

    return act


@pytest.mark.parametrize(("end", "left"), [(crash, ["Crashed"]), (delete, [])], ids=["crashed", "deleted"])
def test_a_child_whose_result_was_kept_has_done_its_work_however_it_ended(
    end: Callable[[Shop], Callable[[FlowRun], object]],
    left: list[str],
    shop: Shop,
    run: RunContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop.pretend_worker(POOL)
    play(monkeypatch, keep_result(run), end(shop))
    dispatch._dispatch("fit/gpu", run, PARTS, KEY)
    assert [child.state_name for child in shop.children("gpu")] == left


def test_a_child_that_somebody_deletes_fails_its_run_at_once(
    shop: Shop, run: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.pretend_worker(POOL)
    play(monkeypatch, delete(shop))
    with pytest.raises(DispatchFailed, match=f"the training on {POOL} was deleted in Prefect"):
        dispatch._dispatch("fit/gpu", run, PARTS, KEY)


def test_children_that_crash_are_two_and_the_run_says_what_to_do(
    shop: Shop, run: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.pretend_worker(POOL)
    play(monkeypatch, crash(shop))
    with pytest.raises(DispatchFailed, match="the training on the pool ended as Crashed") as caught:
        dispatch._dispatch("fit/gpu", run, PARTS, KEY)
    assert "mostly ran out of memory" in caught.value.remedy
    assert [child.state_name for child in shop.children("gpu")] == ["Crashed", "Crashed"]


def refusal(shop: Shop) -> str:
    with shop.client() as client, pytest.raises(NoWorker) as caught:
        require_worker(client, client.read_deployment_by_name("fit/gpu"), PROJECT, "wait for one")
    return str(caught.value)


def test_a_pool_that_is_paused_or_gone_is_said_with_what_to_do(shop: Shop) -> None:
    shop.pretend_worker(POOL)
    with shop.client() as client:
        target = client.read_deployment_by_name("fit/gpu")
        require_worker(client, target, PROJECT, "wait for one")
        client.update_work_pool(POOL, WorkPoolUpdate(is_paused=True))
        assert f"the work pool {POOL} is paused" in refusal(shop)
        assert f"prefect work-pool resume {POOL}" in refusal(shop)
        gone = target.model_copy(update={"work_pool_name": "gone-pool"})
        with pytest.raises(NoWorker, match="expected the queue default of the work pool gone-pool") as caught:
            require_worker(client, gone, PROJECT, "wait for one")
        assert "keepfit deploy" in caught.value.remedy


def test_a_queue_that_is_paused_or_in_no_workers_list_is_said_with_what_to_do(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.pretend_worker(POOL)
    with shop.client() as client:
        queue = client.read_work_queue_by_name("default", work_pool_name=POOL)
        client.update_work_queue(queue.id, is_paused=True)
        assert f"prefect work-queue resume default --pool {POOL}" in refusal(shop)
        client.update_work_queue(queue.id, is_paused=False)
    monkeypatch.setattr(workers, "UNASKED_S", 0.0)
    assert f"the workers of {POOL} serve other queues than default" in refusal(shop)
    assert "or wait for one." in refusal(shop)


def test_a_run_that_lost_its_project_waits_no_longer_and_cancels_the_child(
    shop: Shop, run: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.pretend_worker(POOL)
    monkeypatch.setattr(dispatch, "LOOK_AT_LEASE_S", 0.2)
    with pytest.raises(LeaseLost):
        dispatch._dispatch("fit/gpu", run.model_copy(update={"fence": run.fence - 1}), PARTS, KEY)
    assert [child.state_name for child in shop.children("gpu")] == ["Cancelled"]


def test_where_neither_pool_is_served_nobody_is_told_to_do_what_was_just_tried(shop: Shop, run: RunContext) -> None:
    with pytest.raises(NoWorker, match=rf"serves {POOL}, found none.*Nor can the CPU train instead") as caught:
        dispatch._train_on_pool(run, PARTS, KEY, Compute(device="gpu", fallback="cpu"))
    assert "compute.fallback" not in str(caught.value)


def test_a_child_that_is_not_done_in_time_is_cancelled(
    shop: Shop, run: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(POLICIES, "train", POLICIES["train"]._replace(timeout_s=1.0))
    shop.pretend_worker(POOL)
    with shop.client() as client:
        target = client.read_deployment_by_name("fit/gpu")
        child = client.create_flow_run_from_deployment(target.id, parameters={})
        with pytest.raises(DispatchFailed, match=f"expected the training on {POOL} to end within"):
            dispatch._await(client, child, target, run)
    assert [child.state_name for child in shop.children("gpu")] == ["Cancelled"]

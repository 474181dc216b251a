"""The sweeper's parts, each on real servers: what is dead ends, what lives is left alone."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Crashed, Pending, Running, Scheduled

from flows import reconciling
from flows.orchestrator import FLOW_RUN
from flows.reconciling import LEDGERED, cancel_children, crash_stuck, reconcile, skip_late_sweeps
from flows.sweeping import GRACE, SweepReport, delete_orphans
from infra.artifacts.reference import FRESH_FOR
from infra.artifacts.store import BlobStore, open_store
from infra.registry.records import Holder, RunGrant
from infra.registry.registry import Registry, open_registry
from tests.flows.conftest import Place
from tests.infra.registry.builders import begin, commit, dead_holder, grow_old, search

NOW_IS_LATER = timedelta(days=30)
ELSEWHERE = Holder(host="another-host", boot_id="another boot", pid=1, process_started_s=1.0)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with open_registry(f"sqlite:///{tmp_path / 'registry.db'}") as opened:
        yield opened


@pytest.fixture
def client(prefect_url: str) -> Iterator[SyncPrefectClient]:
    with temporary_settings({PREFECT_API_URL: prefect_url}), get_client(sync_client=True) as opened:
        yield opened


def make(client: SyncPrefectClient, name: str, state: State[Any], *, tags: tuple[str, ...] = (), **given: Any) -> UUID:
    """Put a flow run of the flow `name` into Prefect, as if a process had brought it there."""

    @flow(name=name)
    def standing(**parameters: Any) -> None: ...

    made = client.create_flow_run(standing, parameters=given, state=Scheduled(), tags=tags)
    if state.type == StateType.CANCELLING:
        client.set_flow_run_state(made.id, Running(), force=True)  # what waits is cancelled at once
    client.set_flow_run_state(made.id, state, force=True)
    return made.id


def state_of(client: SyncPrefectClient, flow_run: UUID) -> str:
    state = client.read_flow_run(flow_run).state
    assert state is not None
    return str(state.type.value)


def begun(
    client: SyncPrefectClient, registry: Registry, state: State[Any], flow: str = "retrain", **how: Any
) -> tuple[UUID, RunGrant]:
    """A run that both Prefect and the registry know."""
    flow_run = make(client, flow, state, project="iris")
    return flow_run, begin(registry, parameters={FLOW_RUN: str(flow_run)}, **how)


pytestmark = pytest.mark.engine


@pytest.mark.parametrize("flow", LEDGERED)
def test_a_dead_run_ends_in_prefect_at_once_when_the_registry_has_ended_it(
    flow: str, client: SyncPrefectClient, registry: Registry
) -> None:
    dead, grant = begun(client, registry, Running(), flow, holder=dead_holder())
    assert reconcile(client, registry) == ()  # the registry says that it runs

    assert [run.run_id for run in registry.end_dead_runs("sweeper")] == [grant.run_id]
    assert len(reconcile(client, registry)) == 1

    assert state_of(client, dead) == "CRASHED"
    assert "is gone" in str(client.read_flow_run(dead).state.message)  # type: ignore[union-attr]
    assert reconcile(client, registry) == ()


def test_runs_that_ended_while_prefect_did_not_answer_are_brought_to_their_ends(
    client: SyncPrefectClient, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {}
    for ended in ("completed", "failed", "cancelled"):
        flow_run, grant = begun(client, registry, Running())
        registry.finish_run(grant, state=ended, outcome={"status": "released"}, error=None)  # type: ignore[arg-type]
        shown[flow_run] = (ended.upper(), grant.run_id)
    assert reconcile(client, registry) == ()  # they may be writing their pages
    assert {state_of(client, flow_run) for flow_run in shown} == {"RUNNING"}

    monkeypatch.setattr(reconciling, "SETTLE", timedelta(0))
    assert len(reconcile(client, registry)) == 3
    for flow_run, (state, run_id) in shown.items():
        assert state_of(client, flow_run) == state
        assert run_id in str(client.read_flow_run(flow_run).state.message)  # type: ignore[union-attr]


def test_a_flow_run_that_somebody_has_run_again_is_not_ended_for_what_it_was_before(
    client: SyncPrefectClient, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its start and its own run in the ledger, the ledger has only the run that died."""
    flow_run, _ = begun(client, registry, Running(), holder=dead_holder())
    registry.end_dead_runs("sweeper")
    reconcile(client, registry)
    client.set_flow_run_state(flow_run, Running(), force=True)
    assert reconcile(client, registry) == ()
    assert state_of(client, flow_run) == "RUNNING"
    monkeypatch.setattr(reconciling, "START_PATIENCE", timedelta(0))
    assert len(reconcile(client, registry)) == 1  # it never came so far


def test_a_run_that_lived_on_is_not_left_as_crashed(client: SyncPrefectClient, registry: Registry) -> None:
    flow_run, grant = begun(client, registry, Crashed(message="no heartbeat came through"))
    assert reconcile(client, registry) == ()  # it may crash yet
    registry.finish_run(grant, state="completed", outcome={"status": "held"})
    reconcile(client, registry)
    assert state_of(client, flow_run) == "COMPLETED"


def test_of_the_crashed_runs_only_those_of_the_last_day_are_asked_for(
    client: SyncPrefectClient, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def hear(reply: httpx.Response) -> None:
        told.append(reply.read().decode())

    flow_run, grant = begun(client, registry, Crashed(message="no heartbeat came through"))
    registry.finish_run(grant, state="completed", outcome={"status": "held"})
    monkeypatch.setitem(client._client.event_hooks, "response", [hear])
    with monkeypatch.context() as later:
        later.setattr(reconciling, "RECENT", timedelta(0))
        assert reconcile(client, registry) == ()
    assert told
    assert str(flow_run) not in "".join(told), "the server sent what nobody wanted"
    reconcile(client, registry)
    assert state_of(client, flow_run) == "COMPLETED"


def test_flow_runs_that_no_ledger_knows_are_left_alone(
    client: SyncPrefectClient, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "SETTLE", timedelta(0))
    registry.finish_run(begin(registry, parameters={FLOW_RUN: "another"}), state="completed", outcome={})
    strangers = [make(client, "retrain", Running(), project=name) for name in ("iris", "Not A Name", "imdb")]
    strangers.append(make(client, "retrain", Running()))
    assert reconcile(client, registry) == ()
    assert [state_of(client, stranger) for stranger in strangers] == ["RUNNING"] * 4


def test_the_trainings_of_a_run_that_ended_are_cancelled_and_no_others(
    client: SyncPrefectClient, registry: Registry
) -> None:
    grant = begin(registry, holder=dead_holder())
    alive = begin(registry, "imdb")
    wanted = [(Scheduled(), "CANCELLED"), (Pending(), "CANCELLING"), (Running(), "CANCELLING")]
    children = {
        make(client, "fit", state, run={"run_id": grant.run_id, "project": "iris"}): becomes
        for state, becomes in wanted
    }
    others = [
        make(client, "fit", Running(), run={"run_id": alive.run_id, "project": "imdb"}),
        make(client, "fit", Running(), run={"run_id": "0" * 32, "project": "iris"}),
        make(client, "fit", Running(), run="not ours"),
    ]
    assert cancel_children(client, registry) == ()  # the registry says that the run goes on

    registry.end_dead_runs("sweeper")
    assert len(cancel_children(client, registry)) == 3
    assert {child: state_of(client, child) for child in children} == children
    assert [state_of(client, other) for other in others] == ["RUNNING"] * 3
    assert cancel_children(client, registry) == ()


def test_a_training_that_no_worker_cancels_in_time_is_cancelled_for_it(
    client: SyncPrefectClient, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = begin(registry, holder=dead_holder())
    child = make(client, "fit", Cancelling(), run={"run_id": grant.run_id, "project": "iris"})
    registry.end_dead_runs("sweeper")
    assert cancel_children(client, registry) == ()
    monkeypatch.setattr(reconciling, "CANCEL_PATIENCE", timedelta(0))
    assert len(cancel_children(client, registry)) == 1
    assert state_of(client, child) == "CANCELLED"


def test_what_never_got_going_ends_and_what_is_young_waits_or_is_somebody_elses_stays(
    client: SyncPrefectClient,
) -> None:
    ours = ("keepfit",)
    stuck = [make(client, "retrain", Pending(), tags=ours), make(client, "approve", Running(), tags=ours)]
    kept = {
        make(client, "retrain", Running(), tags=ours): "RUNNING",
        make(client, "retrain", Scheduled(), tags=ours): "SCHEDULED",
        make(client, "report", Pending(), tags=("finance",)): "PENDING",
    }
    assert crash_stuck(client, timedelta(minutes=10)) == ()
    time.sleep(0.2)
    assert len(crash_stuck(client, timedelta(seconds=0.1))) == 2
    assert [state_of(client, each) for each in stuck] == ["CRASHED", "CRASHED"]
    assert {each: state_of(client, each) for each in kept} == kept


def test_of_the_sweeps_that_no_worker_took_in_time_none_is_made_up_for(client: SyncPrefectClient) -> None:
    late, due = (
        make(client, "sweep", Scheduled(scheduled_time=datetime.now(UTC) - timedelta(minutes=age)), tags=("keepfit",))
        for age in (30, 5)
    )
    skip_late_sweeps(client, timedelta(minutes=10))
    assert (state_of(client, late), state_of(client, due)) == ("CANCELLED", "SCHEDULED")


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.servers)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "file":
        return open_store((tmp_path / "store").as_uri())
    return open_store(request.getfixturevalue("s3_store_url"))


def digests(store: BlobStore) -> set[str]:
    return {blob.digest for blob in store.list_blobs()}


def test_only_blobs_that_nothing_names_and_that_are_old_are_deleted(store: BlobStore, registry: Registry) -> None:
    named, orphan = (store.put_bytes(text, "text/plain") for text in (b"named", b"orphan"))
    grant = begin(registry)
    commit(registry, grant, blobs=[named])
    registry.finish_run(grant, state="completed", outcome={})

    now = datetime.now(UTC)
    assert delete_orphans(store, registry, timedelta(0), now) == (0, 0)  # no grace is shorter than FRESH_FOR
    assert delete_orphans(store, registry, GRACE, now + GRACE - timedelta(minutes=1)) == (0, 0)
    assert digests(store) == {named.digest, orphan.digest}

    assert delete_orphans(store, registry, GRACE, now + NOW_IS_LATER) == (1, len(b"orphan"))
    assert digests(store) == {named.digest}
    assert delete_orphans(store, registry, GRACE, now + NOW_IS_LATER) == (0, 0)


def test_what_a_run_in_flight_may_have_put_is_spared_however_long_it_takes(
    store: BlobStore, registry: Registry
) -> None:
    grant = begin(registry, holder=ELSEWHERE, lease_s=3600)
    store.put_bytes(b"the snapshot of a long training", "text/plain")
    later = datetime.now(UTC) + NOW_IS_LATER
    assert delete_orphans(store, registry, GRACE, later) == (0, 0)
    registry.finish_run(grant, state="failed", outcome={}, error="out of memory")
    assert delete_orphans(store, registry, GRACE, later)[0] == 1


def test_the_newest_checkpoint_of_a_training_is_no_orphan_until_it_is_forgotten(
    store: BlobStore, registry: Registry
) -> None:
    checkpoint = store.put_bytes(b"weights of last week", "application/zip")
    registry.point_checkpoint(key=checkpoint.digest, project="iris", ref=checkpoint)
    later = datetime.now(UTC) + NOW_IS_LATER
    assert delete_orphans(store, registry, GRACE, later) == (0, 0)
    registry.drop_old_checkpoints(-NOW_IS_LATER)
    assert delete_orphans(store, registry, GRACE, later)[0] == 1


class Interrupted:
    """A store in which something happens between the listing of its blobs and the second look at one of them."""

    def __init__(self, store: BlobStore, event: Callable[[], object]) -> None:
        self._store, self._event = store, event
        self.delete, self.list_blobs = store.delete, store.list_blobs

    def modified_at(self, digest: str) -> datetime | None:
        self._event()
        return self._store.modified_at(digest)


def test_a_blob_that_is_named_between_the_two_looks_is_kept(tmp_path: Path, registry: Registry) -> None:
    store = open_store((tmp_path / "store").as_uri())
    late = store.put_bytes(b"named late", "text/plain")
    between = Interrupted(store, lambda: commit(registry, begin(registry), blobs=[late]))
    later = datetime.now(UTC) + NOW_IS_LATER
    assert delete_orphans(between, registry, GRACE, later) == (0, 0)  # type: ignore[arg-type]
    assert digests(store) == {late.digest}


def test_a_blob_that_is_put_again_between_the_two_looks_is_kept(tmp_path: Path, registry: Registry) -> None:
    store = open_store((tmp_path / "store").as_uri())
    again = store.put_bytes(b"put again", "text/plain")
    path = tmp_path / "store" / again.key
    old = time.time() - (GRACE + FRESH_FOR).total_seconds()
    os.utime(path, (old, old))
    between = Interrupted(store, lambda: store.put_bytes(b"put again", "text/plain"))
    assert delete_orphans(between, registry, GRACE, datetime.now(UTC)) == (0, 0)  # type: ignore[arg-type]
    assert digests(store) == {again.digest}


def test_a_report_says_what_was_found_and_says_so_where_nothing_was() -> None:
    assert SweepReport().lines() == ["Nothing was dead, stuck or left over."]
    lines = SweepReport(crashed=("iris 1",), orphans=2, orphan_bytes=2048, leftovers=1, studies=1, trials=20).lines()
    assert lines == [
        "ended 1 dead run(s) in the registry: iris 1",
        "deleted 2 blob(s) that nothing named, 2,048 bytes",
        "removed 1 unfinished write(s)",
        "forgot 1 old search(es) of parameters with 20 trial(s)",
    ]


def test_keepfit_sweep_ends_a_dead_run_in_both_places_and_then_finds_nothing(
    place: Place, client: SyncPrefectClient
) -> None:
    with open_registry(place.database) as registry:
        flow_run, grant = begun(client, registry, Running(), holder=dead_holder())
        grow_old(registry, search(registry, "an old search", project="imdb"))
        found = place.answer("sweep")
        assert (found["studies"], found["trials"]) == (1, 2)  # type: ignore[index]
        assert found["crashed"] == [f"iris {grant.run_id}"]  # type: ignore[index]
        assert len(found["reconciled"]) == 1  # type: ignore[index]
        assert registry.run(grant.run_id).state == state_of(client, flow_run).lower() == "crashed"
        assert [row.actor for row in registry.audit("iris") if row.action == "run.crash"] == ["sweep by tester"]
    code, said = place.keepfit("sweep")
    assert (code, said.strip()) == (0, "Nothing was dead, stuck or left over.")

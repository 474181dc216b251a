"""Runs, leases and the ledger of steps: the contract, on both databases."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from infra.errors import DuplicateTrigger, LeaseHeld, LeaseLost, UsageError
from infra.registry.holder import describe_process, is_dead
from infra.registry.records import Fencing, Holder, RunGrant
from infra.registry.registry import Registry
from tests.infra.registry.builders import begin, commit, dead_holder, digest, promote, reference, register

ELSEWHERE = Holder(host="another-host", boot_id="another boot", pid=1, process_started_s=1.0)


def end(registry: Registry, grant: RunGrant, state: str = "completed", **changes: object) -> None:
    registry.finish_run(grant, **{"state": state, "outcome": {}} | changes)  # type: ignore[arg-type]


def test_a_run_is_recorded_as_it_was_begun_and_ended(registry: Registry) -> None:
    grant = begin(registry, trigger_kind="drift", trigger_key="drift 2013-07", why="delay moved", parameters={"b": 1})
    end(registry, grant, outcome={"released": True})

    row = registry.run(grant.run_id)
    assert (row.project, row.flow, row.trigger_key, row.why) == ("iris", "retrain", "drift 2013-07", "delay moved")
    assert (row.state, row.parameters, row.outcome, row.error) == ("completed", {"b": 1}, {"released": True}, None)
    assert row.pid == describe_process().pid
    assert row.ended_at is not None
    assert row.started_at <= row.ended_at
    assert str(row.started_at.tzinfo) == str(row.ended_at.tzinfo) == "UTC"


def test_a_second_run_of_a_project_is_told_who_holds_the_lease(registry: Registry) -> None:
    grant = begin(registry)
    holder = describe_process()
    with pytest.raises(LeaseHeld, match=rf"{grant.run_id}.*process {holder.pid} on {holder.host}, since .* until"):
        begin(registry)
    assert begin(registry, project="imdb").fence == 1


def test_fences_of_a_project_only_grow(registry: Registry) -> None:
    fences = []
    for state in ("completed", "failed", "cancelled", "completed"):
        grant = begin(registry)
        fences.append(grant.fence)
        end(registry, grant, state)
    assert fences == [1, 2, 3, 4]


def test_the_run_of_a_dead_process_is_marked_crashed_at_once(registry: Registry) -> None:
    dead = begin(registry, holder=dead_holder(), trigger_key="drift 2013-07", lease_s=3600)

    grant = begin(registry, trigger_key="drift 2013-07")

    assert grant.crashed_run_ids == (dead.run_id,)
    row = registry.run(dead.run_id)
    assert row.state == "crashed"
    assert row.ended_at is not None
    assert "is gone" in str(row.error)
    assert row.trigger_key == "drift 2013-07"
    assert [entry.subject for entry in registry.audit("iris") if entry.action == "run.crash"] == [dead.run_id]


def test_a_dead_run_is_marked_crashed_even_where_the_new_one_is_refused(registry: Registry) -> None:
    end(registry, begin(registry, trigger_key="a"))
    dead = begin(registry, holder=dead_holder())
    with pytest.raises(DuplicateTrigger):
        begin(registry, trigger_key="a")
    assert registry.run(dead.run_id).state == "crashed"
    assert begin(registry).crashed_run_ids == ()


def test_a_process_elsewhere_keeps_its_lease_until_the_lease_ends(registry: Registry) -> None:
    away = begin(registry, holder=ELSEWHERE, lease_s=0.3)
    with pytest.raises(LeaseHeld, match="another-host"):
        begin(registry)
    time.sleep(0.35)
    assert begin(registry).crashed_run_ids == (away.run_id,)


def test_renewing_keeps_the_lease_beyond_its_first_end(registry: Registry) -> None:
    grant = begin(registry, lease_s=0.2)
    registry.renew_lease(grant, lease_s=60)
    time.sleep(0.25)
    with pytest.raises(LeaseHeld):
        begin(registry)


def test_a_run_that_lost_its_lease_is_refused_on_every_write(registry: Registry) -> None:
    stale = begin(registry, lease_s=0.05)
    register(registry, stale, key="before")
    promote(registry, 1, 0)
    time.sleep(0.1)
    fresh = begin(registry)
    before = registry.audit("iris")

    writes: dict[str, Callable[[], object]] = {
        "renew": lambda: registry.renew_lease(stale),
        "step": lambda: commit(registry, stale),
        "version": lambda: register(registry, stale, key="late"),
        "known version": lambda: register(registry, stale, key="before"),
        "test use": lambda: registry.record_test_use(stale, "iris", digest("test rows"), digest("late")),
        "release": lambda: promote(registry, 1, 1, fencing=stale),
        "finish": lambda: end(registry, stale),
    }
    for write in writes.values():
        with pytest.raises(LeaseLost, match=f"fence {fresh.fence}"):
            write()
    assert registry.audit("iris") == before
    assert registry.find_step(digest("ingest")) is None
    assert registry.run(stale.run_id).state == "crashed"
    assert commit(registry, fresh) == {"rows": 150}


def test_an_expired_lease_that_nobody_took_still_belongs_to_its_run(registry: Registry) -> None:
    grant = begin(registry, lease_s=0.05)
    time.sleep(0.1)
    assert commit(registry, grant) == {"rows": 150}
    registry.renew_lease(grant)


def test_a_finished_run_writes_nothing_more(registry: Registry) -> None:
    grant = begin(registry)
    end(registry, grant)
    with pytest.raises(LeaseLost, match="held by nobody"):
        commit(registry, grant)


def test_a_fence_that_was_made_up_is_refused(registry: Registry) -> None:
    grant = begin(registry)
    with pytest.raises(LeaseLost):
        commit(registry, Fencing(grant.run_id, "iris", grant.fence + 1))
    with pytest.raises(LeaseLost):
        commit(registry, Fencing("0" * 32, "iris", grant.fence))
    with pytest.raises(LeaseLost):
        commit(registry, Fencing(grant.run_id, "imdb", grant.fence))


def test_ending_a_run_twice_is_once_and_in_another_state_is_refused(registry: Registry) -> None:
    grant = begin(registry)
    end(registry, grant)
    end(registry, grant)
    with pytest.raises(LeaseLost):
        end(registry, grant, "failed")
    assert [row.action for row in registry.audit("iris")] == ["run.completed", "run.begin"]


@pytest.mark.parametrize(
    ("state", "retryable", "frees"),
    [("completed", False, False), ("failed", False, False), ("failed", True, True), ("cancelled", False, False)],
    ids=["completed keeps", "failed for good keeps", "failed in passing frees", "cancelled keeps"],
)
def test_a_trigger_key_is_freed_only_by_a_run_that_had_no_effect(
    registry: Registry, state: str, retryable: bool, frees: bool
) -> None:
    first = begin(registry, trigger_key="drift 2013-07")
    end(registry, first, state, retryable=retryable)
    if frees:
        assert begin(registry, trigger_key="drift 2013-07").run_id != first.run_id
        return
    with pytest.raises(DuplicateTrigger, match=first.run_id) as caught:
        begin(registry, trigger_key="drift 2013-07")
    assert caught.value.run_id == first.run_id


def test_a_trigger_that_is_running_answers_with_its_run_and_not_with_the_lease(registry: Registry) -> None:
    first = begin(registry, trigger_key="drift 2013-07")
    with pytest.raises(DuplicateTrigger) as caught:
        begin(registry, trigger_key="drift 2013-07")
    assert caught.value.run_id == first.run_id


def test_trigger_keys_of_two_projects_are_apart(registry: Registry) -> None:
    assert begin(registry, trigger_key="2013-07").run_id != begin(registry, "imdb", trigger_key="2013-07").run_id


def test_runs_are_listed_newest_first(registry: Registry) -> None:
    ids = []
    for project in ("iris", "imdb", "iris"):
        grant = begin(registry, project)
        ids.append(grant.run_id)
        end(registry, grant)
    assert [row.run_id for row in registry.runs()] == ids[::-1]
    assert [row.run_id for row in registry.runs("iris")] == [ids[2], ids[0]]
    assert [row.run_id for row in registry.runs(limit=1)] == [ids[2]]
    assert registry.projects() == ["imdb", "iris"]


def test_a_long_error_is_cut_and_one_that_cannot_be_encoded_is_kept(registry: Registry) -> None:
    grant = begin(registry)
    end(registry, grant, "failed", error="NUL \x00 and \ud800 " + "x" * 10_000)
    error = registry.run(grant.run_id).error
    assert error is not None
    assert len(error) == 4_000
    assert error.startswith("NUL ")


def test_a_step_committed_twice_keeps_the_first_result(registry: Registry) -> None:
    first = begin(registry)
    assert registry.find_step(digest("ingest")) is None
    assert commit(registry, first, result={"z": 1, "a": [1.5, None, "é"]}) == {"z": 1, "a": [1.5, None, "é"]}
    end(registry, first, "failed")
    second = begin(registry)
    assert commit(registry, second, result={"other": True}) == {"z": 1, "a": [1.5, None, "é"]}
    assert registry.find_step(digest("ingest")) == {"z": 1, "a": [1.5, None, "é"]}
    assert [row.run_id for row in registry.steps(first.run_id)] == [first.run_id]
    assert registry.steps(second.run_id) == []


def test_steps_are_listed_in_the_order_of_their_commits(registry: Registry) -> None:
    grant = begin(registry)
    for name in ("validate", "ingest", "train"):
        commit(registry, grant, of=name, step=name, blobs=[reference(name)], seconds=0.25)
    rows = registry.steps(grant.run_id)
    assert [row.step for row in rows] == ["validate", "ingest", "train"]
    assert rows[0].blobs == (digest("validate"),)
    assert rows[0].seconds == 0.25


def test_the_blobs_of_a_step_are_known_once_it_is_committed(registry: Registry) -> None:
    grant = begin(registry)
    refs = [reference("model"), reference("rows"), reference("model")]
    assert not registry.knows_blob(digest("model"))
    commit(registry, grant, blobs=refs)
    commit(registry, grant, of="again", blobs=refs)
    assert registry.knows_blob(digest("model"))
    assert list(registry.known_blobs()) == sorted(refs[:2], key=lambda ref: ref.digest)


def test_every_known_blob_is_listed_however_many_there_are(registry: Registry) -> None:
    refs = [reference(str(number)) for number in range(2_100)]
    commit(registry, begin(registry), blobs=refs)
    assert [ref.digest for ref in registry.known_blobs()] == sorted(ref.digest for ref in refs)


@pytest.mark.parametrize("project", ["", "Iris", "../etc", "iris\n", "i" * 64, "iris'; --"], ids=repr)
def test_a_project_that_is_no_name_is_refused_at_the_door(registry: Registry, project: str) -> None:
    with pytest.raises(UsageError, match="project: expected"):
        begin(registry, project)
    with pytest.raises(UsageError, match="project: expected"):
        registry.champion(project)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "short"}, "step key: expected 64"),
        ({"key": "G" * 64}, "step key: expected 64"),
        ({"step": ""}, "step: expected some text"),
        ({"step": "a\x00b"}, "step: expected text without NUL"),
        ({"result": {"loss": float("nan")}}, "result of ingest: expected plain JSON"),
        ({"result": {"when": object()}}, "result of ingest: expected plain JSON"),
        ({"result": {"bulk": "x" * 4_000_001}}, "at most 4,000,000 bytes"),
    ],
    ids=["short key", "not hex", "no name", "nul", "nan", "object", "bulk"],
)
def test_what_may_not_enter_is_refused_by_name(registry: Registry, changes: dict[str, Any], message: str) -> None:
    grant = begin(registry)
    with pytest.raises(UsageError, match=message):
        commit(registry, grant, **changes)
    assert registry.steps(grant.run_id) == []


def test_a_lease_lasts_more_than_no_time(registry: Registry) -> None:
    with pytest.raises(UsageError, match="lease_s"):
        begin(registry, lease_s=0)


def test_an_unknown_run_is_said_to_be_unknown(registry: Registry) -> None:
    with pytest.raises(UsageError, match="There is no run 0000"):
        registry.run("0" * 32)


def test_only_a_process_that_is_certainly_gone_counts_as_dead() -> None:
    alive = describe_process()
    assert not is_dead(alive)
    assert is_dead(dead_holder())
    assert not is_dead(dead_holder().model_copy(update={"host": "elsewhere"}))
    assert not is_dead(dead_holder().model_copy(update={"boot_id": "another container"}))
    assert is_dead(alive.model_copy(update={"process_started_s": alive.process_started_s - 60})), "a reused pid"

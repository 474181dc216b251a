"""Runs that died without a word, ended by whoever sweeps: on both databases."""

import time
from functools import partial

import pytest

from infra.artifacts.reference import ArtifactRef
from infra.errors import LeaseLost
from infra.registry.reading import PAGE
from infra.registry.records import Holder
from infra.registry.registry import Registry
from infra.registry.runs import end_dead_run
from tests.infra.registry.builders import begin, commit, dead_holder, digest, reference

ELSEWHERE = Holder(host="another-host", boot_id="another boot", pid=1, process_started_s=1.0)


def test_dead_and_expired_runs_end_as_crashed_and_living_ones_go_on(registry: Registry) -> None:
    gone = begin(registry, "iris", holder=dead_holder(), lease_s=3600)
    late = begin(registry, "imdb", holder=ELSEWHERE, lease_s=0.05)
    alive = begin(registry, "penguins")
    away = begin(registry, "flights", holder=ELSEWHERE, lease_s=3600)
    time.sleep(0.1)

    ended = registry.end_dead_runs("sweeper")

    assert {run.run_id: run.state for run in ended} == {gone.run_id: "crashed", late.run_id: "crashed"}
    assert all(run.ended_at is not None and run.error for run in ended)
    assert {run.run_id for run in registry.runs(state="running")} == {alive.run_id, away.run_id}
    crashes = [row for row in registry.audit() if row.action == "run.crash"]
    assert {(row.subject, row.actor) for row in crashes} == {(gone.run_id, "sweeper"), (late.run_id, "sweeper")}


def test_the_trigger_and_the_lease_of_a_swept_run_are_free_and_its_writes_refused(registry: Registry) -> None:
    dead = begin(registry, holder=dead_holder(), trigger_key="drift 2013-07")
    registry.end_dead_runs("sweeper")

    with pytest.raises(LeaseLost):
        commit(registry, dead)
    assert begin(registry, trigger_key="drift 2013-07").crashed_run_ids == ()


def test_a_second_sweep_finds_nothing_and_writes_nothing(registry: Registry) -> None:
    begin(registry, holder=dead_holder())
    assert len(registry.end_dead_runs("sweeper")) == 1
    before = registry.audit()
    assert registry.end_dead_runs("sweeper") == ()
    assert registry.audit() == before


def test_the_second_try_of_one_sweep_finds_the_run_that_the_first_ended(registry: Registry) -> None:
    dead = begin(registry, holder=dead_holder())
    end = partial(end_dead_run, project="iris", actor="sweeper", finder="one sweep")
    assert registry._database.write(end).run_id == dead.run_id
    assert registry._database.write(end).run_id == dead.run_id  # the reply to the first COMMIT was lost
    begin(registry)
    assert registry._database.write(end).run_id == dead.run_id
    assert len([row for row in registry.audit() if row.action == "run.crash"]) == 1


def test_which_blobs_are_known_is_one_question_however_many(registry: Registry) -> None:
    known = [reference(f"blob {number}") for number in range(3)]
    commit(registry, begin(registry), blobs=known)
    unknown = [digest(f"orphan {number}") for number in range(PAGE + 1)]
    assert registry.known_among([*unknown, *digests(known)]) == set(digests(known))
    assert registry.known_among([]) == frozenset()


def digests(references: list[ArtifactRef]) -> list[str]:
    return [ref.digest for ref in references]

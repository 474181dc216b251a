"""Studies and trials: claimed by one process at a time, finished once, on both databases."""

from multiprocessing.synchronize import Barrier
from typing import Any

import pytest

from infra.errors import LeaseLost, UsageError
from infra.registry.records import StudyRow, TrialClaim
from infra.registry.registry import Registry, open_registry
from infra.registry.trials import Proposal, TrialResult
from tests.infra.registry.builders import dead_holder, digest
from tests.infra.registry.crew import Crew

KEY = digest("study")
PROPOSALS = [Proposal(number, {"k": number * 2 + 1}) for number in range(4)]


def open_study(registry: Registry, content: str = "study", **changes: Any) -> StudyRow:
    values: dict[str, Any] = {"project": "iris", "candidate": "knn", "settings": {"trials": 4}, "actor": "tester"}
    return registry.open_study(key=digest(content), **values | changes)


def claim(registry: Registry, **changes: Any) -> TrialClaim:
    found = registry.claim_trial(KEY, changes.pop("proposals", PROPOSALS), **changes)
    assert found is not None
    return found


def ended(*scores: float, state: Any = "complete", **changes: Any) -> TrialResult:
    values: dict[str, Any] = {"value": sum(scores) / len(scores) if scores else None, "error": "", "seconds": 0.5}
    return TrialResult(state, scores, **values | changes)


@pytest.fixture
def registry(registry: Registry) -> Registry:
    open_study(registry)
    return registry


def test_a_study_is_opened_once_and_found_again(registry: Registry) -> None:
    first = registry.study(KEY)
    assert open_study(registry, actor="somebody else", settings={"trials": 9}) == first
    other = open_study(registry, "other", candidate="forest")
    assert {row.key for row in registry.studies("iris")} == {first.key, other.key}
    assert registry.studies("imdb") == []
    assert [row.action for row in registry.audit("iris")] == ["study.open"] * 2
    with pytest.raises(UsageError, match="expected one that was opened"):
        registry.study(digest("never"))


def test_each_claim_gets_another_trial_until_there_is_none(registry: Registry) -> None:
    claims = [claim(registry, worker=f"w{at}") for at in range(4)]
    assert [one.number for one in claims] == [0, 1, 2, 3]
    assert [one.params for one in claims] == [one.params for one in PROPOSALS]
    assert registry.claim_trial(KEY, PROPOSALS) is None
    assert registry.claim_trial(KEY, []) is None
    assert {(row.number, row.state, row.worker) for row in registry.trials(KEY)} == {
        (at, "running", f"w{at}") for at in range(4)
    }


def test_a_finished_trial_keeps_its_figures_to_the_last_digit_and_is_never_claimed_again(registry: Registry) -> None:
    scores = (0.1 + 0.2, 1 / 3, 2**-1074)
    one = claim(registry)
    registry.finish_trial(one, ended(*scores))
    row = registry.trials(KEY)[0]
    assert (row.state, row.scores, row.value, row.params) == ("complete", scores, sum(scores) / 3, {"k": 1})
    assert row.finished_at is not None
    assert registry.claim_trial(KEY, PROPOSALS[:1]) is None
    assert [(note.action, note.subject) for note in registry.audit("iris", limit=1)] == [("trial.finish", f"{KEY}/0")]


def test_the_same_end_sent_twice_is_one(registry: Registry) -> None:
    one = claim(registry)
    registry.finish_trial(one, ended(0.5))
    registry.finish_trial(one, ended(0.5))
    assert [note.action for note in registry.audit("iris")].count("trial.finish") == 1


def test_a_claim_whose_lease_ended_goes_to_another_and_what_the_first_writes_is_refused(registry: Registry) -> None:
    first = claim(registry, lease_s=0.001)
    second = claim(registry, proposals=[Proposal(0, {"k": 1})])
    assert (second.number, second.params) == (first.number, first.params)
    for write in (registry.renew_claim, lambda late: registry.finish_trial(late, ended(0.1))):
        with pytest.raises(LeaseLost, match="trial 0 is no longer this process's"):
            write(first)
    registry.drop_claim(first)
    registry.finish_trial(second, ended(0.9))
    (row,) = registry.trials(KEY)
    assert (row.value, row.claims) == (0.9, 2)


def test_the_claim_of_a_dead_process_goes_to_another_at_once(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("infra.registry.tuning.describe_process", dead_holder)
        claim(registry, lease_s=3_600)
    assert claim(registry).number == 0


def test_a_renewed_claim_stays(registry: Registry) -> None:
    one = claim(registry, lease_s=0.001)
    registry.renew_claim(one, 3_600)
    assert registry.claim_trial(KEY, PROPOSALS[:1]) is None
    registry.finish_trial(one, ended(0.5))


def test_a_claim_that_is_let_go_is_free_and_as_if_it_had_never_been(registry: Registry) -> None:
    registry.drop_claim(claim(registry))
    assert registry.trials(KEY) == []
    assert claim(registry).number == 0


def test_a_claim_whose_answer_was_lost_finds_its_own_trial(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    class Same:
        hex = digest("token")[:32]

    monkeypatch.setattr("infra.registry.tuning.uuid4", Same)
    assert claim(registry) == claim(registry)
    assert [row.claims for row in registry.trials(KEY)] == [1]


@pytest.mark.parametrize("state", ["pruned", "failed"])
def test_a_trial_may_end_without_all_folds(registry: Registry, state: Any) -> None:
    registry.finish_trial(claim(registry), ended(0.25, state=state, error="why" * 9_000))
    row = registry.trials(KEY)[0]
    assert (row.state, row.scores, row.error[:6]) == (state, (0.25,), "whywhy")


ROUND = [Proposal(number, {"k": number}) for number in range(24)]


def work_through(index: int, barrier: Barrier, url: str) -> list[int]:
    done = []
    with open_registry(url) as registry:
        barrier.wait()
        while found := registry.claim_trial(KEY, ROUND, worker=str(index)):
            registry.finish_trial(found, ended(float(found.number)))
            done.append(found.number)
    return done


@pytest.mark.slow
def test_eight_processes_finish_each_trial_once(registry: Registry, registry_url: str, crew: Crew) -> None:
    done = crew.run(work_through, registry_url)
    assert sorted(number for part in done for number in part) == list(range(24))
    rows = registry.trials(KEY)
    assert [(row.number, row.value, row.claims) for row in rows] == [(at, float(at), 1) for at in range(24)]
    assert [note.action for note in registry.audit("iris")].count("trial.finish") == 24


def test_a_claim_that_two_take_over_at_once_goes_to_one(registry: Registry, registry_url: str, crew: Crew) -> None:
    claim(registry, lease_s=0.001)
    won = crew.run(take_first, registry_url)
    assert won.count(True) == 1


def take_first(index: int, barrier: Barrier, url: str) -> bool:
    with open_registry(url) as registry:
        barrier.wait()
        return registry.claim_trial(KEY, PROPOSALS[:1]) is not None

"""Old studies are forgotten with their trials; what somebody works on, or a run may open, stays. On both databases."""

from datetime import timedelta

import pytest

from infra.errors import UsageError
from infra.registry.registry import Registry
from infra.registry.retention import AT_ONCE, Forgotten
from tests.infra.registry.builders import LONG_AGO, begin, digest, grow_old, search

AGE = timedelta(days=90)


def test_a_study_that_nobody_has_worked_on_for_long_is_forgotten_with_its_trials_and_no_other(
    registry: Registry,
) -> None:
    old, young, other = (search(registry, name) for name in ("old", "young", "other"))
    grow_old(registry, old)
    grow_old(registry, other)
    assert registry.forget_studies(LONG_AGO + timedelta(days=1), "tester") == Forgotten(0, 0)
    assert registry.forget_studies(AGE, "tester") == Forgotten(2, 4)
    assert [row.key for row in registry.studies("iris")] == [young]
    assert (len(registry.trials(old)), len(registry.trials(young))) == (0, 2)
    (note,) = (row for row in registry.audit("iris") if row.action == "study.forget")
    assert (note.detail["trials"], sorted(note.detail["keys"])) == (4, sorted([old, other]))
    assert registry.forget_studies(AGE, "tester") == Forgotten(0, 0)


@pytest.mark.parametrize("moment", ["claimed_at", "expires_at", "finished_at"])
def test_a_study_with_one_young_trial_stays(registry: Registry, moment: str) -> None:
    key = search(registry, "study")
    grow_old(registry, key, but_for=moment)
    assert registry.forget_studies(AGE, "tester") == Forgotten(0, 0)
    assert len(registry.trials(key)) == 2


def test_while_a_run_of_its_project_is_in_flight_a_study_stays_and_goes_after_it(registry: Registry) -> None:
    key, other = search(registry, "study"), search(registry, "other", project="imdb")
    grow_old(registry, key)
    grow_old(registry, other)
    grant = begin(registry)
    assert registry.forget_studies(AGE, "tester") == Forgotten(1, 2)
    assert [row.key for row in registry.studies("iris")] == [key]
    registry.finish_run(grant, state="completed", outcome={})
    assert registry.forget_studies(AGE, "tester") == Forgotten(1, 2)


def test_a_study_that_was_forgotten_is_opened_anew_and_its_trials_are_made_again(registry: Registry) -> None:
    key = search(registry, "study")
    grow_old(registry, key)
    registry.forget_studies(AGE, "tester")
    assert search(registry, "study") == key
    assert [row.state for row in registry.trials(key)] == ["complete"] * 2


def test_more_studies_than_one_transaction_takes_all_go(registry: Registry) -> None:
    for at in range(AT_ONCE + 1):
        registry.open_study(key=digest(str(at)), project="iris", candidate="knn", settings={}, actor="tester")
        grow_old(registry, digest(str(at)))
    assert registry.forget_studies(AGE, "tester") == Forgotten(AT_ONCE + 1, 0)


def test_less_than_a_day_is_refused(registry: Registry) -> None:
    with pytest.raises(UsageError, match="at least a day, received 23:00:00"):
        registry.forget_studies(timedelta(hours=23), "tester")

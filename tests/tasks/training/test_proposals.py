"""Which values a trial gets, and when one is ended: by earlier batches alone."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.contracts.tuning import Space, TrialRecord, Tuning
from tasks.training.proposals import (
    PRUNING_AFTER,
    batch_size,
    count_trials,
    is_hopeless,
    is_hopeless_epoch,
    list_values,
    propose,
    rebuild_study,
)

SEARCH = {
    "depth": Space(low=1, high=9, step=2),
    "rate": Space(low=1e-4, high=1.0, log=True),
    "share": Space(low=0.1, high=0.5, step=0.1),
    "kind": Space(choices=["a", 1, 1.0, True, None, [3, 2]]),
}
FINITE = {name: space for name, space in SEARCH.items() if space.size}


def is_within(space: Space, value: Any) -> bool:
    if space.size is not None:
        return json.dumps(value) in [json.dumps(one) for one in list_values(space)]
    return isinstance(value, float) and space.low <= value <= space.high


def records(params: list[dict[str, Any]], worth: Any) -> list[TrialRecord]:
    made = []
    for number, values in enumerate(params):
        scores = worth(number)
        value = sum(scores) / len(scores)
        made.append(TrialRecord(number=number, params=values, state="complete", scores=scores, value=value))
    return made


@pytest.mark.parametrize(
    ("space", "values"),
    [
        (Space(low=1, high=4), [1, 2, 3, 4]),
        (Space(low=1, high=8, step=3), [1, 4, 7]),
        (Space(low=0.1, high=0.5, step=0.1), [0.1, 0.2, 0.3, 0.4, 0.5]),
        (Space(choices=[None, True, "x"]), [None, True, "x"]),
    ],
    ids=["whole", "whole with a step", "steps of a tenth", "choices"],
)
def test_the_values_of_a_space_are_counted_and_listed(space: Space, values: list[Any]) -> None:
    assert (list_values(space), space.size) == (values, len(values))


@pytest.mark.parametrize(
    "space", [Space(low=0.5, high=1.0), Space(low=1, high=2.5), Space(low=0.1, high=1.0, log=True)]
)
def test_a_range_of_numbers_has_no_count(space: Space) -> None:
    assert space.size is None


def test_a_grid_is_every_combination_once_in_the_order_of_the_file() -> None:
    tuning = Tuning(method="grid", trials=3)
    search = {"a": Space(low=1, high=2), "b": Space(choices=["x", "y", "z"])}
    assert (count_trials(search, tuning), batch_size(search, tuning)) == (6, 6)
    found = propose(search, tuning, 0, [], range(6))
    assert found == [{"a": a, "b": b} for a in (1, 2) for b in "xyz"]


@pytest.mark.parametrize("method", ["random", "tpe"])
@given(seed=st.integers(0, 2**31), start=st.integers(0, 6))
@settings(max_examples=8)
def test_proposed_values_lie_in_their_spaces_with_their_types(method: Any, seed: int, start: int) -> None:
    tuning = Tuning(method=method, batch=3)
    earlier = records(propose(SEARCH, Tuning(method="random"), 1, [], range(start * 3)), lambda at: (at % 5 / 5,))
    for params in propose(SEARCH, tuning, seed, earlier, range(start * 3, start * 3 + 3)):
        assert list(params) == list(SEARCH)
        assert all(is_within(SEARCH[name], value) for name, value in params.items()), params
        assert json.loads(json.dumps(params)) == params


@pytest.mark.parametrize("method", ["random", "tpe"])
def test_proposals_follow_from_the_seed_the_number_and_the_earlier_trials_alone(method: Any) -> None:
    tuning = Tuning(method=method)
    earlier = records(propose(SEARCH, Tuning(method="random"), 0, [], range(16)), lambda at: (at / 16,))
    first = propose(SEARCH, tuning, 7, earlier, range(16, 20))
    propose(SEARCH, tuning, 1, [], range(4))
    assert propose(SEARCH, tuning, 7, earlier, range(16, 20)) == first
    assert propose(SEARCH, tuning, 8, earlier, range(16, 20)) != first
    assert len({json.dumps(params) for params in first}) == 4, "trials of one batch are not told apart"
    other = propose(SEARCH, tuning, 7, [one.model_copy(update={"value": -one.value}) for one in earlier], range(16, 20))
    assert (other != first) == (method == "tpe")


def test_tpe_comes_nearer_to_the_best_than_random() -> None:
    search = {"x": Space(low=-10.0, high=10.0), "y": Space(low=-10.0, high=10.0)}

    def seek(method: Any) -> list[float]:
        tuning, seen = Tuning(method=method), []
        for start in range(0, 40, 4):
            for at, params in enumerate(propose(search, tuning, 3, seen, range(start, start + 4)), start=start):
                worth = -((params["x"] - 3) ** 2) - (params["y"] + 4) ** 2
                seen.append(TrialRecord(number=at, params=params, state="complete", scores=(worth,), value=worth))
        return [one.value for one in seen[20:]]

    random, tpe = seek("random"), seek("tpe")
    assert sum(tpe) / 20 > sum(random) / 20
    assert max(tpe) > max(random)


def test_a_rebuilt_study_has_seen_each_trial_with_its_state() -> None:
    params = propose(SEARCH, Tuning(method="random"), 0, [], range(3))
    states = ("complete", "pruned", "failed")
    seen = [
        TrialRecord(number=at, params=one, state=state, scores=(0.25, 0.75)[: 2 - at], value=None if at == 2 else 0.5)
        for at, (one, state) in enumerate(zip(params, states, strict=True))
    ]
    trials = rebuild_study(SEARCH, seen).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "PRUNED", "FAIL"]
    assert [trial.intermediate_values for trial in trials] == [{0: 0.25, 1: 0.5}, {0: 0.25}, {}]
    assert trials[0].value == 0.5


def test_only_methods_that_look_back_wait_for_a_batch() -> None:
    sizes = {
        (m, p): batch_size(SEARCH, Tuning(method=m, pruning=p, trials=30))
        for m in ("random", "tpe")
        for p in ("none", "median")
    }
    assert sizes == {("random", "none"): 30, ("random", "median"): 4, ("tpe", "none"): 4, ("tpe", "median"): 4}


EARLIER = records([{}] * 5, lambda at: (0.5 + at / 10, 0.5))


@pytest.mark.parametrize(
    ("scores", "ends"),
    [((0.69,), True), ((0.7,), False), ((0.71,), False), ((0.9, 0.29), True), ((0.3, 0.9), False)],
    ids=["worse than the median", "the median", "better", "worse on the whole", "recovered"],
)
def test_a_trial_ends_when_its_mean_is_worse_than_the_median_at_its_fold(scores: Any, ends: bool) -> None:
    assert is_hopeless(scores, EARLIER) == ends


CURVES = [one.model_copy(update={"curve": (1.0, 0.5 + at / 10, 0.4)[: 2 + at % 2]}) for at, one in enumerate(EARLIER)]


@pytest.mark.parametrize(
    ("curve", "ends"),
    [((1.1,), True), ((1.0,), False), ((1.0, 0.71), True), ((1.0, 0.7), False), ((0.6, 9.0), False), ((9.0, 9.0, 9.0), False)],
    ids=["worse", "the median", "worse by then", "the median by then", "was better before", "nobody went so far"],
)  # fmt: skip
def test_a_training_ends_when_its_lowest_loss_is_higher_than_the_median_by_that_epoch(curve: Any, ends: bool) -> None:
    assert is_hopeless_epoch(curve, CURVES) == ends


def test_nothing_is_usual_before_a_few_trials_are_complete() -> None:
    few = [*EARLIER[: PRUNING_AFTER - 1], EARLIER[-1].model_copy(update={"state": "pruned"})]
    assert not is_hopeless((0.0,), few)


@given(
    st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=5, max_size=9),
    st.tuples(*[st.floats(0, 1)] * 2),
    st.floats(0, 1),
)
def test_a_better_trial_is_never_the_one_that_ends(rivals: Any, scores: Any, more: float) -> None:
    earlier = records([{}] * len(rivals), lambda at: rivals[at])
    if is_hopeless([score + more for score in scores], earlier):
        assert is_hopeless(scores, earlier)

"""What the trials of a search say, in words."""

from typing import Any

import pytest

from tasks.contracts.tuning import TrialRecord
from tasks.metrics.registry import METRICS
from tasks.training.reasons import explain_study, weigh_parameters
from tasks.training.studies import Study
from tests.tasks.models.examples import numbers_spec

KNN = "sklearn.neighbors.KNeighborsClassifier"


def make_study(search: Any, metric: str = "accuracy", **tuning: Any) -> Study:
    spec = numbers_spec({"knn": {"estimator": KNN, "search": search}}, tuning={"method": "random", **tuning})
    return Study.of(spec, "knn", "0" * 64, METRICS[metric])


def make_trials(params: list[Any], values: list[Any], states: dict[int, Any] | None = None) -> list[TrialRecord]:
    return [
        TrialRecord(number=at, params=one, state=(states or {}).get(at, "complete"), scores=(), value=value)
        for at, (one, value) in enumerate(zip(params, values, strict=True))
    ]


TWO = {"n_neighbors": {"low": 1, "high": 20}, "leaf_size": {"low": 1, "high": 20}}
GRID = [{"n_neighbors": k, "leaf_size": 1 + (7 * k) % 20} for k in range(1, 21)]


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_the_parameter_that_the_figure_follows_weighs_most(metric: str) -> None:
    study = make_study(TWO, metric)
    shares = weigh_parameters(study, make_trials(GRID, [one["leaf_size"] / 20 for one in GRID]))
    assert list(shares) == ["leaf_size", "n_neighbors"]
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["leaf_size"] > 0.8


def test_the_weights_are_the_same_each_time() -> None:
    trials = make_trials(GRID, [one["leaf_size"] / 20 for one in GRID])
    assert weigh_parameters(make_study(TWO), trials) == weigh_parameters(make_study(TWO), trials)


@pytest.mark.parametrize("values", [[0.5] * 20, [0.1, 0.2, 0.3]], ids=["one figure", "few trials"])
def test_what_the_trials_do_not_tell_is_not_told(values: list[float]) -> None:
    study = make_study(TWO)
    trials = make_trials(GRID[: len(values)], values)
    shares = weigh_parameters(study, trials)
    assert shares == {}
    assert "do not tell" in explain_study(study, trials, trials[0], shares)["importance"]


@pytest.mark.parametrize(
    ("space", "value", "at_end"),
    [
        ({"low": 1, "high": 101}, 101, True),
        ({"low": 1, "high": 101}, 98, False),
        ({"low": 0.001, "high": 1000.0, "log": True}, 0.0011, True),
        ({"low": 0.001, "high": 1000.0, "log": True}, 1.0, False),
        ({"low": 1, "high": 2}, 2, False),
        ({"choices": [1, 2, 3]}, 3, False),
    ],
)
def test_a_best_value_at_the_end_of_its_space_is_pointed_at(space: Any, value: Any, at_end: bool) -> None:
    study = make_study({"n_neighbors": space})
    trials = make_trials([{"n_neighbors": value}], [0.5])
    assert ("a wider one may hold" in explain_study(study, trials, trials[0], {})["values"]) == at_end


@pytest.mark.parametrize(("best", "late"), [(3, False), (18, True)])
def test_a_best_trial_among_the_last_asks_for_more(best: int, late: bool) -> None:
    values = [0.9 if at == best else 0.5 for at in range(20)]
    trials = make_trials(GRID, values, {0: "pruned", 1: "failed", 2: "pruned"})
    said = explain_study(make_study(TWO), trials, trials[best], {})["history"]
    assert said.startswith(f"Trial {best + 1} of 20 was the best: accuracy 0.9, where the median of the trials is 0.5.")
    assert "2 ended early for being worse than usual and 1 could not be fitted." in said
    assert ("more trials may find a better one" in said) == late

"""Networks are searched by the same code, and end at an epoch where they learn worse than usual."""

from pathlib import Path
from typing import Any

import pytest

from infra.registry.registry import Registry, open_registry
from tasks.training.fitting import fit_project
from tasks.training.tuning import TrialDesk
from tests.tasks.models.examples import number_rows
from tests.tasks.models.networks import load
from tests.tasks.training.test_tuning import rows, spec_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("networks")]


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    with open_registry(f"sqlite:///{tmp_path / 'registry.db'}") as opened:
        yield opened


def test_a_networks_own_parameters_its_epochs_and_its_batches_are_searched_by_the_same_code(registry: Registry) -> None:
    search = {
        "hidden": {"choices": [2, 8]},
        "learning_rate": {"low": 0.001, "high": 0.5, "log": True},
        "network.epochs": {"low": 1, "high": 3},
        "network.batch_size": {"choices": [8, 16]},
    }
    network = {"network": {"build": "networks:dense"}, "search": search}
    spec = spec_of({"net": network}, selection={"method": "holdout"}, tuning={"method": "random", "trials": 3})
    result = fit_project(spec, rows(), load, lambda *_: None, TrialDesk(registry, "code"))
    (tuned,) = result.tuned.candidates
    assert set(tuned.params) == set(search)
    assert [len(one.scores) for one in result.tuned.studies[0].trials] == [1, 1, 1]
    assert len({one.value for one in result.tuned.studies[0].trials}) > 1
    assert len(result.history["net"]["loss"]) == tuned.params["network.epochs"]
    assert result.selection[0].mean == tuned.value
    layer = result.chosen.model.network.layers[0]
    assert layer.units == tuned.params["hidden"]


def test_a_network_that_learns_worse_than_usual_is_ended_at_an_epoch(registry: Registry) -> None:
    """Grid: five that learn, then one that unlearns, in a batch of its own."""
    rates = [0.05, 0.1, 0.2, 0.4, 0.8, 0.0001]
    network = {"build": "networks:dense", "epochs": 4, "validation_share": 0.25, "refit": False}
    spec = spec_of(
        {"net": {"network": network, "search": {"learning_rate": {"choices": rates}}}},
        selection={"method": "holdout"},
        tuning={"method": "grid", "pruning": "median", "batch": 5},
    )
    result = fit_project(spec, number_rows(120), load, lambda *_: None, TrialDesk(registry, "code"))
    trials = result.tuned.studies[0].trials
    assert [one.state for one in trials] == ["complete"] * 5 + ["pruned"]
    assert [len(one.curve) for one in trials[:5]] == [4] * 5
    assert 1 <= len(trials[5].curve) < 4
    assert (trials[5].value, trials[5].scores) == (None, ())
    assert result.tuned.candidates[0].pruned == 1

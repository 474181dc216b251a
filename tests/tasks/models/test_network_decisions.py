"""A network's threshold: tuned on rows that it was not fitted on, kept in its file."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from infra.errors import SpecError
from tasks.models.loading import load_model
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.examples import number_rows, numbers_spec
from tests.tasks.models.networks import load
from tests.tasks.models.test_deciding import rare_rows

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("networks")]

QUICK = {"build": "networks:dense", "epochs": 5, "batch_size": 64}
COSTS = {"threshold": "tuned", "costs": {"false_positive": 1, "false_negative": 20}}


def fit(rows, network=None, **changes):
    candidate = {"network": {**QUICK, **(network or {})}, "params": {"learning_rate": 0.1}}
    return fit_candidate("one", numbers_spec({"one": candidate}, **changes), rows, load=load)


def cost(model, rows):
    (_, false_positive), (false_negative, _) = confusion_matrix(rows["y"], model.predict(rows))
    return false_positive + 20 * false_negative


@pytest.mark.parametrize("network", [{}, {"validation_share": 0.3, "refit": False}], ids=["trained again", "watched"])
def test_a_tuned_threshold_costs_less_and_changes_no_probability(network, tmp_path):
    rows, fresh = rare_rows(), rare_rows(seed=1)
    bare, tuned = fit(rows, network), fit(rows, network, decision=COSTS)
    assert np.array_equal(bare.predict_proba(fresh), tuned.predict_proba(fresh))
    assert bare.predict(fresh).sum() == 0, "nobody is told a rare class that is never the more probable one"
    assert cost(tuned, fresh) < 0.8 * cost(bare, fresh)
    content = save_model(tuned, tmp_path / "model")
    loaded = load_model(tmp_path / "model", content)
    assert np.array_equal(loaded.predict(fresh), tuned.predict(fresh))
    assert save_model(loaded, tmp_path / "again") == content != save_model(bare, tmp_path / "bare")


def test_three_classes_have_no_threshold():
    rows = number_rows(60).assign(y=np.arange(60) % 3)
    with pytest.raises(SpecError, match="tuned is for two classes, the target has 3"):
        fit(rows, {"epochs": 1}, decision={"threshold": "tuned", "metric": "f1_macro"})

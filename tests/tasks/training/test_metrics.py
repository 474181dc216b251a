"""Selection and evaluation have a list each; what both know must be one thing."""

import numpy as np
import pytest

from tasks.evaluation.answers import Answers
from tasks.evaluation.metrics import METRICS
from tasks.training.metrics import selection_metric

BINARY = [name for name, metric in METRICS.items() if metric.uses != "values"]
SEVERAL = [name for name in BINARY if not METRICS[name].binary_only]


@pytest.mark.parametrize(("name", "k"), [*((name, 2) for name in BINARY), *((name, 4) for name in SEVERAL)], ids=str)
def test_selection_measures_what_evaluation_measures(name, k):
    rng = np.random.default_rng(k)
    truth, predicted = rng.integers(0, k, (2, 200))
    shares = rng.dirichlet(np.ones(k), 200).round(2) + 1e-3
    shares /= shares.sum(axis=1, keepdims=True)
    metric = selection_metric(name, np.arange(k))
    found = metric.measure(truth, predicted if metric.uses == "labels" else shares)
    answers = Answers(role="candidate", label="one", predicted=predicted, proba=shares)
    assert found == pytest.approx(METRICS[name].value(truth, answers, k, k - 1), rel=1e-9)
    assert metric.sign == METRICS[name].sign

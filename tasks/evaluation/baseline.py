"""The dummy baseline: what one gets without looking at the features."""

from collections.abc import Mapping

import numpy as np

from tasks.evaluation.answers import AnswerTable
from tasks.metrics.answers import Answers
from tasks.metrics.label_sets import constant_set


def answer_by_shares(
    table: AnswerTable, class_prior: Mapping[str, float], centre: float | None = None, metric: str = ""
) -> Answers:
    """Return the answers of the dummy that knows only the training rows' target.

    It always answers the most frequent class, with the shares as probabilities; for a regression always the centre of the
    training target; for sets of labels always the one that is best by the metric (`constant_set`).

    Parameters
    ----------
    class_prior
        Share of each class among the training rows, by the class as text.
    centre
        Of a regression: see `FitReport.centre`. None: not known; then it is the mean of the test
        rows, better than any constant that training could have known, so never too easy to beat.
    metric
        The primary one, by name.
    """
    if not table.classes:
        value = float(np.mean(table.truth)) if centre is None else centre
        return Answers("baseline", "dummy", np.full(table.n, value))
    shares = np.array([class_prior.get(str(name), 0.0) for name in table.classes], dtype=np.float64)
    if table.several:
        always = constant_set(shares, metric)
        return Answers("baseline", "dummy", np.repeat(always, table.n), np.tile(shares, (table.n, 1)))
    total = shares.sum()
    shares = shares / total if total > 0 else np.full(len(shares), 1 / len(shares))
    predicted = np.full(table.n, int(np.argmax(shares)), dtype=np.int64)
    return Answers("baseline", "dummy", predicted, np.tile(shares, (table.n, 1)))

"""What a release that answers several labels is held against: the same sets, as codes."""

import numpy as np

from flows.probation import _answer, _read
from tests.tasks.models.examples import no_functions
from tests.tasks.models.label_rows import BAYES, LABELS, label_rows, labels_spec


def test_truth_and_answers_of_several_labels_are_read_as_codes_of_the_same_bits() -> None:
    from tasks.models.recipes import fit_candidate

    rows, spec = label_rows(), labels_spec({"bayes": BAYES})
    model = fit_candidate("bayes", spec, rows, load=no_functions)
    truth = _read(rows["properties"], LABELS, several=True)
    assert np.array_equal(truth & 1 == 1, rows["even"])
    answers = _answer("candidate", "digits@2", model, rows[list(spec.features)], model.classes, several=True)
    assert np.array_equal(answers.predicted & 1 == 1, answers.proba[:, 0] > 0.5)
    assert not answers.has_gaps()

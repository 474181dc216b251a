import pandas as pd

from tasks.models.recipes import fit_candidate
from tasks.scoring.answers import add_answers
from tasks.scoring.predicting import predict_rows
from tests.tasks.models.examples import no_functions, number_rows, numbers_spec

CAUTIOUS = {"estimator": "sklearn.naive_bayes.GaussianNB"}


class Threshold:
    """A model whose answer is not its most probable class."""

    classes = (0, 1)

    def __init__(self, model):
        self.model = model

    def predict_proba(self, frame):
        return self.model.predict_proba(frame)

    def predict(self, frame):
        return (self.predict_proba(frame)[:, 1] > 0.95).astype(int)


def test_what_is_served_is_what_the_gate_judged():
    spec, rows = numbers_spec({"nb": CAUTIOUS}), number_rows(200)
    model = Threshold(fit_candidate("nb", spec, rows, load=no_functions))
    judged = add_answers(pd.DataFrame({"row": range(len(rows))}), "candidate:nb", model, rows)
    served = predict_rows(model, rows, rows, spec, "demo@1")
    assert served["prediction"].tolist() == judged["candidate:nb:predicted"].tolist()
    assert served["prediction"].tolist() != served[["p_0", "p_1"]].to_numpy().argmax(axis=1).tolist()

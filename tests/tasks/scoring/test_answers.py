import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.artifacts.reference import ArtifactRef
from tasks.contracts.evaluation import ScoredModel, ScoredRows
from tasks.evaluation.answers import read_answers
from tasks.metrics.registry import METRICS
from tasks.models.recipes import fit_candidate
from tasks.scoring.answers import add_answers, frame_answers, seen_by_champion
from tests.tasks.models.examples import no_functions, number_rows, numbers_spec

NB = {"estimator": "sklearn.naive_bayes.GaussianNB"}
NUMBERS = {name: {"type": "number"} for name in "ab"}


def spec_of(target, **changes):
    return numbers_spec({"nb": NB}, columns={**NUMBERS, "id": {"type": "integer"}, "y": target}, **changes)


PLAIN = spec_of({"type": "integer"})
WITH_ID = spec_of({"type": "integer"}, row_id="id")


def numbered(n=8):
    return number_rows(n).assign(id=np.arange(n))


@given(st.sets(st.integers(0, 7)), st.permutations(["a", "b", "y", "id"]))
@pytest.mark.parametrize("spec", [PLAIN, WITH_ID], ids=["by content", "by row id"])
def test_a_row_was_seen_iff_it_trained_whatever_the_order_of_rows_and_columns(spec, trained, columns):
    rows = numbered()
    trained_on = rows.iloc[sorted(trained, reverse=True)][columns]
    assert np.flatnonzero(seen_by_champion(rows, trained_on, spec)).tolist() == sorted(trained)


def test_a_row_with_an_id_is_the_same_row_after_a_correction():
    rows = numbered()
    corrected = rows.assign(a=rows["a"] + 1)
    assert seen_by_champion(corrected, rows, WITH_ID).all()
    assert not seen_by_champion(corrected, rows, PLAIN).any()


@pytest.mark.parametrize(
    ("target", "classes", "positive"),
    [
        ({"type": "integer"}, [0, 1], 1),
        ({"type": "boolean"}, [False, True], True),
        ({"type": "category"}, ["no", "yes"], "yes"),
        ({"type": "category", "allowed": ["no", "yes"]}, ["no", "yes"], None),
        ({"type": "category", "allowed": [0, 1]}, [0, 1], 1),
        ({"type": "category"}, ["0", "1"], 1),
    ],
    ids=["integers", "truth values", "words", "allowed words", "allowed numbers", "numbers as words"],
)
def test_the_truth_of_the_test_rows_has_the_names_that_the_models_classes_have(target, classes, positive):
    spec = spec_of(target, evaluation={"metric": "recall", "positive": positive})
    rows = numbered(60).assign(y=lambda frame: pd.Series(classes).take(frame["y"]).to_numpy())
    model = fit_candidate("nb", spec, rows, load=no_functions)
    frame = add_answers(frame_answers(rows, spec), "candidate:nb", model, rows)
    scored = ScoredRows(
        test_digest="e" * 64,
        answers=ArtifactRef(digest="d" * 64, size_bytes=1, media_type="x/y"),
        models=(
            ScoredModel(role="candidate", label="nb", artifact="a" * 64, content="b" * 64, latency_ms=1, size_bytes=1),
        ),
        classes=model.classes,
        rows=len(rows),
    )
    table = read_answers(frame, scored, spec)
    assert (table.classes, table.positive) == (model.classes, 1)
    expected = (model.predict(rows) == np.array(model.classes)[number_rows(60)["y"]]).mean()
    assert METRICS["accuracy"].value(table.truth, table.models[0], 2, 1) == expected > 0.8

"""The predictions of a batch: in the order of its rows, each named, none where there is no row."""

from typing import Any

import pandas as pd
import pytest

from tasks.contracts.project import ProjectSpec
from tasks.models.recipes import fit_candidate
from tasks.scoring import batches
from tasks.scoring.batches import predict_batch
from tests.tasks.models.examples import no_functions, number_rows, numbers_spec

BAYES = {"nb": {"estimator": "sklearn.naive_bayes.GaussianNB"}}


@pytest.fixture(scope="module")
def model() -> Any:
    return fit_candidate("nb", numbers_spec(BAYES), number_rows(200), load=no_functions)


def make_batch(n: int) -> tuple[ProjectSpec, pd.DataFrame]:
    columns = {"id": {"type": "integer"}, "at": {"type": "datetime"}}
    columns |= {"a": {"type": "number"}, "b": {"type": "number"}, "y": {"type": "integer"}}
    spec = numbers_spec(BAYES, columns=columns, row_id="id", time="at")
    times = pd.date_range("2013-07-14", periods=n, freq="min", tz="UTC")
    return spec, number_rows(n, seed=1).assign(id=range(n), at=times)


def test_each_row_gets_its_prediction_in_order(model: Any) -> None:
    spec, rows = make_batch(50)
    answers = predict_batch(model, rows, spec, "demo@1")
    assert list(answers.columns) == ["row_id", "time", "prediction", "p_0", "p_1", "version"]
    assert answers["row_id"].tolist() == [str(number) for number in range(50)]
    assert answers["time"].tolist() == rows["at"].tolist()
    assert answers["prediction"].tolist() == model.predict(rows[["a", "b"]]).tolist()
    assert answers["p_1"].tolist() == model.predict_proba(rows[["a", "b"]])[:, 1].tolist()
    assert set(answers["version"]) == {"demo@1"}


def test_many_rows_are_answered_block_by_block_as_at_once(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, rows = make_batch(50)
    at_once = predict_batch(model, rows, spec, "demo@1")
    monkeypatch.setattr(batches, "BLOCK_ROWS", 7)
    pd.testing.assert_frame_equal(predict_batch(model, rows, spec, "demo@1"), at_once)


def test_no_row_gives_no_prediction_of_the_same_columns_and_types(model: Any) -> None:
    spec, rows = make_batch(5)
    none = predict_batch(model, rows.iloc[:0], spec, "demo@1")
    some = predict_batch(model, rows, spec, "demo@1")
    assert len(none) == 0
    assert none.dtypes.to_dict() == some.dtypes.to_dict()

import numpy as np
import pandas as pd
import pytest

from infra.errors import ContractBroken, SpecError
from tasks.models.inputs import InputColumns, read_target
from tasks.models.recipes import fit_candidate
from tests.tasks.models.examples import mixed_rows, mixed_spec, no_functions, number_rows, numbers_spec

KNN = {"knn": {"estimator": "sklearn.neighbors.KNeighborsClassifier"}}


def test_complete_numbers_reach_the_estimator_as_they_are():
    frame = number_rows()
    model = fit_candidate("knn", numbers_spec(KNN), frame, load=no_functions)
    assert [name for name, _ in model.pipeline.steps] == ["model"]
    assert np.array_equal(model.pipeline[-1]._fit_X, frame[["a", "b"]].to_numpy())


def test_the_order_of_the_columns_and_further_columns_do_not_matter():
    model = fit_candidate("logistic", mixed_spec(), mixed_rows(), load=no_functions)
    frame = mixed_rows(seed=1)
    turned = frame[frame.columns[::-1]].assign(further=1)
    assert np.array_equal(model.predict_proba(frame), model.predict_proba(turned))


def test_a_category_keeps_its_name_when_a_missing_value_turns_integers_into_floats():
    columns = InputColumns(categories=("c",))
    whole = columns.read(pd.DataFrame({"c": [1, 2]}))
    holed = columns.read(pd.DataFrame({"c": [1.0, 2.0, np.nan]}))
    assert whole["c"].tolist() == holed["c"].tolist()[:2] == ["1", "2"]
    assert pd.isna(holed["c"].iloc[2])


def test_an_unknown_category_and_a_missing_text_are_answered():
    model = fit_candidate("logistic", mixed_spec(), mixed_rows(), load=no_functions)
    frame = mixed_rows(4, seed=1).assign(kind="never seen", note=None)
    assert np.isfinite(model.predict_proba(frame)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="a"), "'a' not among the 2 received"),
        (lambda f: f.assign(a="one"), "Expected numbers in 'a'"),
        (lambda f: f.assign(a=np.inf), "finite numbers in 'a'"),
        (lambda f: f.assign(a=np.nan), "a number in every row of 'a'"),
        (lambda f: f.iloc[:0], "at least one row"),
    ],
    ids=["dropped", "retyped", "infinite", "missing", "empty"],
)
def test_rows_that_are_not_what_the_model_was_fitted_on_are_refused(change, message):
    model = fit_candidate("knn", numbers_spec(KNN), number_rows(), load=no_functions)
    with pytest.raises(ContractBroken, match=message):
        model.predict(change(number_rows(5)))


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [("boolean", [True, False], bool), ("integer", [1, 0], np.int64), ("category", ["x", "y"], object)],
)
def test_the_target_keeps_its_own_type(kind, values, expected):
    columns = {"a": {"type": "number"}, "y": {"type": kind}}
    read = read_target(pd.DataFrame({"a": [0.0, 1.0], "y": values}), numbers_spec(KNN, columns=columns))
    assert read.dtype == expected
    assert read.tolist() == values


def test_a_time_as_target_is_refused():
    columns = {"a": {"type": "number"}, "y": {"type": "datetime"}}
    with pytest.raises(SpecError, match="target of type boolean, integer or category for classes, received datetime"):
        read_target(pd.DataFrame({"a": [0.0], "y": ["2024-05-01"]}), numbers_spec(KNN, columns=columns))


def test_a_time_is_read_in_utc_whatever_its_zone():
    columns = {"a": {"type": "datetime"}, "y": {"type": "integer"}}
    read = InputColumns.of(numbers_spec(KNN, columns=columns)).read(pd.DataFrame({"a": ["2024-05-01T01:00+02:00"]}))
    assert read["a"].tolist() == [pd.Timestamp("2024-04-30T23:00Z")]

import numpy as np
import pandas as pd
import pytest

from infra.errors import DataError
from tasks.validation.contract import validate_frame
from tasks.validation.serving import conform_features
from tests.tasks.validation.projects import make_rows, make_spec

SPEC = make_spec()
FEATURES = list(SPEC.features)


def features(rows=3, **changed):
    return make_rows(rows)[FEATURES].assign(**changed)


def test_the_features_of_training_rows_are_asked_as_they_were_trained_on():
    trained_on = validate_frame(make_rows(), SPEC).accepted[FEATURES]
    pd.testing.assert_frame_equal(conform_features(trained_on, SPEC), trained_on)


def test_rows_read_as_text_are_the_same_rows():
    as_text = features().astype(str)
    pd.testing.assert_frame_equal(conform_features(as_text, SPEC), conform_features(features(), SPEC))


@pytest.mark.parametrize("name", FEATURES)
def test_a_missing_cell_passes_through_as_missing(name):
    column = features()[name].astype(object).where([True, False, True], None)
    answered = conform_features(features(**{name: column}), SPEC)
    assert answered[name].isna().tolist() == [False, True, False]
    assert answered.drop(columns=name).notna().all(axis=None)


def test_an_unusual_row_still_gets_its_answer():
    unusual = features(size=[-1e9, 5, 1e9], count=[-5, 0, 5], shade=["green", "red", "blue"], note="far too long")
    assert conform_features(unusual, SPEC)["size"].tolist() == [-1e9, 5, 1e9]


@pytest.mark.parametrize("infinity", [np.inf, -np.inf, "inf", "1e999"], ids=str)
def test_an_infinite_number_is_refused_as_in_training(infinity):
    size = pd.Series([1.0, infinity, 2.0], dtype=object)
    with pytest.raises(DataError, match=r"size: expected finite number values; 1 of 3 cells are infinite"):
        conform_features(features(size=size), SPEC)


def test_cells_of_another_type_are_refused_with_their_column_and_count():
    with pytest.raises(
        DataError, match=r"size: expected number values; 2 of 3 cells are not: 'tall', 'wide'"
    ) as caught:
        conform_features(features(size=["tall", "1.5", "wide"], wet=["yes", "true", "false"]), SPEC)
    assert "'size', 'wet'" in caught.value.remedy


def test_nested_cells_are_refused_like_any_other():
    with pytest.raises(DataError, match=r"size: expected number values; 3 of 3 cells are not: \[1\]\."):
        conform_features(features(size=[[1], [1], [1]]), SPEC)


@pytest.mark.parametrize("note", [b"canary", ["canary"], {"canary": 1}], ids=lambda note: type(note).__name__)
def test_what_stands_in_a_text_column_is_in_no_message(note):
    with pytest.raises(DataError, match=r"note: expected text values; 1 of 3 cells are not\.") as caught:
        conform_features(features(note=pd.Series([note, "n1", "n2"], dtype=object)), SPEC)
    assert "canary" not in str(caught.value)


def test_the_rows_that_came_in_are_not_changed():
    raw = features(size=["1", "2", "3"])
    before = raw.copy(deep=True)
    conform_features(raw, SPEC)
    pd.testing.assert_frame_equal(raw, before)

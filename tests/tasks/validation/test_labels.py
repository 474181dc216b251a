"""Labels as they arrive: each row once, wrong ones refused with their row numbers."""

from typing import Any

import pandas as pd
import pytest

from infra.errors import DataError, InsufficientData
from tasks.contracts.project import ProjectSpec
from tasks.validation.labels import check_labels

KINDS: dict[str, dict[str, Any]] = {
    "category": {"type": "category", "allowed": ["no", "yes"]},
    "integer": {"type": "integer", "allowed": [0, 1]},
    "boolean": {"type": "boolean"},
}


def make_spec(kind: str = "category", row_id: str = "text") -> ProjectSpec:
    return ProjectSpec.model_validate(
        {
            "name": "visits",
            "source": {"csv": "rows.csv"},
            "columns": {
                "visit": {"type": row_id},
                "at": {"type": "datetime"},
                "signal": {"type": "number"},
                "label": KINDS[kind],
            },
            "target": "label",
            "row_id": "visit",
            "time": "at",
            "candidates": {"bayes": {"estimator": "sklearn.naive_bayes.GaussianNB"}},
        }
    )


def make_labels(**labels: object) -> pd.DataFrame:
    return pd.DataFrame({"visit": list(labels), "label": pd.Series(list(labels.values()), dtype=object)})


@pytest.mark.parametrize(
    ("kind", "cells", "truths", "dtype"),
    [
        ("category", ["yes", "no", None], ["yes", "no"], "str"),
        ("integer", [1, "0", None], [1, 0], "Int64"),
        ("boolean", [True, "false", None], [True, False], "boolean"),
    ],
)
def test_labels_are_read_as_the_target_is_and_a_missing_one_says_nothing_yet(
    kind: str, cells: list[object], truths: list[object], dtype: str
) -> None:
    found = check_labels(make_labels(**dict(zip("abc", cells, strict=True))), make_spec(kind))
    assert found.labels["row_id"].tolist() == ["a", "b"]
    assert found.labels["truth"].tolist() == truths
    assert str(found.labels["truth"].dtype) == dtype
    assert (found.without_truth, found.repeated) == (1, 0)


def test_ids_that_are_numbers_are_named_as_predictions_name_them() -> None:
    rows = pd.DataFrame({"visit": [10, 9.0, "8"], "label": ["yes", "no", "no"]}, dtype=object)
    assert check_labels(rows, make_spec(row_id="integer")).labels["row_id"].tolist() == ["10", "8", "9"]


def test_a_label_that_is_said_again_is_counted_and_one_that_is_contradicted_refuses_the_delivery() -> None:
    again = pd.concat([make_labels(a="yes", b="no"), make_labels(a="yes")])
    found = check_labels(again, make_spec())
    assert (len(found.labels), found.repeated) == (2, 1)
    against = pd.concat([again, make_labels(b="yes")])
    with pytest.raises(DataError, match=r"1 ids have two or more in this delivery, rows 2, 4\."):
        check_labels(against, make_spec())


@pytest.mark.parametrize(
    ("kind", "cell"), [("category", "maybe"), ("integer", 2), ("integer", "many"), ("boolean", "up"), ("integer", 0.5)]
)
def test_a_wrong_class_is_refused_with_the_numbers_of_its_rows(kind: str, cell: object) -> None:
    right: object = {"category": "yes", "integer": 1, "boolean": True}[kind]
    with pytest.raises(DataError, match=rf"label: expected .*2 of 3 labels are not, rows 2, 3: {cell!r}"):
        check_labels(make_labels(a=right, b=cell, c=cell), make_spec(kind))


def test_at_most_five_rows_are_named() -> None:
    with pytest.raises(DataError, match=r"rows 1, 2, 3, 4, 5 and 2 more"):
        check_labels(make_labels(**dict.fromkeys("abcdefg", "maybe")), make_spec())


def test_a_label_of_nobody_is_refused() -> None:
    rows = make_labels(a="yes").assign(visit=[None])
    with pytest.raises(DataError, match="visit: expected an id of this type; 1 of 1 labels are not, row 1"):
        check_labels(rows, make_spec())


def test_missing_columns_and_empty_deliveries_are_named() -> None:
    with pytest.raises(DataError, match="missing: 'label'"):
        check_labels(pd.DataFrame({"visit": ["a"]}), make_spec())
    with pytest.raises(InsufficientData, match="received no row"):
        check_labels(make_labels(), make_spec())

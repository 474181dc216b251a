"""The project's own rules across columns, put to windows that are scored."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from infra.errors import CheckCrashed
from tasks.contracts.columns import Expectation
from tasks.contracts.project import ProjectSpec
from tasks.validation.batches import ExaminedBatch, examine_batch
from tasks.validation.own_rules import select_expectations
from tests.tasks.validation.test_batches import DAY, make_rows, make_spec, set_cells

PAIR = {"column_A": "high", "column_B": "low", "or_equal": True}
HIGHER = ("expect_column_pair_values_a_to_be_greater_than_b", PAIR)


def expecting(*asked: tuple[str, dict[str, Any]], quarantine_share: float = 0.2) -> ProjectSpec:
    spec = make_spec(quarantine_share, high={"type": "number"}, low={"type": "number"})
    expectations = [Expectation(expectation=name, arguments=arguments) for name, arguments in asked]
    return spec.model_copy(update={"validation": spec.validation.model_copy(update={"expectations": expectations})})


def rows_of(n: int = 20) -> pd.DataFrame:
    return make_rows(n).assign(low=np.arange(n) * 1.0, high=np.arange(n) + 1.0)


def examine(rows: pd.DataFrame, *asked: tuple[str, dict[str, Any]], quarantine_share: float = 0.2) -> ExaminedBatch:
    found = examine_batch(rows, expecting(*asked, quarantine_share=quarantine_share), DAY)
    assert found.rows == len(rows) == len(found.accepted) + len(found.quarantined)
    return found


def test_rows_that_break_a_rule_across_columns_are_set_aside_with_the_reason() -> None:
    found = examine(set_cells(rows_of(), "high", -1.0, -1.0), HIGHER)
    assert found.problem is None
    assert found.quarantined["visit"].tolist() == ["v000", "v001"]
    assert found.reasons == {f"breaks {HIGHER[0]}": 2}
    assert set(found.quarantined["reasons"]) == {f"breaks {HIGHER[0]}"}


def test_a_row_with_several_reasons_counts_once_and_names_them_all() -> None:
    rows = set_cells(set_cells(rows_of(), "high", -1.0, -1.0), "kind", "z")
    sums = ("expect_multicolumn_sum_to_equal", {"column_list": ["high", "low"], "sum_total": 0, "mostly": 0.5})
    found = examine(rows.assign(level=1), HIGHER, HIGHER)
    assert len(found.quarantined) == 2
    assert found.reasons == {f"breaks {HIGHER[0]}": 2, "kind: not an allowed value": 1}
    assert found.quarantined["reasons"].iloc[0] == f"kind: not an allowed value; breaks {HIGHER[0]}"
    assert "expect_multicolumn_sum_to_equal" in str(examine(rows, sums).problem)


def test_more_such_rows_than_may_be_set_aside_stop_the_batch() -> None:
    found = examine(rows_of().assign(high=-1.0), HIGHER)
    assert "20 of 20 rows break the contract" in str(found.problem)
    assert len(found.accepted) == 0


def test_cells_that_are_missing_or_unreadable_are_no_pair_either() -> None:
    found = examine(set_cells(rows_of(), "high", "many", None), HIGHER)
    assert len(found.quarantined) == 2
    assert found.reasons == {f"breaks {HIGHER[0]}": 2, "high: not a number": 1, "high: missing": 1}


def test_a_whole_column_that_is_not_as_expected_sets_the_batch_aside() -> None:
    mean = ("expect_column_mean_to_be_between", {"column": "high", "min_value": 100})
    found = examine(rows_of(), mean)
    assert "expect_column_mean_to_be_between" in str(found.problem)
    assert found.reasons == {}
    assert examine(rows_of(), (mean[0], {**mean[1], "severity": "warning"})).problem is None


def test_a_share_that_a_rule_allows_is_exceeded_only_when_chance_does_not_explain_it() -> None:
    most = ("expect_column_values_to_be_between", {"column": "high", "max_value": 18.5, "mostly": 0.95})
    assert examine(rows_of(), most).problem is None, "2 of 20 are one too many for 95 %, and chance"
    assert examine(pd.concat([rows_of(18), rows_of(20).tail(2)]).assign(high=99.0), most).problem is not None


NOT_ASKED = {
    "the target": ("expect_column_values_to_be_in_set", {"column": "label", "value_set": ["none"]}),
    "beside the target": ("expect_column_pair_values_to_be_equal", {"column_A": "kind", "column_B": "label"}),
    "what is known later": ("expect_column_values_to_be_between", {"column": "after", "max_value": -1}),
    "the table": ("expect_table_row_count_to_be_between", {"min_value": 1_000}),
    "where the target says": (
        "expect_column_values_to_be_between",
        {"column": "high", "max_value": -1, "row_condition": 'label == "yes"', "condition_parser": "pandas"},
    ),
}


@pytest.mark.parametrize("asked", NOT_ASKED.values(), ids=NOT_ASKED)
def test_what_speaks_of_more_than_is_there_when_rows_are_scored_is_not_asked(asked: tuple[str, dict[str, Any]]) -> None:
    assert examine(rows_of(), asked).problem is None
    assert examine(rows_of().assign(label="yes", after=0.0), asked).problem is None, "not even where it came along"
    spec = expecting(asked)
    assert select_expectations(spec.validation.expectations, spec.features, spec.columns) == []


@pytest.mark.filterwarnings("ignore:.*is deprecated as of GX Core:DeprecationWarning")
def test_a_condition_on_a_column_that_is_there_is_kept_to() -> None:
    asked = {"column": "high", "max_value": -1, "row_condition": 'kind == "y"', "condition_parser": "pandas"}
    found = examine(rows_of(), ("expect_column_values_to_be_between", asked), quarantine_share=1.0)
    assert len(found.quarantined) == 10
    assert set(found.quarantined["kind"]) == {"y"}


def test_a_check_that_cannot_run_is_an_error_and_no_finding() -> None:
    asked = ("expect_column_mean_to_be_between", {"column": "kind", "min_value": 0})
    with pytest.raises(CheckCrashed, match="expect_column_mean_to_be_between failed to run"):
        examine(rows_of(), asked)

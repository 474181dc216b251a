"""FAULTS.md rows 16, 17 and 18 for data, and I7: rows in = accepted + quarantined."""

import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.errors import CheckCrashed, ContractBroken, InsufficientData, SpecError
from infra.frames import digest_frame, read_parquet, write_parquet
from tasks.contracts.columns import Column, Expectation
from tasks.validation import contract
from tasks.validation.contract import examine_frame, validate_frame
from tests.tasks.validation.projects import COLUMNS, make_rows, make_spec

SPEC = make_spec()
LENIENT = make_spec(quarantine_share=0.5)
slow = settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])


def spoil(**cells):
    """Return rows whose first ones are spoilt, column by column."""
    frame = make_rows()
    for name, values in cells.items():
        column = frame[name].astype(object)
        column.iloc[: len(values)] = values
        frame[name] = column
    return frame


def require_all_rows_kept(outcome, frame):
    assert len(outcome.accepted) + len(outcome.quarantined) == outcome.rows == len(frame)


def test_rows_that_keep_the_contract_go_on_unchanged():
    rows = make_rows()
    outcome = validate_frame(rows, SPEC)
    assert len(outcome.quarantined) == 0
    assert list(outcome.accepted.columns) == list(COLUMNS)
    assert digest_frame(outcome.accepted) == digest_frame(rows)
    assert {check.status for check in outcome.checks} == {"passed"}
    assert outcome.warnings == ()


def test_broken_rows_are_set_aside_with_every_reason():
    frame = spoil(size=["abc", 11, float("inf"), -1, None], shade=["red", "green"], note=[None, None, "too long"])
    outcome = validate_frame(frame, LENIENT)
    assert outcome.quarantined["reasons"].tolist() == [
        "size: not a number",
        "size: not at least 0 and at most 10; shade: not an allowed value",
        "size: not at least 0 and at most 10; note: longer than 5 characters",
        "size: not at least 0 and at most 10",
        "size: missing",
    ]
    assert outcome.accepted["id"].tolist() == list(range(5, 40))
    assert outcome.quarantined["size"].tolist()[:4] == ["abc", 11, float("inf"), -1]


def test_the_error_names_column_rule_count_and_few_values_but_no_text():
    frame = spoil(size=[11, 12, 13, 14, 15, 16, 17], note=["a secret"])
    with pytest.raises(ContractBroken, match="7 of 40 rows break the contract") as caught:
        validate_frame(frame, SPEC)
    assert (
        "size: expected at least 0 and at most 10 (expect_column_values_to_be_between); 7 rows, e.g. 11.0, 12.0, 13.0, 14.0, 15.0 and 2 more"
        in caught.value.message
    )
    assert "note: expected at most 5 characters" in caught.value.message
    assert "secret" not in str(caught.value)


def test_the_stored_result_quotes_numbers_but_no_text():
    outcome = examine_frame(spoil(size=[11, 12, 13.25], note=["a secret"]), SPEC)
    assert "13.25" in str(outcome.gx_result)
    assert "secret" not in str(outcome.gx_result)
    assert "secret" not in str(outcome.checks)


def test_the_share_that_may_be_set_aside_is_a_bound_and_included():
    frame = spoil(size=[11, 12])
    assert len(validate_frame(frame, make_spec(quarantine_share=0.05)).quarantined) == 2
    with pytest.raises(ContractBroken, match=r"more than the share of 0\.049"):
        validate_frame(frame, make_spec(quarantine_share=0.049))


def test_a_share_of_missing_values_is_a_rule_of_the_table():
    half, more = spoil(count=[None] * 20), spoil(count=[None] * 21)
    assert len(validate_frame(half, SPEC).accepted) == 40
    with pytest.raises(ContractBroken, match=r"count: expected at most 0\.5 of the values missing"):
        validate_frame(more, make_spec(quarantine_share=1))


def test_a_row_id_that_occurs_twice_breaks_both_rows():
    outcome = validate_frame(spoil(id=[39]), LENIENT)
    assert outcome.quarantined["id"].tolist() == [39, 39]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "frame", "error", "message"),
    [
        ("nothing at all", pd.DataFrame(), InsufficientData, "received 0 rows with 0 columns"),
        ("no rows", make_rows(0), InsufficientData, "received 0 rows with 8 columns"),
        ("one row", make_rows(1), InsufficientData, "at least 5 rows, received 1"),
        ("four rows", make_rows(4), InsufficientData, "at least 5 rows, received 4"),
        ("one class", make_rows().assign(kind="a"), InsufficientData, "two values of the target 'kind'"),
        ("all null", make_rows().assign(**dict.fromkeys(COLUMNS)), ContractBroken, "40 of 40 rows break the contract"),
        ("NaN", make_rows().assign(size=np.nan), ContractBroken, "40 rows"),
        ("Inf", make_rows().assign(size=-np.inf), ContractBroken, "-inf"),
        ("1e308", make_rows().assign(size=1e308), ContractBroken, r"1e\+308"),
        ("one row forty times", make_rows(1).loc[[0] * 40], ContractBroken, "id: expected different values"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_a_degenerate_batch_is_refused_and_loses_no_row(name, frame, error, message):
    outcome = examine_frame(frame, SPEC)
    require_all_rows_kept(outcome, frame)
    with pytest.raises(error, match=message):
        validate_frame(frame, SPEC)


def test_one_row_forty_times_without_an_id_is_not_enough():
    columns = {name: column for name, column in COLUMNS.items() if name != "id"}
    same = make_rows(1).loc[[0] * 40].drop(columns="id")
    with pytest.raises(InsufficientData, match="the target 'kind'"):
        validate_frame(same, make_spec(columns))
    same["kind"] = ["a", "b"] * 20
    with pytest.raises(InsufficientData, match="a feature that varies"):
        validate_frame(same, make_spec(columns))


@pytest.mark.parametrize(("different", "message"), [(4, "at least 5 different rows"), (5, None)])
def test_copies_do_not_make_rows_enough(different, message):
    copies = pd.concat([make_rows(different)] * 30, ignore_index=True)
    outcome = examine_frame(copies.assign(id=range(len(copies))), make_spec())
    if message is None:
        assert outcome.problem is None
    else:
        assert isinstance(outcome.problem, InsufficientData)
        assert message in outcome.problem.message


def test_a_number_without_bounds_must_still_be_finite():
    columns = {"x": Column(type="number", null_share=1), "kind": Column(type="category")}
    frame = pd.DataFrame({"x": [1e308, -1e308, None, *range(7)], "kind": list("ab" * 5)})
    assert len(validate_frame(frame, make_spec(columns)).accepted) == 10
    frame.loc[0, "x"] = np.inf
    with pytest.raises(ContractBroken, match=r"x: expected finite .* 1 row, e\.g\. inf"):
        validate_frame(frame, make_spec(columns))


@given(order=st.permutations(list(COLUMNS)))
@settings(slow, max_examples=5)
def test_the_order_of_columns_does_not_matter(order):
    outcome = validate_frame(make_rows()[order], SPEC)
    assert list(outcome.accepted.columns) == list(COLUMNS)


@pytest.mark.slow
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_added_is_warned_of_and_left_out_and_one_dropped_stops(name):
    added = validate_frame(make_rows().assign(**{f"{name}2": 1}), SPEC)
    assert added.warnings == (f"Unknown columns are left out: '{name}2'.",)
    assert digest_frame(added.accepted) == digest_frame(make_rows())
    dropped = make_rows().drop(columns=name)
    require_all_rows_kept(examine_frame(dropped, LENIENT), dropped)
    with pytest.raises(ContractBroken, match=f"'{name}' is missing"):
        validate_frame(dropped, LENIENT)


@pytest.mark.parametrize("twin", ["Size", "sizé", "sіze", "size ", "siez"], ids=ascii)
def test_a_column_renamed_stops_and_says_which(twin):
    frame = make_rows().rename(columns={"size": twin})
    with pytest.raises(ContractBroken, match="the columns are not the declared ones") as caught:
        validate_frame(frame, LENIENT)
    assert repr(twin) in caught.value.message.split("\n")[1]


def test_no_declared_column_at_all_stops_too():
    frame = pd.DataFrame({"x": range(40)})
    require_all_rows_kept(examine_frame(frame, SPEC), frame)
    with pytest.raises(ContractBroken, match="'id' is missing"):
        validate_frame(frame, SPEC)


def test_a_name_composed_otherwise_is_another_name():
    columns = {"café": Column(type="number"), "kind": Column(type="category")}
    decomposed = unicodedata.normalize("NFD", "café")
    frame = pd.DataFrame({decomposed: range(10), "kind": list("ab" * 5)})
    with pytest.raises(ContractBroken, match="looks the same but is written with other characters"):
        validate_frame(frame, make_spec(columns))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("size", [f"large {i}" for i in range(40)]),
        ("size", [True, False] * 20),
        ("size", pd.date_range("2024-01-01", periods=40)),
        ("id", np.arange(40) + 0.5),
        ("note", range(40)),
        ("wet", ["wet", "dry"] * 20),
        ("at", range(40)),
    ],
)
def test_a_column_retyped_stops(name, values):
    with pytest.raises(ContractBroken, match="40 of 40 rows break the contract"):
        validate_frame(make_rows().assign(**{name: values}), LENIENT)


def test_numbers_that_arrive_as_text_are_read_and_said():
    outcome = validate_frame(make_rows().assign(size=lambda f: f["size"].map(repr)), SPEC)
    assert digest_frame(outcome.accepted) == digest_frame(make_rows())
    assert outcome.warnings == ("Column 'size' arrived as text and was read as number.",)


CELLS = {
    "size": st.one_of(st.none(), st.floats(), st.integers(-2, 12), st.sampled_from(["5", "x"])),
    "count": st.one_of(st.none(), st.integers(-2, 5), st.just(1.5), st.just("7")),
    "shade": st.sampled_from(["red", "blue", "green", "", None, 3]),
    "note": st.one_of(st.none(), st.text(max_size=8), st.just(4)),
    "wet": st.sampled_from([True, False, None, 1, "maybe"]),
    "at": st.sampled_from([pd.Timestamp("2024-01-01", tz="UTC"), "2024-01-01", None, "soon", 5]),
    "kind": st.sampled_from(["a", "b", "c", None]),
    "id": st.one_of(st.integers(0, 30), st.none()),
}


@pytest.mark.slow
@given(rows=st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=12))
@slow
def test_no_row_is_lost_and_both_counts_agree_whatever_comes(rows):
    """`_find_broken` raises CheckCrashed where Great Expectations and the masks count different rows."""
    frame = pd.DataFrame(rows, columns=list(CELLS), dtype=object)
    outcome = examine_frame(frame, make_spec(quarantine_share=1, min_rows=1))
    require_all_rows_kept(outcome, frame)
    failed = sum(check.failed_rows for check in outcome.checks if check.status == "failed")
    assert (failed == 0) <= (len(outcome.quarantined) == 0)
    kept = outcome.accepted
    assert not kept.drop(columns=["count", "note"]).isna().any().any()
    assert kept["size"].between(0, 10).all()
    assert kept["shade"].isin(["red", "blue"]).all()
    assert not kept["id"].duplicated().any()


def test_two_counts_that_disagree_crash_instead_of_judging(monkeypatch):
    monkeypatch.setattr(contract, "run_suite", _miscount(contract.run_suite))
    with pytest.raises(CheckCrashed, match="Great Expectations counts 8 rows, keepfit 1"):
        examine_frame(spoil(size=[11]), SPEC)


def _miscount(run_suite):
    def wrong(frame, asked):
        answers, result = run_suite(frame, asked)
        return [answer._replace(unexpected_rows=(answer.unexpected_rows or 0) + 7) for answer in answers], result

    return wrong


def test_accepting_twice_accepts_all():
    once = validate_frame(spoil(size=["abc", 11]), LENIENT).accepted
    twice = validate_frame(once, SPEC)
    pd.testing.assert_frame_equal(twice.accepted, once)


def test_both_parts_survive_parquet(tmp_path):
    outcome = validate_frame(spoil(size=[11, 12], shade=["green"]), LENIENT)
    for part in (outcome.accepted, outcome.quarantined):
        write_parquet(part, tmp_path / "x.parquet")
        assert digest_frame(read_parquet(tmp_path / "x.parquet")) == digest_frame(part)


def test_a_column_called_reasons_is_not_overwritten():
    outcome = validate_frame(spoil(size=[11]).assign(reasons="mine"), LENIENT)
    assert outcome.quarantined["reasons"].tolist() == ["mine"]
    assert outcome.quarantined.iloc[:, -1].tolist() == ["size: not at least 0 and at most 10"]


def test_the_raw_rows_are_not_changed():
    frame = spoil(size=["abc", 11])
    before = frame.copy(deep=True)
    examine_frame(frame, LENIENT)
    pd.testing.assert_frame_equal(frame, before)


PAIR = {"column_A": "size", "column_B": "count", "or_equal": True, "ignore_row_if": "either_value_is_missing"}


def expecting(name, share=0.5, **arguments):
    return make_spec(quarantine_share=share, expectations=[Expectation(expectation=name, arguments=arguments)])


def test_the_projects_own_expectations_see_the_declared_columns_only():
    outcome = validate_frame(make_rows().assign(more=1), expecting("expect_table_column_count_to_equal", value=8))
    assert outcome.checks[-1].status == "passed"


def test_observed_words_of_text_columns_are_in_no_report():
    spec = expecting("expect_column_distinct_values_to_be_in_set", column="note", value_set=["n0"])
    outcome = examine_frame(make_rows().assign(note="quux"), spec)
    assert outcome.problem is not None
    assert "quux" not in f"{outcome.problem} {outcome.checks} {outcome.gx_result} {outcome.warnings}"


def test_rows_that_break_an_expectation_of_the_projects_own_are_set_aside():
    frame = make_rows().assign(size=9.5, count=1)
    frame.loc[3, "size"] = 0.5
    outcome = validate_frame(frame, expecting("expect_column_pair_values_a_to_be_greater_than_b", **PAIR))
    assert outcome.quarantined["id"].tolist() == [3]
    assert outcome.quarantined["reasons"].tolist() == ["breaks expect_column_pair_values_a_to_be_greater_than_b"]


def test_an_expectation_of_the_whole_table_that_fails_stops():
    with pytest.raises(ContractBroken, match="size: expected column size, min_value 9; observed"):
        validate_frame(make_rows(), expecting("expect_column_mean_to_be_between", column="size", min_value=9))
    mostly = expecting("expect_column_values_to_be_between", share=1, column="size", min_value=9, mostly=0.9)
    with pytest.raises(ContractBroken, match="expect_column_values_to_be_between"):
        validate_frame(make_rows(), mostly)


def test_a_failed_expectation_of_low_severity_only_warns():
    spec = expecting("expect_column_mean_to_be_between", column="size", min_value=9, severity="warning")
    outcome = validate_frame(make_rows(), spec)
    assert any("expect_column_mean_to_be_between" in warning for warning in outcome.warnings)
    assert [check.status for check in outcome.checks if check.status != "passed"] == ["warning"]


def test_a_check_that_crashed_says_nothing_of_the_data():
    spec = expecting("expect_column_mean_to_be_between", column="note", min_value=1)
    with pytest.raises(CheckCrashed, match=r"1 of \d+ checks failed to run, which says nothing of the data"):
        validate_frame(make_rows(), spec)


def test_a_missing_column_is_told_before_an_expectation_on_it_can_crash():
    spec = expecting("expect_column_mean_to_be_between", column="size", min_value=0)
    with pytest.raises(ContractBroken, match="'size' is missing"):
        validate_frame(make_rows().drop(columns="size"), spec)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("expect_column_mean_to_be_betwen", {}, "Did you mean 'expect_column_mean_to_be_between'"),
        ("expect_column_mean_to_be_between", {"column": "size", "min_valu": 1}, "Did you mean 'min_value'"),
        ("expect_column_mean_to_be_between", {"column": "siez", "min_value": 1}, "Did you mean 'size'"),
        ("expect_column_values_to_be_between", {"column": "size", "min_value": 1, "mostly": 1.5}, "mostly: "),
        ("expect_column_pair_values_to_be_equal", {"column_A": "size"}, "column_B"),
        ("expect_column_mean_to_be_between", {"column": "size", "batch_id": "x"}, "no argument 'batch_id'"),
        ("unexpected_rows_expectation", {"unexpected_rows_query": "x"}, "no expectation"),
    ],
    ids=["name", "argument", "column", "type", "lacking", "not for projects", "other backend"],
)
def test_an_expectation_that_cannot_be_meant_is_refused_at_once(name, arguments, message):
    with pytest.raises(SpecError, match=message):
        validate_frame(make_rows(), expecting(name, **arguments))

"""The same rows, as training sees them and as they were when they were scored."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import LeakFound
from tasks.contracts.columns import Column
from tasks.validation.contract import validate_frame
from tasks.validation.hindsight import find_hindsight
from tests.tasks.validation.projects import COLUMNS, make_rows, make_spec

SPEC = make_spec()
ROWS = make_rows(2000)
AS_SCORED = ROWS.drop(columns="kind")

CHANGES = {
    "number": ("size", lambda column: column + 0.001),
    "integer": ("count", lambda column: column + 1),
    "category": ("shade", lambda column: column.map({"red": "blue", "blue": "red"})),
    "text": ("note", lambda column: column + "!"),
    "boolean": ("wet", lambda column: ~column),
    "missing then": ("size", lambda column: column.where(column.index % 2 == 0)),
}


def test_the_same_rows_are_not_accused_in_any_order_or_type_of_column():
    written = AS_SCORED.sample(frac=1, random_state=0).astype({"id": str, "count": float, "shade": "category"})
    assert find_hindsight(ROWS, written, SPEC) == ([], [])
    assert find_hindsight(ROWS, AS_SCORED.head(20), SPEC) == ([], [])


@pytest.mark.parametrize(("name", "change"), CHANGES.values(), ids=CHANGES)
def test_a_value_that_was_another_one_is_found(name, change):
    ((found,), _) = find_hindsight(ROWS, AS_SCORED.assign(**{name: change(AS_SCORED[name])}), SPEC)
    assert found.startswith(f"Column {name!r} has another value now than when the row was scored, in ")


@pytest.mark.parametrize("name", ["size", "note"])
def test_a_feature_that_is_not_there_when_rows_are_scored_is_found(name):
    ((found,), _) = find_hindsight(ROWS, AS_SCORED.drop(columns=name), SPEC)
    assert found == f"Column {name!r} is not there when rows are scored: monitoring.rows does not give it."


@pytest.mark.parametrize("name", ["at", "id", "kind"])
def test_what_is_no_feature_may_come_later(name):
    changed = AS_SCORED.assign(at=AS_SCORED["at"] + pd.Timedelta(days=1)) if name == "at" else AS_SCORED
    assert find_hindsight(ROWS, changed, SPEC) == ([], [])


@given(st.integers(0, 20))
def test_one_row_in_a_thousand_may_have_been_mended(mended):
    changed = AS_SCORED.assign(size=AS_SCORED["size"].where(AS_SCORED.index >= mended, -1.0))
    assert bool(find_hindsight(ROWS, changed, SPEC).leaks) == (mended > 2)


def test_a_person_may_vouch_for_values_that_are_mended_but_not_for_a_column_that_is_not_there():
    vouched = make_spec({**COLUMNS, "size": COLUMNS["size"].model_copy(update={"known": "before"})})
    assert find_hindsight(ROWS, AS_SCORED.assign(size=0.5), vouched) == ([], [])
    assert find_hindsight(ROWS, AS_SCORED.drop(columns="size"), vouched).leaks


def test_rows_that_are_none_of_those_that_train_say_that_nothing_was_looked_at():
    leaks, (warning,) = find_hindsight(ROWS, AS_SCORED.assign(id=AS_SCORED["id"] + 10_000), SPEC)
    assert not leaks
    assert "None of the 2000 rows of monitoring.rows" in warning


def test_no_rows_at_the_time_of_scoring_accuse_nobody():
    assert find_hindsight(ROWS, AS_SCORED.head(0), SPEC) == ([], [])


def test_a_leak_stops_validation_with_every_column_and_what_to_do():
    changed = AS_SCORED.assign(size=AS_SCORED["size"] / 2).drop(columns="wet")
    with pytest.raises(LeakFound, match=r"(?s)Column 'wet' is not there.*Column 'size' has another value") as caught:
        validate_frame(ROWS, SPEC, changed)
    assert "`feature: false`" in caught.value.remedy
    assert caught.value.exit_code == 3


def test_a_feature_that_gives_the_target_away_stops_validation_until_a_person_vouches_for_it():
    columns = {"x": Column(type="number"), "z": Column(type="number"), "kind": Column(type="category")}
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    rows = pd.DataFrame(
        {"x": y + rng.normal(size=200) / 100, "z": rng.normal(size=200), "kind": np.array(["a", "b"])[y]}
    )
    with pytest.raises(LeakFound, match="Column 'x' predicts 'kind' almost perfectly"):
        validate_frame(rows, make_spec(columns))
    vouched = make_spec({**columns, "x": Column(type="number", known="before")})
    assert len(validate_frame(rows, vouched).accepted) == 200

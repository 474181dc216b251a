"""Which rows of a window may be scored: by row or whole, and always rows in = accepted + set aside."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from infra.errors import ContractBroken, DataError, InsufficientData
from tasks.contracts.project import ProjectSpec
from tasks.validation.batches import examine_batch
from tasks.validation.shares import exceeds
from tasks.windows import parse_window

DAY = parse_window("2013-07-14")


def make_spec(quarantine_share: float = 0.2, **columns: Any) -> ProjectSpec:
    declared: dict[str, Any] = {
        "visit": {"type": "text"},
        "at": {"type": "datetime"},
        "signal": {"type": "number", "min": -10, "max": 10},
        "level": {"type": "integer", "null_share": 0.1},
        "kind": {"type": "category", "allowed": ["x", "y"]},
        "label": {"type": "category", "allowed": ["no", "yes"]},
        "after": {"type": "number", "feature": False},
    }
    return ProjectSpec.model_validate(
        {
            "name": "visits",
            "source": {"csv": "rows.csv"},
            "columns": declared | columns,
            "target": "label",
            "row_id": "visit",
            "time": "at",
            "validation": {"quarantine_share": quarantine_share},
            "candidates": {"bayes": {"estimator": "sklearn.naive_bayes.GaussianNB"}},
        }
    )


def make_rows(n: int = 20) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "visit": [f"v{number:03}" for number in range(n)],
            "at": pd.date_range("2013-07-14", periods=n, freq="min", tz="UTC"),
            "signal": np.linspace(-1, 1, n),
            "level": pd.array(range(n), "Int64"),
            "kind": ["x", "y"] * (n // 2) + ["x"] * (n % 2),
        }
    )


def set_cells(rows: pd.DataFrame, name: str, *cells: object) -> pd.DataFrame:
    changed = rows.astype({name: object})
    changed.loc[: len(cells) - 1, name] = list(cells)
    return changed


def test_sound_rows_are_accepted_with_what_a_model_needs_and_no_more() -> None:
    found = examine_batch(make_rows().assign(label="yes", extra=1), make_spec(), DAY)
    assert list(found.accepted.columns) == ["visit", "at", "signal", "level", "kind"]
    assert (len(found.accepted), len(found.quarantined), found.problem, found.reasons) == (20, 0, None, {})


BROKEN = {
    "no number": ("signal", "many", "signal: not a number"),
    "infinite": ("signal", np.inf, "signal: not at least -10 and at most 10"),
    "out of bounds": ("signal", 11.0, "signal: not at least -10 and at most 10"),
    "missing": ("signal", None, "signal: missing"),
    "half a number": ("level", 1.5, "level: not a whole number"),
    "unknown category": ("kind", "z", "kind: not an allowed value"),
    "no time": ("at", "yesterday", "at: not a time (ISO 8601)"),
    "no id": ("visit", None, "visit: missing"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_row_with_a_broken_cell_is_set_aside_as_it_came_with_its_reason(name: str) -> None:
    column, cell, reason = BROKEN[name]
    rows = set_cells(make_rows(), column, cell)
    found = examine_batch(rows, make_spec(), DAY)
    assert (len(found.accepted), len(found.quarantined), found.problem) == (19, 1, None)
    assert reason in found.quarantined.loc[0, "reasons"]
    assert reason in found.reasons
    others = [name for name in rows if name != column]
    assert found.quarantined.loc[0, others].astype(str).tolist() == rows.loc[0, others].astype(str).tolist()


def test_rows_of_one_id_are_all_set_aside_since_no_label_could_tell_them_apart() -> None:
    found = examine_batch(set_cells(make_rows(), "visit", "v001"), make_spec(), DAY)
    assert found.quarantined["visit"].tolist() == ["v001", "v001"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (make_rows().drop(columns="signal"), "'signal' is missing"),
        (make_rows().rename(columns={"signal": "Signal"}), "'Signal' differs in case"),
        (make_rows().rename(columns={"signal": "ѕignal"}), "written with other characters"),
        (make_rows().assign(signal=-999.0), "20 of 20 rows break the contract"),
        (make_rows().assign(signal=None), "20 of 20 rows break the contract"),
        (make_rows().assign(level=None), "level: 20 of 20 cells are missing"),
        (make_rows().assign(signal="many"), "20 of 20 rows break the contract"),
        (make_rows().assign(visit="v1"), "20 of 20 rows break the contract"),
        (pd.DataFrame({"other": [1, 2]}), "'visit' is missing"),
    ],
    ids=["dropped", "case", "twin", "unit", "all null", "all null allowed", "type", "one id", "other table"],
)
def test_a_broken_column_sets_the_batch_aside_whole_with_every_row_kept(rows: pd.DataFrame, said: str) -> None:
    found = examine_batch(rows, make_spec(), DAY)
    assert isinstance(found.problem, ContractBroken)
    assert said in found.problem.message
    assert (len(found.accepted), len(found.quarantined)) == (0, len(rows))
    assert found.quarantined["reasons"].str.len().min() > 0


def test_more_broken_rows_than_may_be_set_aside_stop_the_batch_and_a_few_do_not() -> None:
    rows = make_rows(100)
    few, many = (set_cells(rows, "signal", *["many"] * count) for count in (2, 30))
    spec = make_spec(quarantine_share=0.05)
    assert examine_batch(few, spec, DAY).problem is None
    assert examine_batch(many, spec, DAY).problem is not None
    assert examine_batch(few, make_spec(quarantine_share=0.0), DAY).problem is not None


def test_rows_of_another_time_are_refused_and_nothing_is_set_aside() -> None:
    rows = make_rows()
    rows.loc[:2, "at"] += pd.Timedelta(days=1)
    with pytest.raises(DataError, match=r"3 of 20 are of another time \(2013-07-14 00:03 to 2013-07-15 00:02\)"):
        examine_batch(rows, make_spec(), DAY)


def test_a_window_is_open_at_its_end() -> None:
    rows = make_rows(2).assign(at=[DAY.start, DAY.end])
    with pytest.raises(DataError, match="1 of 2 are of another time"):
        examine_batch(rows, make_spec(), DAY)


def test_no_row_is_no_batch() -> None:
    with pytest.raises(InsufficientData, match="expected rows to score, received none"):
        examine_batch(make_rows(0), make_spec(), DAY)


@pytest.mark.slow
@given(st.permutations(range(12)), st.permutations(["visit", "at", "signal", "level", "kind"]))
def test_the_same_rows_in_any_order_are_the_same_batch(order: list[int], names: list[str]) -> None:
    rows = set_cells(make_rows(12), "signal", "many", 11.0)
    first, second = examine_batch(rows, make_spec(), DAY), examine_batch(rows.iloc[order][names], make_spec(), DAY)
    assert first.content == second.content
    pd.testing.assert_frame_equal(first.accepted, second.accepted)


def test_times_as_text_and_as_times_are_the_same_batch_and_another_cell_is_another() -> None:
    rows, spec = make_rows(), make_spec()
    as_text = rows.assign(at=rows["at"].map(lambda at: at.isoformat()))
    assert examine_batch(as_text, spec, DAY).content == examine_batch(rows, spec, DAY).content
    assert examine_batch(set_cells(rows, "signal", 0.5), spec, DAY).content != examine_batch(rows, spec, DAY).content


CELLS = st.sampled_from([None, "x", "many", 3, 2.5, float("inf"), float("nan"), True, "2013-07-14T03:00:00+00:00"])


@pytest.mark.slow
@given(
    st.lists(st.fixed_dictionaries(dict.fromkeys(["visit", "signal", "level", "kind"], CELLS)), min_size=1, max_size=8)
)
def test_whatever_comes_rows_in_are_accepted_plus_set_aside_and_can_be_kept(cells: list[dict[str, object]]) -> None:
    from infra.frames import digest_frame

    rows = pd.DataFrame({name: pd.Series([row[name] for row in cells], dtype=object) for name in cells[0]})
    found = examine_batch(rows.assign(at="2013-07-14T03:00:00+00:00"), make_spec(), DAY)
    assert found.rows == len(cells) == len(found.accepted) + len(found.quarantined)
    assert digest_frame(found.quarantined)
    assert (found.quarantined["reasons"].str.len() > 0).all()


@pytest.mark.parametrize(
    ("count", "rows", "share", "expected"),
    [(0, 10, 0.0, False), (1, 10, 0.0, True), (1, 10, 0.01, False), (3, 10, 0.01, True), (51, 1000, 0.05, False)],
)
def test_a_share_is_exceeded_when_chance_does_not_explain_it(
    count: int, rows: int, share: float, expected: bool
) -> None:
    assert exceeds(count, rows, share) is expected


def test_one_share_is_never_exceeded() -> None:
    assert not exceeds(10, 10, 1.0)

"""Data from which no model may come, through the whole path (FAULTS.md rows 16 and 18), beside a healthy control."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.registry.registry import open_registry
from tests.flows.conftest import Place

pytestmark = pytest.mark.engine

Spoil = Callable[[pd.DataFrame], pd.DataFrame]


def with_value(column: str, value: float, share: float) -> Spoil:
    def spoil(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(**{column: rows[column].where(np.arange(len(rows)) >= share * len(rows), value)})

    return spoil


SPOILED: dict[str, Spoil] = {
    "no rows": lambda rows: rows.iloc[:0],
    "one row": lambda rows: rows.iloc[:1],
    "one class": lambda rows: rows.assign(label="left"),
    "no labels": lambda rows: rows.assign(label=None),
    "feature all null": lambda rows: rows.assign(signal=None),
    "constant features": lambda rows: rows.assign(signal=1.0, noise=2.0),
    "all rows the same": lambda rows: pd.concat([rows.iloc[:1]] * len(rows)),
    "two rows again and again": lambda rows: pd.concat([rows.groupby("label").head(1)] * 300),
    "a fifth NaN": with_value("signal", np.nan, 0.2),
    "a fifth infinite": with_value("signal", np.inf, 0.2),
    "all infinite in an unbounded column": with_value("noise", -np.inf, 1.0),
    "a fifth 1e308": with_value("signal", 1e308, 0.2),
}


def run(place: Place, table: Path, rows: pd.DataFrame) -> tuple[int, str]:
    rows.to_csv(table / "rows.csv", index=False)
    return place.keepfit("run", "table", "--strict")


def test_the_healthy_control_is_released(place: Place, table: Path) -> None:
    code, said = run(place, table, pd.read_csv(table / "rows.csv"))
    assert code == 0, said
    with open_registry(place.database) as registry:
        assert registry.champion("table").version == 1


@pytest.mark.parametrize("name", SPOILED)
def test_no_model_comes_from_what_is_no_data(place: Place, table: Path, name: str) -> None:
    code, said = run(place, table, SPOILED[name](pd.read_csv(table / "rows.csv")))
    assert code in (3, 4), said
    assert "Traceback" not in said
    assert said.count("keepfit:") == 1
    with open_registry(place.database) as registry:
        assert registry.champion("table").version is None
        assert registry.runs("table")[0].state == ("failed" if code == 3 else "completed")


def test_an_empty_file_is_refused(place: Place, table: Path) -> None:
    (table / "rows.csv").write_bytes(b"")
    code, said = place.keepfit("run", "table")
    assert code == 3, said
    assert "Traceback" not in said


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e308], ids=str)
def test_a_few_spoiled_rows_are_set_aside_and_no_figure_suffers(place: Place, table: Path, value: float) -> None:
    with_value("signal", value, 0.02)(pd.read_csv(table / "rows.csv")).to_csv(table / "rows.csv", index=False)
    outcome = place.answer("run", "table")
    assert outcome["status"] == "released"
    validation = place.answer("show", "table@1")["manifest"]["validation"]
    assert (validation["accepted_rows"], validation["quarantined_rows"]) == (588, 12)
    assert all(np.isfinite(metric["value"]) for metric in outcome["evaluation"]["metrics"])


def test_numbers_too_large_to_square_in_an_unbounded_column_give_no_model_or_a_sound_one(
    place: Place, table: Path
) -> None:
    code, said = run(place, table, with_value("noise", 1e308, 0.2)(pd.read_csv(table / "rows.csv")))
    assert "Traceback" not in said
    assert code in (0, 1, 3, 4)
    if code == 0:
        outcome = place.answer("show", "table@1")
        figures = outcome["manifest"]["evaluation"]["metrics"]
        assert all(np.isfinite(metric["value"]) for metric in figures)
    else:
        assert said.count("keepfit:") == 1

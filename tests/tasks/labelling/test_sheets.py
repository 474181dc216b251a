"""The file that people fill in: no formula runs, and what comes back is what went out."""

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import DataError
from tasks.contracts.project import ProjectSpec
from tasks.ingestion.reading import read_file
from tasks.labelling.sheets import ANSWER, FORMULA, MARK, free_cell, guard_cell, part_pictures, read_sheet, write_sheet
from tasks.validation.labels import check_labels

CLASSES = ("left", "right")


def make_spec(row_id: str = "text", target: dict[str, Any] | None = None) -> ProjectSpec:
    return ProjectSpec.model_validate(
        {
            "name": "visits",
            "source": {"csv": "rows.csv"},
            "columns": {
                "visit": {"type": row_id},
                "signal": {"type": "number"},
                "said": {"type": "text"},
                "label": target or {"type": "category"},
            },
            "target": "label",
            "row_id": "visit",
            "candidates": {"bayes": {"estimator": "sklearn.naive_bayes.GaussianNB"}},
        }
    )


def make_rows(*ids: object, said: str = "fine") -> pd.DataFrame:
    return pd.DataFrame({"visit": list(ids), "signal": -1.5, "said": said})


def fill_in(sheet: str, path: Path, **labels: object) -> Path:
    """Do what a person does: open the file, write labels beside some ids, save it."""
    cells = pd.read_csv(io.StringIO(sheet), dtype=str, keep_default_na=False)
    for row, label in labels.items():
        cells.loc[cells["visit"].map(free_cell) == row, "label"] = str(label)
    cells.to_csv(path, index=False, encoding="utf-8-sig")
    return path


@given(st.text(max_size=8))
def test_freeing_a_guarded_cell_gives_it_back_and_no_guarded_cell_begins_a_formula(text: str) -> None:
    guarded = guard_cell(text)
    assert free_cell(guarded) == text
    assert not guarded.startswith(FORMULA)


@pytest.mark.parametrize("row", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\tx", "'=1", "plain", "007", "a,b\nc"])
def test_an_id_and_a_text_of_any_kind_survive_the_round_trip(row: str, tmp_path: Path) -> None:
    spec = make_spec()
    sheet = write_sheet(make_rows(row, said=row), spec)
    cells = pd.read_csv(io.StringIO(sheet), dtype=str, keep_default_na=False).iloc[0]
    assert not any(cell.startswith(FORMULA) for name, cell in cells.items() if name != "signal")
    assert free_cell(cells["said"]) == row
    filled = fill_in(sheet, tmp_path / "back.csv", **{row: "left"})
    labels = check_labels(read_sheet(read_file(filled, spec), spec, CLASSES), spec).labels
    assert labels["row_id"].tolist() == [row]
    assert labels["truth"].tolist() == ["left"]


def test_rows_that_were_left_empty_are_skipped_and_those_of_a_spreadsheets_end_too(tmp_path: Path) -> None:
    spec = make_spec()
    filled = fill_in(write_sheet(make_rows("a", "b", "c"), spec), tmp_path / "back.csv", b="right")
    with filled.open("a", encoding="utf-8") as file:
        file.write(",,,,,\n,,,,,\n")
    checked = check_labels(read_sheet(read_file(filled, spec), spec, CLASSES), spec)
    assert checked.labels["row_id"].tolist() == ["b"]
    assert checked.without_truth == 2


@pytest.mark.parametrize(
    ("target", "classes", "wrong"),
    [
        ({"type": "category", "allowed": ["left", "right"]}, CLASSES, "lefft"),
        ({"type": "category"}, CLASSES, "lefft"),
        ({"type": "integer"}, (0, 1), "7"),
        ({"type": "integer", "allowed": [0, 1]}, (0, 1), "2"),
    ],
    ids=["allowed", "of the champion", "integers of the champion", "allowed integers"],
)
def test_a_class_that_is_none_is_refused_with_its_row(
    target: dict[str, Any], classes: tuple[Any, ...], wrong: str, tmp_path: Path
) -> None:
    spec = make_spec(target=target)
    sheet = write_sheet(make_rows("a", "b", "c"), spec)
    filled = fill_in(sheet, tmp_path / "back.csv", a=classes[0], c=wrong)
    with pytest.raises(DataError, match=r"1 of 3 are not, row 3.*" + wrong):
        read_sheet(read_file(filled, spec), spec, classes)


def test_an_id_that_a_spreadsheet_has_changed_is_refused_with_its_row(tmp_path: Path) -> None:
    spec = make_spec()
    path = tmp_path / "back.csv"
    path.write_text(write_sheet(make_rows("a", "007"), spec).replace("\n007,", "\n7,"))
    with pytest.raises(DataError, match="expected the ids as they went out; 1 of 2 are not, row 2"):
        read_sheet(read_file(path, spec), spec, CLASSES)


def test_numbers_as_ids_come_back_as_predictions_name_them(tmp_path: Path) -> None:
    spec = make_spec(row_id="integer")
    filled = fill_in(write_sheet(make_rows(7, -8), spec), tmp_path / "back.csv", **{"-8": "left"})
    assert check_labels(read_sheet(read_file(filled, spec), spec, CLASSES), spec).labels["row_id"].tolist() == ["-8"]


def test_the_models_answers_stand_in_the_file_only_where_they_are_asked_for() -> None:
    spec, rows = make_spec(), make_rows("a")
    answers = pd.DataFrame({"prediction": ["=left"], "probability": [0.75]})
    assert ANSWER not in write_sheet(rows, spec)
    shown = pd.read_csv(io.StringIO(write_sheet(rows, spec, answers)), dtype=str)
    assert shown[ANSWER].tolist() == ["'=left"]


def test_a_picture_is_a_file_beside_the_sheet_whose_cell_names_it() -> None:
    png, jpg = b"\x89PNG\r\n...", b"\xff\xd8..."
    rows = pd.DataFrame({"visit": ["a", "b", "c"], "seen": [png, None, jpg]})
    parted, files = part_pictures(rows, "queue.pictures")
    assert parted["seen"].tolist() == ["queue.pictures/00001.png", None, "queue.pictures/00003.jpg"]
    assert files == {"00001.png": png, "00003.jpg": jpg}
    assert rows["seen"].tolist() == [png, None, jpg]
    plain = make_rows("a")
    assert part_pictures(plain, "x")[1] == {}


def test_rows_without_any_mark_are_refused(tmp_path: Path) -> None:
    spec = make_spec()
    filled = fill_in(write_sheet(make_rows("a"), spec), tmp_path / "back.csv", a="left")
    cells = pd.read_csv(filled, dtype=str, keep_default_na=False)
    cells.assign(**{MARK: ""}).to_csv(filled, index=False)
    with pytest.raises(DataError, match="expected the ids as they went out; 1 of 1 are not, row 1"):
        read_sheet(read_file(filled, spec), spec, CLASSES)


def test_a_file_of_other_make_is_left_as_it_is() -> None:
    raw = pd.DataFrame({"visit": ["'=1"], "label": ["anything"]})
    assert read_sheet(raw, make_spec(), CLASSES) is raw
    assert MARK not in raw

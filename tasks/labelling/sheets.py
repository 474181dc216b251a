"""The file that people fill in: safe to open in a spreadsheet, and read back as it went out.

A cell that a spreadsheet would run as a formula gets an apostrophe before it (OWASP, CSV Injection), and loses it on the way
back. Each row carries a mark made of its id: an id that a spreadsheet has changed (007 to 7, 1E5 to 100000) is refused and
not taken for another row's.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from infra.errors import DataError, name_values
from infra.suggestion import suggest
from tasks.contracts.project import ProjectSpec
from tasks.maturity import name_rows
from tasks.models.model import ClassLabel
from tasks.validation.conforming import Mask, conform_types

MARK, NOTES, ANSWER, PROBABILITY = "keepfit_row", "keepfit_notes", "keepfit_answer", "keepfit_probability"

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What begins a formula in one spreadsheet or another, the full-width signs included."""
APOSTROPHE = "'"
SHOWN_ROWS = 5
PICTURES = {b"\x89PNG": ".png", b"\xff\xd8": ".jpg"}


def guard_cell(cell: Any) -> Any:
    """Return the cell with an apostrophe before it where a spreadsheet might run it; what is no text stays.

    >>> guard_cell("=1+1"), guard_cell("'tis"), guard_cell(-3)
    ("'=1+1", "''tis", -3)
    """
    return APOSTROPHE + cell if isinstance(cell, str) and cell.startswith((*FORMULA, APOSTROPHE)) else cell


def free_cell(cell: Any) -> Any:
    """Return the cell that `guard_cell` was given."""
    guarded = isinstance(cell, str) and cell.startswith(APOSTROPHE) and cell[1:].startswith((*FORMULA, APOSTROPHE))
    return cell[1:] if guarded else cell


def guard_frame(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with every cell guarded and what is missing empty."""
    cells = rows.reset_index(drop=True).astype(object)
    return cells.where(cells.notna(), "").map(guard_cell)


def part_pictures(rows: pd.DataFrame, folder: str) -> tuple[pd.DataFrame, dict[str, bytes]]:
    """Return the rows with a file's name in place of each picture, and the files: no cell of a CSV file shows a picture.

    Parameters
    ----------
    folder
        Where the files will lie, beside the sheet.
    """
    parted, files = rows.copy(), {}
    for column in rows.columns:
        cells = rows[column].tolist()
        if not any(isinstance(cell, bytes) for cell in cells):
            continue
        names: list[Any] = []
        for at, cell in enumerate(cells, start=1):
            name = f"{at:05d}{_ending(cell)}" if isinstance(cell, bytes) else None
            names.append(f"{folder}/{name}" if name else None)
            if name:
                files[name] = cell
        parted[column] = pd.Series(names, index=rows.index, dtype=object)
    return parted, files


def _ending(picture: bytes) -> str:
    return next((ending for start, ending in PICTURES.items() if picture.startswith(start)), ".bin")


def mark_row(project: str, row: str) -> str:
    """Return the mark of a row: the first 48 bits of SHA-256 over project and id, after a letter, so that it is no number."""
    return "k" + hashlib.sha256(f"{project}\0{row}".encode()).hexdigest()[:12]


def write_sheet(rows: pd.DataFrame, spec: ProjectSpec, answers: pd.DataFrame | None = None) -> str:
    """Return the rows as a CSV file with an empty column for the label.

    Parameters
    ----------
    rows
        The id and what a person needs to tell the class, in the order of the file.
    answers
        The model's `prediction` and `probability` for each row; None: not shown. They lead whoever labels.
    """
    if spec.row_id is None:
        raise ValueError("a sheet needs the project's row_id")
    sheet = guard_frame(rows)
    if answers is not None:
        sheet[ANSWER] = [guard_cell(each) for each in answers["prediction"]]
        sheet[PROBABILITY] = [f"{each:.3f}" for each in answers["probability"]]
    sheet[spec.target] = ""
    sheet[NOTES] = ""
    sheet[MARK] = [mark_row(spec.name, row) for row in name_rows(rows[spec.row_id])]
    return str(sheet.to_csv(index=False))


def read_sheet(raw_labels: pd.DataFrame, spec: ProjectSpec, classes: Sequence[ClassLabel]) -> pd.DataFrame:
    """Return the labels of a file that `write_sheet` made and people filled in; any other file as it is.

    Parameters
    ----------
    classes
        What a label may be where the contract does not say.

    Raises
    ------
    DataError
        An id is not the one that went out, or a label is none of the classes: with the numbers of the rows, the first row
        of the data being 1.
    """
    row_id, target = spec.row_id, spec.target
    if row_id is None or not {MARK, row_id, target} <= set(raw_labels.columns):
        return raw_labels
    rows = raw_labels.reset_index(drop=True)
    empty = rows[[row_id, target]].isna().all(axis=1)  # spreadsheets leave such rows at the end
    for name in (row_id, target):
        rows[name] = _free(rows[name])
    _refuse_other_ids(rows, spec, row_id, empty.to_numpy(dtype=bool))
    _refuse_other_classes(rows, spec, [str(each) for each in spec.columns[spec.target].allowed or classes])
    return rows[~empty]


def _free(column: "pd.Series[Any]") -> "pd.Series[Any]":
    if not pd.api.types.is_string_dtype(column.dtype):
        return column
    return column.map(free_cell, na_action="ignore")


def _refuse_other_ids(rows: pd.DataFrame, spec: ProjectSpec, row_id: str, empty: Mask) -> None:
    ids = name_rows(conform_types(rows[[row_id]], {row_id: spec.columns[row_id]})[row_id].values)
    marks = [mark_row(spec.name, str(row)) for row in ids]
    as_sent = [str(mark) == made for mark, made in zip(rows[MARK], marks, strict=True)]
    other = ~np.array(as_sent, dtype=bool) & ~empty
    if other.any():
        raise DataError(
            f"{spec.name}: {row_id}: expected the ids as they went out; {_say_places(other, len(rows))}.",
            remedy="A spreadsheet may have read them as numbers or dates. Copy the labels into the file as it was written; "
            f"new rows come without the column {MARK}, in a file of their own. Nothing of this one was kept.",
        )


def _refuse_other_classes(rows: pd.DataFrame, spec: ProjectSpec, classes: Sequence[str]) -> None:
    target = spec.target
    said = conform_types(rows[[target]], {target: spec.columns[target]})[target].values
    given = said.notna().to_numpy(dtype=bool)
    words = said.astype("str")
    other = given & ~words.isin(list(classes)).to_numpy(dtype=bool)
    if other.any() and classes:
        cells = list(dict.fromkeys(words[other]))
        raise DataError(
            f"{spec.name}: {target}: expected one of {name_values(classes, 10)}; {_say_places(other, len(rows))}: "
            f"{name_values(cells)}.{suggest(cells[0], classes)}",
            remedy="Mend these cells, or empty them: an empty label is left for later. Nothing of this file was kept.",
        )


def _say_places(wrong: Mask, rows: int) -> str:
    places = (np.flatnonzero(wrong) + 1).tolist()
    shown, rest = ", ".join(map(str, places[:SHOWN_ROWS])), len(places) - SHOWN_ROWS
    more = f" and {rest:,} more" if rest > 0 else ""
    return f"{len(places):,} of {rows:,} are not, row{'s' if len(places) > 1 else ''} {shown}{more}"

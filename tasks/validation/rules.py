"""A project's contract as rules: each one an expectation for Great Expectations and, for rows, the mask of those that break it.

Great Expectations decides whether a rule holds; the mask says which rows break it. Both count the same rows.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from infra.errors import name_values
from tasks.contracts.columns import Column, Expectation
from tasks.contracts.project import ProjectSpec
from tasks.validation.conforming import Conformed, Mask, name_category, readable_type

LARGEST = sys.float_info.max
TYPE_WORDS = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "a truth value",
    "category": "a category",
    "text": "text",
    "datetime": "a time (ISO 8601)",
    "image": "a picture (PNG or JPEG, whole, up to 50 megapixels)",
}


@dataclass(frozen=True)
class Rule:
    """One thing that must hold.

    `breaks` gives the mask of the rows that break a rule of rows; None: a rule of the table, or an expectation of the
    project's own, whose rows Great Expectations itself names.
    """

    expectation: str
    arguments: dict[str, Any]
    column: str | None
    expected: str
    breaks: Callable[[], Mask] | None = None
    reason: str = ""
    about: Literal["columns", "count", "values", "extra"] = "values"
    cells: pd.Series | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Contract:
    """The rules, and the frame that they are checked on: conformed columns and a few of our own beside them."""

    rules: tuple[Rule, ...]
    batch: pd.DataFrame


def compile_contract(spec: ProjectSpec, raw_frame: pd.DataFrame, conformed: Mapping[str, Conformed]) -> Contract:
    """Return the rules of the project for these rows.

    Parameters
    ----------
    spec
        The project.
    raw_frame
        Rows as received.
    conformed
        The declared columns that are there, from `conform_types(raw_frame, spec.columns)`.
    """
    batch = {name: part.values for name, part in conformed.items()}
    rules = [_columns_exist(list(spec.columns))]
    for name, part in conformed.items():
        column = spec.columns[name]
        raw = raw_frame[name].reset_index(drop=True)
        rules += _rules_of_cells(name, column, part, raw, batch)
        rules += _rules_of_values(name, column, part.values)
        if column.unique or name == spec.row_id:
            rules.append(_unique(name, part.values))
    rules.append(_row_count(spec.validation.min_rows))
    rules += [_extra(asked) for asked in spec.validation.expectations]
    return Contract(tuple(rules), pd.DataFrame(batch, index=pd.RangeIndex(len(raw_frame)), copy=False))


def _columns_exist(names: list[str]) -> Rule:
    arguments = {"column_set": names, "exact_match": False}
    return Rule("expect_table_columns_to_match_set", arguments, None, "the declared columns", about="columns")


def _row_count(min_rows: int) -> Rule:
    return Rule(
        "expect_table_row_count_to_be_between",
        {"min_value": min_rows},
        None,
        f"at least {min_rows} rows",
        about="count",
    )


def _extra(asked: Expectation) -> Rule:
    about = asked.arguments.get("column")
    return Rule(
        asked.expectation,
        dict(asked.arguments),
        about if isinstance(about, str) else None,
        ", ".join(f"{key} {value}" for key, value in asked.arguments.items()),
        about="extra",
        reason=f"breaks {asked.expectation}",
    )


def _rules_of_cells(
    name: str, column: Column, part: Conformed, raw: pd.Series, batch: dict[str, pd.Series]
) -> list[Rule]:
    """Type and missing values: questions to the cells as received, before they become values."""
    received = name
    if part.unreadable.any():
        received = _free_name(f"{name} as received", batch)
        batch[received] = raw.astype(object).where(raw.notna(), None)
    readable = _free_name(f"{name} reads as {column.type}", batch)
    batch[readable] = pd.Series(~part.unreadable)
    rules = [
        Rule(
            "expect_column_values_to_be_in_set",
            {"column": readable, "value_set": [True]},
            name,
            TYPE_WORDS[column.type],
            breaks=lambda: part.unreadable,
            reason=f"{name}: not {TYPE_WORDS[column.type]}",
            cells=raw,
        )
    ]
    if column.null_share < 1:
        rules.append(_present(name, received, column.null_share, raw))
    return rules


def _free_name(wanted: str, taken: Mapping[str, Any]) -> str:
    return wanted if wanted not in taken else _free_name(wanted + "'", taken)


def _present(name: str, received: str, null_share: float, raw: pd.Series) -> Rule:
    arguments: dict[str, Any] = {"column": received}
    if null_share == 0:
        return Rule(
            "expect_column_values_to_not_be_null",
            arguments,
            name,
            "no missing value",
            breaks=lambda: raw.isna().to_numpy(dtype=bool),
            reason=f"{name}: missing",
        )
    arguments["mostly"] = round(1 - null_share, 12)
    return Rule(
        "expect_column_values_to_not_be_null", arguments, name, f"at most {null_share:.4g} of the values missing"
    )


def _rules_of_values(name: str, column: Column, values: pd.Series) -> list[Rule]:
    kind = readable_type(column)
    rules = []
    if kind == "number" or column.min is not None or column.max is not None:
        rules.append(_between(name, column, values))
    if column.allowed is not None:
        rules.append(_allowed(name, column.allowed, kind, values))
    if column.max_length is not None:
        rules.append(_length(name, column.max_length, values))
    return rules


def _between(name: str, column: Column, values: pd.Series) -> Rule:
    """Bounds; without any, the largest finite numbers: an infinity is never a measurement."""
    low = -LARGEST if column.min is None else column.min
    high = LARGEST if column.max is None else column.max
    given = [f"at least {column.min:g}"] if column.min is not None else []
    given += [f"at most {column.max:g}"] if column.max is not None else []
    expected = " and ".join(given) or "finite"
    return Rule(
        "expect_column_values_to_be_between",
        {"column": name, "min_value": low, "max_value": high},
        name,
        expected,
        breaks=lambda: ((values < low) | (values > high)).to_numpy(dtype=bool, na_value=False),
        reason=f"{name}: not {expected}",
        cells=values,
    )


def _allowed(name: str, allowed: list[Any], kind: str, values: pd.Series) -> Rule:
    members = [name_category(value) for value in allowed] if kind == "category" else list(allowed)
    return Rule(
        "expect_column_values_to_be_in_set",
        {"column": name, "value_set": members},
        name,
        f"one of {name_values(members, limit=10)}",
        breaks=lambda: (~values.isin(members) & values.notna()).to_numpy(dtype=bool, na_value=False),
        reason=f"{name}: not an allowed value",
        cells=values,
    )


def _length(name: str, max_length: int, values: pd.Series) -> Rule:
    return Rule(
        "expect_column_value_lengths_to_be_between",
        {"column": name, "max_value": max_length},
        name,
        f"at most {max_length} characters",
        breaks=lambda: (values.str.len() > max_length).to_numpy(dtype=bool, na_value=False),
        reason=f"{name}: longer than {max_length} characters",
        cells=values,
    )


def _unique(name: str, values: pd.Series) -> Rule:
    return Rule(
        "expect_column_values_to_be_unique",
        {"column": name},
        name,
        "different values",
        breaks=lambda: (values.duplicated(keep=False) & values.notna()).to_numpy(dtype=bool),
        reason=f"{name}: the value occurs more than once",
        cells=values,
    )


def mark_rows(positions: list[int], rows: int) -> Mask:
    """Return the mask with these positions set."""
    mask = np.zeros(rows, dtype=bool)
    mask[positions] = True
    return mask

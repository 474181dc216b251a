"""What one rule's answer means: a check in words, the rows that break the rule, a few of their values."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from infra.errors import CheckCrashed, name_values
from tasks.contracts.data import Check
from tasks.contracts.project import ProjectSpec
from tasks.validation.conforming import Mask
from tasks.validation.expectations import Answer, Asked, find_rows
from tasks.validation.rules import Rule, mark_rows

EXAMPLES = 5
EXAMPLE_LETTERS = 40


@dataclass(frozen=True)
class Finding:
    """A judged rule. `fatal`: it failed and names no rows that could be set aside."""

    rule: Rule
    check: Check
    rows: Mask | None = None
    fatal: bool = False
    examples: str = ""

    @property
    def sentence(self) -> str:
        """The column, what was expected, how many rows break it and at most five of their values."""
        count = self.check.failed_rows
        rows = f"; {count} row{'s' if count > 1 else ''}" if count else ""
        examples = f", e.g. {self.examples}" if self.examples else ""
        return f"{self.rule.column or 'table'}: {self.check.detail} ({self.rule.expectation}){rows}{examples}"


def judge_rule(rule: Rule, answer: Answer, batch: pd.DataFrame, spec: ProjectSpec) -> Finding:
    """Return what Great Expectations' answer to a rule means for the rows.

    Parameters
    ----------
    rule, answer
        The question and its answer, which did not crash.
    batch
        The frame that was asked.
    spec
        The project: values of its text columns are never quoted.

    Raises
    ------
    CheckCrashed
        Great Expectations and the rule's own mask count different rows.
    """
    check = Check(
        expectation=rule.expectation,
        column=rule.column,
        status=answer.status,
        detail=f"expected {rule.expected}" + (f"; observed {answer.observed}" if _may_show(answer, rule, spec) else ""),
        failed_rows=answer.unexpected_rows or 0,
    )
    if answer.status != "failed":
        return Finding(rule, check)
    rows = _find_broken(rule, answer, batch)
    return Finding(rule, check, rows, fatal=rows is None, examples=_give_examples(rule, rows, spec))


def _may_show(answer: Answer, rule: Rule, spec: ProjectSpec) -> bool:
    return 0 < len(answer.observed) <= EXAMPLE_LETTERS and _is_quotable(rule, spec)


def _is_quotable(rule: Rule, spec: ProjectSpec) -> bool:
    return rule.column is None or spec.columns[rule.column].is_quotable


def _find_broken(rule: Rule, answer: Answer, batch: pd.DataFrame) -> Mask | None:
    if rule.breaks is not None:
        rows = rule.breaks()
        if int(rows.sum()) != answer.unexpected_rows:
            raise CheckCrashed(
                f"{rule.expectation} on {rule.column!r}: Great Expectations counts {answer.unexpected_rows} rows, "
                f"keepfit {int(rows.sum())}.",
                remedy="This is a defect of keepfit: report it with the types of the column.",
            )
        return rows
    if rule.about != "extra" or rule.arguments.get("mostly", 1) != 1:
        return None
    positions = find_rows(batch, Asked(rule.expectation, rule.arguments))
    return None if not positions else mark_rows(positions, len(batch))


def _give_examples(rule: Rule, rows: Mask | None, spec: ProjectSpec) -> str:
    if rows is None or rule.cells is None or not _is_quotable(rule, spec):
        return ""
    cells = rule.cells[rows].astype(object).head(1000)
    return name_values(dict.fromkeys(_shorten(cell) for cell in cells), limit=EXAMPLES)


def _shorten(cell: Any) -> str | float | bool:
    return cell if isinstance(cell, (float, int)) else str(cell)[:EXAMPLE_LETTERS]

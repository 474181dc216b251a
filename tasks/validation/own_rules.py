"""The project's own expectations put to a window's rows: those whose columns are there before the truth is known."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from infra.errors import CheckCrashed
from tasks.contracts.columns import Expectation
from tasks.contracts.project import ProjectSpec
from tasks.validation.conforming import Mask
from tasks.validation.expectations import Asked, find_columns, run_suite
from tasks.validation.findings import Finding, judge_rule
from tasks.validation.rules import Rule
from tasks.validation.shares import exceeds


class Broken(NamedTuple):
    """Rows that break a rule, by the reason in words; and why the whole batch is set aside."""

    rows: dict[str, Mask]
    whole: list[str]


def select_expectations(
    expectations: Sequence[Expectation], there: Collection[str], declared: Collection[str]
) -> list[Expectation]:
    """Return the expectations that can be put to rows with these columns: they name some of them and no other.

    Those that name no column speak of the whole table, such as its number of rows: of the training rows, not of a window's.

    Parameters
    ----------
    there
        The columns that the rows have.
    declared
        All columns of the project: one that a `row_condition` names must be there too.
    """
    found = []
    for expectation in expectations:
        named = set(find_columns(expectation.arguments))
        condition = str(expectation.arguments.get("row_condition") or "")
        named_in_condition = {name for name in declared if re.search(rf"\b{re.escape(name)}\b", condition)}
        if named and (named | named_in_condition) <= set(there):
            found.append(expectation)
    return found


def find_broken(rules: Sequence[Rule], batch: pd.DataFrame, spec: ProjectSpec) -> Broken:
    """Return what the project's own rules say of these rows.

    A rule of rows sets aside the rows that break it. One with `mostly` sets the batch aside where more rows break it than
    that share explains, one of a whole column (its mean, its values) where it does not hold. One with `severity: warning`
    sets nothing aside.

    Parameters
    ----------
    rules
        Of `rules.compile_contract`; others than the project's own are passed over.
    batch
        The rows in declared types.

    Raises
    ------
    CheckCrashed
        A check failed to run, which says nothing of the rows.
    """
    own = [rule for rule in rules if rule.about == "extra"]
    if not own:
        return Broken({}, [])
    answers, _ = run_suite(batch, [Asked(rule.expectation, rule.arguments, tuple(spec.columns)) for rule in own])
    crashed = [rule.expectation for rule, answer in zip(own, answers, strict=True) if answer.status == "crashed"]
    if crashed:
        raise CheckCrashed(
            f"{spec.name}: {', '.join(crashed)} failed to run on these rows, which says nothing of them.",
            remedy="Correct the arguments under `validation.expectations`. Nothing was scored.",
        )
    findings = [judge_rule(rule, answer, batch, spec) for rule, answer in zip(own, answers, strict=True)]
    rows: dict[str, Mask] = {}
    for finding in findings:
        if finding.rows is not None:
            rows[finding.rule.reason] = finding.rows | rows.get(finding.rule.reason, False)
    fatal = [finding for finding in findings if finding.fatal and not _is_chance(finding, len(batch))]
    return Broken(rows, [finding.sentence for finding in fatal])


def _is_chance(finding: Finding, rows: int) -> bool:
    """Return whether a share that `mostly` allows explains what a small window shows."""
    arguments: Mapping[str, object] = finding.rule.arguments
    mostly = arguments.get("mostly")
    return isinstance(mostly, float) and not exceeds(finding.check.failed_rows, rows, 1 - mostly)

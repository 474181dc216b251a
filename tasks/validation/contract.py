"""Rows held against the project's contract: accepted, set aside with their reasons, or refused as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from infra.errors import CheckCrashed, ContractBroken, DataError, InsufficientData, LeakFound, name_values
from tasks.contracts.data import Check
from tasks.contracts.project import ProjectSpec
from tasks.models.label_columns import with_sets
from tasks.validation.conforming import Conformed, Mask, conform_types, settle_types
from tasks.validation.duplicates import count_different, find_constants, find_duplicates, find_rare_classes
from tasks.validation.expectations import Answer, Asked, check_expectations, run_suite
from tasks.validation.findings import EXAMPLES, Finding, judge_rule
from tasks.validation.hindsight import Hindsight, find_hindsight
from tasks.validation.leaks import Leaks, find_leaks
from tasks.validation.names import compare_names, explain_missing
from tasks.validation.rules import Rule, compile_contract


@dataclass(frozen=True)
class ValidationOutcome:
    """What the contract says of some rows; rows in = accepted + quarantined.

    `accepted` holds the declared columns in declared order and types, rows in their order; `quarantined` the raw rows
    with a column `reasons`. `problem` is what `validate_frame` raises; None where the rows may go on.
    """

    rows: int
    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    checks: tuple[Check, ...]
    warnings: tuple[str, ...]
    gx_result: dict[str, Any] = field(repr=False)
    problem: DataError | None = None


def validate_frame(
    raw_frame: pd.DataFrame, spec: ProjectSpec, raw_as_scored: pd.DataFrame | None = None
) -> ValidationOutcome:
    """Return the rows that keep the contract, those that do not, and every check.

    Parameters
    ----------
    raw_frame
        Rows as received; not changed.
    spec
        The project: `columns`, `target`, `row_id`, `validation`.
    raw_as_scored
        Some of the rows as they were known when they were scored, where the project can tell.

    Raises
    ------
    ContractBroken
        More than `validation.quarantine_share` of the rows break a rule, or a rule of the whole table is broken.
    InsufficientData
        Fewer than `validation.min_rows` different rows are left, the target has one value, or every feature has.
    LeakFound
        A feature was not known when its row was scored, or gives the target away.
    CheckCrashed
        A check failed to run, which says nothing of the data.
    SpecError
        The contract asks what Great Expectations or a column's type does not have.
    """
    outcome = examine_frame(raw_frame, spec, raw_as_scored)
    if outcome.problem is not None:
        raise outcome.problem
    return outcome


def examine_frame(
    raw_frame: pd.DataFrame, spec: ProjectSpec, raw_as_scored: pd.DataFrame | None = None
) -> ValidationOutcome:
    """Do as `validate_frame`, but return bad data's error as `problem`, so that the evidence can be kept."""
    check_expectations(spec.validation.expectations, spec.columns)
    if raw_frame.empty:
        return _refuse_empty(raw_frame, spec)
    raw_frame = with_sets(raw_frame, spec)
    conformed = conform_types(raw_frame, spec.columns)
    missing, unknown = compare_names(list(raw_frame.columns), list(spec.columns))
    contract = compile_contract(spec, raw_frame, conformed)
    rules = _runnable(contract.rules, missing)
    answers, gx_result = run_suite(contract.batch, [_ask(rule, tuple(conformed)) for rule in rules])
    _require_all_ran(spec, rules, answers)
    findings = [judge_rule(rule, answer, contract.batch, spec) for rule, answer in zip(rules, answers, strict=True)]
    broken = np.zeros(len(raw_frame), dtype=bool) if not missing else np.ones(len(raw_frame), dtype=bool)
    for finding in findings:
        broken |= finding.rows if finding.rows is not None else False
    accepted = _accept(conformed, spec, broken) if not missing else pd.DataFrame()
    hints = [explain_missing(name, unknown) for name in missing]
    seen = Hindsight([], []) if raw_as_scored is None else find_hindsight(raw_frame, raw_as_scored, spec)
    leaks = _judge_leaks(
        accepted, spec, is_known=raw_as_scored is not None and len(raw_as_scored) > 0 and seen == ([], [])
    )
    outcome = ValidationOutcome(
        rows=len(raw_frame),
        accepted=accepted,
        quarantined=_set_aside(raw_frame, broken, findings, hints),
        checks=tuple(finding.check for finding in findings),
        warnings=(*_find_oddities(accepted, conformed, spec, unknown, findings), *seen.warnings, *leaks.towering),
        gx_result=_without_texts(gx_result, spec),
    )
    problem = _find_problem(outcome, spec, findings, hints) or _explain_leaks([*seen.leaks, *leaks.certain], spec)
    return outcome if problem is None else _with_problem(outcome, problem)


def _ask(rule: Rule, declared: tuple[str, ...]) -> Asked:
    """Put the project's own questions to its own columns: ours beside them are not its business."""
    return Asked(rule.expectation, rule.arguments, declared if rule.about == "extra" else ())


def _runnable(rules: Sequence[Rule], missing: Sequence[str]) -> list[Rule]:
    """Leave out the project's own expectations of a missing column: they would crash and hide the reason."""
    named = set(missing)
    return [
        rule
        for rule in rules
        if not (rule.about == "extra" and named & {str(v) for v in _flatten(rule.arguments.values())})
    ]


def _flatten(values: Any) -> list[Any]:
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _require_all_ran(spec: ProjectSpec, rules: Sequence[Rule], answers: Sequence[Answer]) -> None:
    crashed = [(rule, answer) for rule, answer in zip(rules, answers, strict=True) if answer.status == "crashed"]
    if not crashed:
        return
    said = "; ".join(_describe_crash(rule, answer, spec) for rule, answer in crashed[:EXAMPLES])
    raise CheckCrashed(
        f"{spec.name}: {len(crashed)} of {len(rules)} checks failed to run, which says nothing of the data: {said}.",
        remedy="Correct the expectation's arguments under `validation.expectations`, or report the check.",
    )


def _describe_crash(rule: Rule, answer: Answer, spec: ProjectSpec) -> str:
    about = f" on {rule.column!r}" if rule.column else ""
    # A message may quote a cell, and a cell of text may be anybody's words.
    quotable = rule.column in spec.columns and spec.columns[str(rule.column)].type not in ("text", "category", "image")
    return f"{rule.expectation}{about}{': ' + answer.crash.splitlines()[0][:120] if quotable else ''}"


def _accept(conformed: dict[str, Conformed], spec: ProjectSpec, broken: Mask) -> pd.DataFrame:
    columns = {name: conformed[name].values for name in spec.columns}
    if broken.any():
        columns = {name: values[~broken].reset_index(drop=True) for name, values in columns.items()}
    return settle_types(pd.DataFrame(columns, copy=False))


def _set_aside(raw: pd.DataFrame, broken: Mask, findings: Sequence[Finding], hints: Sequence[str]) -> pd.DataFrame:
    reasons = np.full(int(broken.sum()), "; ".join(hints), dtype=object)
    for finding in findings:
        if finding.rows is not None:
            here = finding.rows[broken]
            reasons[here] = [
                f"{before}; {finding.rule.reason}" if before else finding.rule.reason for before in reasons[here]
            ]
    aside = raw[broken].reset_index(drop=True)
    name = "reasons" if "reasons" not in aside else "keepfit_reasons"
    return aside.assign(**{name: pd.Series(reasons, dtype="str")})


def _find_oddities(
    accepted: pd.DataFrame,
    conformed: dict[str, Conformed],
    spec: ProjectSpec,
    unknown: list[str],
    findings: Sequence[Finding],
) -> list[str]:
    found = [f"Unknown columns are left out: {name_values(unknown)}."] if unknown else []
    found += [
        f"Column {name!r} arrived as text and was read as {spec.columns[name].type}."
        for name, part in conformed.items()
        if part.read_from_text
    ]
    found += [f"{one.rule.expectation}: {one.check.detail}" for one in findings if one.check.status == "warning"]
    if accepted.empty:
        return found
    constants = find_constants(accepted, spec)
    found += [f"Features with one value only say nothing: {name_values(constants)}."] if constants else []
    return found + find_duplicates(accepted, spec) + find_rare_classes(accepted, spec)


def _find_problem(
    outcome: ValidationOutcome, spec: ProjectSpec, findings: Sequence[Finding], hints: Sequence[str]
) -> DataError | None:
    fatal = [one for one in findings if one.fatal and one.rule.about in ("values", "extra")]
    share = len(outcome.quarantined) / outcome.rows
    if hints or fatal or share > spec.validation.quarantine_share:
        return _explain_broken(outcome, spec, findings, hints)
    return _explain_insufficient(outcome.accepted, spec)


def _explain_broken(
    outcome: ValidationOutcome, spec: ProjectSpec, findings: Sequence[Finding], hints: Sequence[str]
) -> ContractBroken:
    aside, bound = len(outcome.quarantined), spec.validation.quarantine_share
    head = f"{spec.name}: {aside} of {outcome.rows} rows break the contract"
    if hints:
        head = f"{spec.name}: the columns are not the declared ones"
    elif aside / outcome.rows > bound:
        head += f", more than the share of {bound:g} that may be set aside"
    failed = [one for one in findings if one.check.status == "failed" and one.rule.about in ("values", "extra")]
    lines = [*hints, *(one.sentence for one in failed)]
    return ContractBroken(
        "\n  ".join([f"{head}:", *lines]),
        remedy="Correct the data at its source, or the contract in project.yaml (`columns`, `validation`).",
    )


def _judge_leaks(accepted: pd.DataFrame, spec: ProjectSpec, *, is_known: bool) -> Leaks:
    """Return what is a leak and what is only worth a look: figures alone count where nothing shows what was known."""
    if accepted.empty:
        return Leaks([], [])
    found = find_leaks(accepted, spec)
    return found if is_known else Leaks([*found.certain, *found.towering], [])


def _explain_leaks(leaks: Sequence[str], spec: ProjectSpec) -> LeakFound | None:
    if not leaks:
        return None
    return LeakFound(
        "\n  ".join([f"{spec.name}: features that know what nobody knew when their rows were scored:", *leaks]),
        remedy="Read what was known then, or mark the column `feature: false`. Where it is honest, a person says so: "
        "`known: before` on the column.",
    )


def _explain_insufficient(accepted: pd.DataFrame, spec: ProjectSpec) -> InsufficientData | None:
    reason = ""
    if len(accepted) < spec.validation.min_rows:
        reason = f"expected at least {spec.validation.min_rows} rows, received {len(accepted)}"
    elif accepted[spec.target].nunique() < 2:
        reason = (
            f"expected at least two values of the target {spec.target!r}, received one for all {len(accepted)} rows"
        )
    elif len(find_constants(accepted, spec)) == len(spec.features):
        reason = f"expected a feature that varies, received the same features in all {len(accepted)} rows"
    elif (different := count_different(accepted, spec, spec.validation.min_rows)) < spec.validation.min_rows:
        reason = (
            f"expected at least {spec.validation.min_rows} different rows (validation.min_rows), "
            f"received {different}, again and again in {len(accepted)} rows"
        )
    if not reason:
        return None
    return InsufficientData(
        f"{spec.name}: {reason}.", remedy="Bring more data; nothing can be learned or measured from this."
    )


def _refuse_empty(raw_frame: pd.DataFrame, spec: ProjectSpec) -> ValidationOutcome:
    rows = len(raw_frame)
    problem = InsufficientData(
        f"{spec.name}: expected at least {spec.validation.min_rows} rows, received {rows} rows with {len(raw_frame.columns)} columns.",
        remedy="Check the source: it answered, but with nothing.",
    )
    nothing = np.ones(rows, dtype=bool)
    aside = _set_aside(raw_frame, nothing, [], ["no columns"])
    return ValidationOutcome(rows, pd.DataFrame(), aside, (), (), {}, problem)


def _with_problem(outcome: ValidationOutcome, problem: DataError) -> ValidationOutcome:
    fields = {name: getattr(outcome, name) for name in outcome.__dataclass_fields__}
    return ValidationOutcome(**{**fields, "problem": problem})


def _without_texts(gx_result: dict[str, Any], spec: ProjectSpec) -> dict[str, Any]:
    """Keep nothing but figures of columns of text: the result is stored, people's words are not."""
    quotable = {name for name, column in spec.columns.items() if column.is_quotable}
    for one in gx_result.get("results", []):
        if one["expectation_config"]["kwargs"].get("column") not in quotable:
            one["result"] = {
                key: value for key, value in one["result"].items() if not isinstance(value, (str, list, dict))
            }
            one["exception_info"] = {}
    return gx_result

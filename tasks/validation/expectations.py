"""Great Expectations' only home: runs a suite on a frame in memory and says what held, what did not and what crashed."""

import logging
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, Literal, NamedTuple

import pandas as pd

from infra.errors import SpecError
from infra.importing import importing
from infra.suggestion import suggest
from tasks.contracts.columns import Expectation

NOT_FOR_PROJECTS = {
    "id",
    "meta",
    "notes",
    "rendered_content",
    "batch_id",
    "windows",
    "result_format",
    "catch_exceptions",
}
OTHER_BACKENDS = {
    "expect_query_results_to_match_comparison",
    "expect_table_row_count_to_equal_other_table",
    "unexpected_rows_expectation",
}
"""Expectations that ask a database, not a frame."""

MANY_ROWS = 100_000


class Asked(NamedTuple):
    """One expectation by its name in Great Expectations, with its arguments; put to `columns`, or to all."""

    expectation: str
    arguments: Mapping[str, Any]
    columns: tuple[str, ...] = ()


class Answer(NamedTuple):
    """What Great Expectations said of one expectation."""

    status: Literal["passed", "failed", "crashed", "warning"]
    unexpected_rows: int | None = None
    observed: str = ""
    crash: str = ""


def run_suite(frame: pd.DataFrame, asked: Sequence[Asked]) -> tuple[list[Answer], dict[str, Any]]:
    """Return one answer for each expectation, in order, and Great Expectations' own result (SUMMARY) as JSON.

    Nothing is written, sent or kept: the context lives in memory, analytics and progress bars are off.

    Parameters
    ----------
    frame
        Rows with a RangeIndex; not changed.
    asked
        At least one expectation, accepted by `check_expectations` where it came from a project.
    """
    results = [
        _validate(frame[list(columns)], [(number, asked[number]) for number in numbers], {"result_format": "SUMMARY"})
        for columns, numbers in _part_by_columns(frame, asked).items()
    ]
    # GX groups its results by column: the tags bring them back into the order of the questions.
    by_tag = {one.expectation_config.meta["asked"]: one for result in results for one in result.results}
    answers = [_read_answer(by_tag[number]) for number in range(len(asked))]
    return answers, _join_results([result.to_json_dict() for result in results])


def find_rows(frame: pd.DataFrame, asked: Asked) -> list[int] | None:
    """Return the positions of the rows that break an expectation; None where it does not speak of rows."""
    result = _validate(frame, [(0, asked)], {"result_format": "COMPLETE"})
    positions = result.results[0].result.get("unexpected_index_list")
    return None if positions is None else [int(position) for position in positions]


def check_expectations(expectations: Iterable[Expectation], columns: Iterable[str]) -> None:
    """Hold a project's own expectations against what Great Expectations knows.

    Raises
    ------
    SpecError
        Unknown expectation, unknown or refused argument, or a column that the project does not declare.
    """
    names = list(columns)
    for number, expectation in enumerate(expectations):
        where = f"validation.expectations[{number}]"
        _build(Asked(expectation.expectation, expectation.arguments), where)
        for column in find_columns(expectation.arguments):
            if column not in names:
                raise SpecError(
                    f"{where}: column {column!r} is not among the columns.{suggest(column, names)}",
                    remedy=f"One of: {', '.join(names)}.",
                )


def strict_json(value: Any) -> Any:
    """Return the value with NaN and infinities as text: JSON has no word for them."""
    if isinstance(value, dict):
        return {str(key): strict_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _load() -> ModuleType:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with importing(freeze=False):
        import great_expectations  # noqa: PLC0415 - seconds of import, needed only where data is validated

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    return great_expectations


def _part_by_columns(frame: pd.DataFrame, asked: Sequence[Asked]) -> dict[tuple[str, ...], list[int]]:
    """Part the questions by the columns that they are put to.

    A question on a column with gaps is put to that column alone: GX copies all columns of a batch to leave out one
    column's missing rows (8.8 instead of 1.6 s CPU at 1M x 20).
    """
    parts: dict[tuple[str, ...], list[int]] = {}
    for number, one in enumerate(asked):
        column = one.arguments.get("column")
        alone = len(frame) > MANY_ROWS and "row_condition" not in one.arguments
        apart = alone and isinstance(column, str) and column in frame and frame[column].hasnans
        columns = (str(column),) if apart else one.columns or tuple(frame.columns)
        parts.setdefault(columns, []).append(number)
    return parts


def _join_results(results: list[dict[str, Any]]) -> dict[str, Any]:
    joined: dict[str, Any] = strict_json(results[0])
    for result in results[1:]:
        joined["results"] += strict_json(result["results"])
    passed = sum(bool(one["success"]) for one in joined["results"])
    count = len(joined["results"])
    joined["success"] = passed == count
    joined["statistics"] = {
        "evaluated_expectations": count,
        "successful_expectations": passed,
        "unsuccessful_expectations": count - passed,
        "success_percent": 100 * passed / count,
    }
    return joined


def _validate(frame: pd.DataFrame, asked: Sequence[tuple[int, Asked]], result_format: dict[str, Any]) -> Any:
    gx = _load()
    from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: PLC0415

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("frame").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    tagged = [_build(one, "validation", tag=number) for number, one in asked]
    return batch.validate(gx.ExpectationSuite(name="contract", expectations=tagged), result_format=result_format)


def _build(asked: Asked, where: str, tag: int | None = None) -> Any:
    implementation = _find_implementation(asked.expectation, where)
    known = [name for name in implementation.__fields__ if name not in NOT_FOR_PROJECTS]
    for name in asked.arguments:
        if name not in known:
            raise SpecError(
                f"{where}: {asked.expectation} has no argument {name!r}.{suggest(name, known)}",
                remedy=f"It takes: {', '.join(sorted(known))}.",
            )
    try:
        return implementation(**asked.arguments, meta=None if tag is None else {"asked": tag})
    except ValueError as error:  # pydantic's ValidationError is one
        problems = (
            "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            if hasattr(error, "errors")
            else str(error)
        )
        raise SpecError(
            f"{where}: {asked.expectation}: {problems}.", remedy="Correct its arguments in project.yaml."
        ) from error


def _find_implementation(name: str, where: str) -> Any:
    _load()
    from great_expectations.expectations import registry  # noqa: PLC0415

    known = sorted(set(registry.list_registered_expectation_implementations()) - OTHER_BACKENDS)
    if name not in known:
        raise SpecError(
            f"{where}: Great Expectations has no expectation {name!r} for frames.{suggest(name, known)}",
            remedy="Take a name from https://greatexpectations.io/expectations, written with underscores.",
        )
    return registry.get_expectation_impl(name)


def find_columns(arguments: Mapping[str, Any]) -> list[str]:
    """Return the columns that the arguments of an expectation name; none: it speaks of the whole table."""
    single = [arguments[key] for key in ("column", "column_A", "column_B") if key in arguments]
    several = [name for key in ("column_list",) for name in arguments.get(key) or ()]
    return [str(name) for name in (*single, *several)]


def _read_answer(one: Any) -> Answer:
    crash = _find_crash(one.exception_info)
    if crash is not None:
        return Answer("crashed", crash=crash)
    result = one.result or {}
    rows = result.get("unexpected_count")
    observed = "" if result.get("observed_value") is None else str(result["observed_value"])
    if one.success:
        return Answer("passed", rows, observed)
    severity = str(getattr(one.expectation_config.severity, "value", "critical"))
    return Answer("failed" if severity == "critical" else "warning", rows, observed)


def _find_crash(info: Any) -> str | None:
    """Return the first exception's message; GX nests it under the metric that raised it."""
    if not info:
        return None
    if "raised_exception" in info:
        return str(info.get("exception_message") or "unknown") if info["raised_exception"] else None
    nested = [_find_crash(inner) for inner in info.values() if isinstance(inner, Mapping)]
    return next((crash for crash in nested if crash is not None), None)

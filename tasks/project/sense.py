"""What types alone cannot say of a project.yaml: names that must exist, values that must fit one another.

Works on the raw data, so that these problems are told together with wrong types; a part of the wrong type is passed over here.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar, get_args
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from infra.suggestion import suggest
from tasks.contracts.columns import ColumnType
from tasks.project.problems import Path, Problem, show_received
from tasks.project.task import check_task

T = TypeVar("T")

_FITS = {
    "min": ("number", "integer"),
    "max": ("number", "integer"),
    "unit": ("number", "integer"),
    "allowed": ("category", "integer", "boolean"),
    "max_length": ("text",),
    "size": ("image",),
}
_VALUE_TYPES: dict[str, tuple[type, ...]] = {"category": (str, int, float), "integer": (int,), "boolean": (bool,)}
_TYPES = get_args(ColumnType)
_TARGETS = ("category", "boolean", "integer", "number")
_CRON_FIELDS = ("minute 0-59", "hour 0-23", "day of month 1-31", "month 1-12", "day of week 0-7")


def check_sense(data: dict[str, Any], name: str) -> list[Problem]:
    """Return what is wrong with this project.yaml beyond types; `name` is the folder's."""
    checks = (_check_columns, _check_target, _check_names, _check_split, _check_slices, _check_schedule, check_task)
    problems = [problem for check in checks for problem in check(data)]
    given = read_at(data, str, "name")
    if given is not None and given != name:
        problems.append(Problem(("name",), f"expected the folder's name, {name}; received {show_received(given)}."))
    return problems


def read_at(data: Any, kind: type[T], *path: str | int) -> T | None:
    """Return what stands at `path`, where it is there and of this type."""
    for step in path:
        if isinstance(data, dict):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data if isinstance(data, kind) else None


def _columns(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    columns = read_at(data, dict, "columns") or {}
    return {name: column if isinstance(column, dict) else {} for name, column in columns.items()}


def _check_columns(data: dict[str, Any]) -> Iterator[Problem]:
    for name, column in _columns(data).items():
        kind, place = read_at(column, str, "type"), ("columns", name)
        if kind is not None and kind in _TYPES:
            yield from _check_fit(column, kind, place)
        if kind == "image":
            yield from _check_image(column, place)
        low, high = column.get("min"), column.get("max")
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            yield Problem((*place, "min"), f"expected at most max, which is {high}; received {low}.")


def _check_image(column: dict[str, Any], place: Path) -> Iterator[Problem]:
    if column.get("size") is None:
        yield Problem(
            (*place, "size"), "expected the size at which a model sees the pictures: {height: 32, width: 32}."
        )
    share = column.get("null_share")
    if isinstance(share, int | float) and share > 0:
        said = (
            "a missing picture cannot be filled in: leave 0, and let validation.quarantine_share set such rows aside."
        )
        yield Problem((*place, "null_share"), said)


def _check_fit(column: dict[str, Any], kind: str, place: Path) -> Iterator[Problem]:
    for key, kinds in _FITS.items():
        if column.get(key) is not None and kind not in kinds:
            yield Problem((*place, key), f"stands only with type {' or '.join(kinds)}; this column's type is {kind}.")
    allowed = read_at(column, list, "allowed")
    if allowed is None or kind not in _VALUE_TYPES:
        return
    if not allowed:
        yield Problem((*place, "allowed"), "expected at least one value; received none.")
    for position, value in enumerate(allowed):
        spot = (*place, "allowed", position)
        if isinstance(value, bool) != (kind == "boolean") or not isinstance(value, _VALUE_TYPES[kind]):
            hint = " A truth value as a category is written in quotes." if isinstance(value, bool) else ""
            yield Problem(spot, f"expected a value of type {kind}; received {show_received(value)}.{hint}")
        elif value in allowed[:position]:
            yield Problem(spot, f"{value!r} stands here a second time.")


def _check_target(data: dict[str, Any]) -> Iterator[Problem]:
    target = read_at(data, str, "target")
    column = _columns(data).get(target or "")
    if target is None or column is None:
        return
    kind = read_at(column, str, "type")
    if kind in _TYPES and kind not in _TARGETS:
        said = f"the target's type is one of {', '.join(_TARGETS)}; received {kind}."
        yield Problem(("columns", target, "type"), said)
    if isinstance(column.get("null_share"), int | float) and column["null_share"] > 0:
        said = "a row without its target can neither train nor test: leave 0, and let validation.quarantine_share set such rows aside."
        yield Problem(("columns", target, "null_share"), said)
    positive = read_at(data, object, "evaluation", "positive")
    allowed = column.get("allowed") or ([True, False] if kind == "boolean" else None)
    if positive is not None and isinstance(allowed, list) and not _is_among(positive, allowed):
        yield _not_among(("evaluation", "positive"), positive, f"the values of {target}", allowed)
    elif positive is not None and kind == "integer" and (isinstance(positive, bool) or not isinstance(positive, int)):
        said = f"expected a whole number, as the values of {target} are; received {show_received(positive)}."
        yield Problem(("evaluation", "positive"), said)
    for key in ("row_id", "time"):
        if data.get(key) == target:
            yield Problem((key,), f"{target!r} is the target: a column is one or the other.")
    left_out = {target, read_at(data, str, "row_id"), read_at(data, str, "time")}
    if all(name in left_out or part.get("feature") is False for name, part in _columns(data).items()):
        yield Problem(
            ("columns",), "no feature is left: every column is the target, the id, the time or `feature: false`."
        )


def _check_names(data: dict[str, Any]) -> Iterator[Problem]:
    columns = _columns(data)
    paths: list[Path] = [("row_id",), ("time",), ("split", "column"), ("evaluation", "group")]
    paths += [("labels", i) for i in range(len(read_at(data, list, "labels") or []))]
    paths += [] if data.get("labels") or data.get("task") == "multilabel" else [("target",)]
    paths += [("gate", "slices", i, "column") for i in range(len(read_at(data, list, "gate", "slices") or []))]
    for path in paths if columns else []:
        name = read_at(data, str, *path)
        if name is not None and name not in columns:
            yield _not_among(path, name, "the columns", list(columns))
    candidates = read_at(data, dict, "candidates") or {}
    for i, name in enumerate(read_at(data, list, "selection", "also_test") or []):
        if isinstance(name, str) and candidates and name not in candidates:
            yield _not_among(("selection", "also_test", i), name, "the candidates", list(candidates))
    place: Path = ("study", "validation_curve", "candidate")
    studied = read_at(data, str, *place)
    if studied is not None and candidates and studied not in candidates:
        yield _not_among(place, studied, "the candidates", list(candidates))


def _check_split(data: dict[str, Any]) -> Iterator[Problem]:
    column, method = read_at(data, str, "split", "column"), (read_at(data, dict, "split") or {}).get("method", "random")
    if column is not None and column == data.get("target"):
        yield Problem(("split", "column"), f"{column!r} is the target: rows must not be split by what is predicted.")
    if column is not None and method == "random":
        yield Problem(("split", "column"), "stands only with method ordered or grouped; the method is random.")
    kind = read_at(_columns(data), str, column or "", "type")
    if method == "ordered" and kind in {"category", "text", "boolean", "image"}:
        said = f"expected a column of type datetime, integer or number to order by; {column!r} is of type {kind}."
        yield Problem(("split", "column"), said)
    elif (
        method == "ordered"
        and read_at(data, object, "split", "test_days") is not None
        and kind not in {None, "datetime"}
    ):
        said = f"stands only with a column of type datetime, to count days by; {column!r} is of type {kind}."
        yield Problem(("split", "test_days"), said)
    window: Path = ("selection", "window")
    if method != "ordered" and read_at(data, object, *window) is not None:
        yield Problem(window, f"stands only with split.method ordered: rows in no order have none; received {method}.")
    for path in (("split", "gap"), window):
        if method == "ordered" and (length := read_at(data, str, *path)) and kind not in {None, "datetime"}:
            said = f"a length of time needs a column of type datetime; {column!r} is of type {kind}: give a number of rows instead of {length}."
            yield Problem(path, said)


def _check_slices(data: dict[str, Any]) -> Iterator[Problem]:
    for i in range(len(read_at(data, list, "gate", "slices") or [])):
        column = _columns(data).get(read_at(data, str, "gate", "slices", i, "column") or "", {})
        allowed = read_at(column, list, "allowed")
        for j, value in enumerate(read_at(data, list, "gate", "slices", i, "values") or []):
            if allowed is not None and not _is_among(value, allowed):
                yield _not_among(("gate", "slices", i, "values", j), value, "the column's allowed values", allowed)


def _check_schedule(data: dict[str, Any]) -> Iterator[Problem]:
    cron, zone = read_at(data, str, "schedule", "cron"), read_at(data, str, "schedule", "timezone")
    if cron is not None and (said := _explain_cron(cron)):
        yield Problem(("schedule", "cron"), f"expected five fields ({', '.join(_CRON_FIELDS)}); {said}.")
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError, a folder's name an OSError
            said = f"expected the name of a time zone, such as UTC or Europe/Berlin; received {show_received(zone)}."
            yield Problem(("schedule", "timezone"), said)


def _explain_cron(cron: str) -> str:
    fields = cron.split()
    if len(fields) != len(_CRON_FIELDS):  # a sixth is seconds to some readers and years to others
        return f"received {len(fields)} in {cron!r:.60}"
    try:
        CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        return f"{str(error).lower()} in {cron!r:.60}"
    return ""


def _is_among(value: object, allowed: list[Any]) -> bool:
    """Say whether the value is there with its type: true is not 1."""
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in allowed)


def _not_among(path: Path, value: object, what: str, choices: list[Any]) -> Problem:
    shown = ", ".join(map(_show_choice, choices[:12])) + (", …" if len(choices) > 12 else "")
    hint = suggest(value, [choice for choice in choices if isinstance(choice, str)]) if isinstance(value, str) else ""
    return Problem(path, f"expected one of {what}: {shown}; received {show_received(value)}.{hint}")


def _show_choice(choice: object) -> str:
    return choice if isinstance(choice, str) else show_received(choice)

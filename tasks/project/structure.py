"""The keys, types and ranges of project.yaml, said in our words instead of pydantic's."""

import json
from typing import Any

from pydantic import ValidationError

from infra.suggestion import suggest
from tasks.contracts.project import ProjectSpec
from tasks.project.problems import Path, Problem, describe, resolve, show_received
from tasks.project.schema import Schema, build_schema

_ABSENT = object()


def check_structure(data: dict[str, Any]) -> tuple[ProjectSpec | None, list[Problem]]:
    """Return the spec, or None and what is wrong; nothing is converted: '5' is text and never a number."""
    try:
        return ProjectSpec.model_validate_json(json.dumps(data), strict=True), []
    except ValidationError as error:
        problems: dict[Path, Problem] = {}
        for detail in error.errors(include_url=False, include_context=True):
            problem = _explain(detail, data)
            problems.setdefault(problem.path, problem)
        return None, list(problems.values())


def _explain(detail: Any, data: dict[str, Any]) -> Problem:
    kind, location = detail["type"], tuple(detail["loc"])
    path, received = _locate(location, data)
    if kind == "extra_forbidden":
        return Problem(path, _explain_unknown(path, data))
    if kind == "value_error":
        return Problem(path, f"{detail['ctx']['error']}.")
    schema, definitions = _schema_at(path), build_schema()["$defs"]
    if location[-1:] == ("[key]",):
        names = _schema_at(path[:-1])["propertyNames"]
        return Problem(path, f"expected {describe(names, definitions)}; received the name {path[-1]!r}.")
    if kind == "missing":
        path = (*path, str(location[-1]))
        return Problem(path, f"expected {describe(_schema_at(path), definitions)}; the key is missing.")
    said = f"expected {describe(schema, definitions)}; received {show_received(received)}."
    choices = resolve(schema, definitions).get("enum", [])
    return Problem(path, said + (suggest(received, choices) if isinstance(received, str) else ""))


def _locate(location: Path, data: Any) -> tuple[Path, Any]:
    """Return how much of pydantic's location is a path in the data (unions add steps of their own), and what is there."""
    path: Path = ()
    for step in location:
        inner = _step(data, step)
        if inner is _ABSENT:
            break
        path, data = (*path, step), inner
    return path, data


def _step(data: Any, step: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(step, _ABSENT)
    if isinstance(data, list) and isinstance(step, int) and step < len(data):
        return data[step]
    return _ABSENT


def _schema_at(path: Path) -> Schema:
    root = build_schema()
    node = root
    for step in path:
        node = resolve(node, root["$defs"])
        if step in node.get("properties", {}):
            node = node["properties"][step]
        else:
            inner = node.get("items") if isinstance(step, int) else node.get("additionalProperties")
            node = inner if isinstance(inner, dict) else {}
    return resolve(node, root["$defs"])


def _explain_unknown(path: Path, data: dict[str, Any]) -> str:
    key = str(path[-1])
    allowed = list(_schema_at(path[:-1])["properties"])
    given = _locate(path[:-1], data)[1]
    hint = suggest(key, [name for name in allowed if name not in given]) or suggest(key, allowed)
    if " " in key and given[key] is None:
        hint = " Text with a comma inside braces is written in quotes."
    elif not hint:
        sections = [name for name in ProjectSpec.model_fields if key in _schema_at((name,)).get("properties", {})]
        hint = f" It is a key of {' and of '.join(sections)}: mind the indentation." if sections else ""
    return f"no such key.{hint} Allowed: {', '.join(allowed)}."

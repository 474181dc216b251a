"""The keys, types and ranges of project.yaml, said in our words instead of pydantic's."""

import json
from typing import Any

from pydantic import ValidationError

from infra.suggestion import suggest
from tasks.contracts.project import ProjectSpec
from tasks.project.problems import Path, Problem, describe, narrow, resolve, show_received, variants
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
    schema, definitions = _schema_at(path, data), build_schema()["$defs"]
    if shapes := variants(schema, definitions):
        return _explain_name(path, received, list(shapes))
    if location[-1:] == ("[key]",):
        names = _schema_at(path[:-1], data)["propertyNames"]
        return Problem(path, f"expected {describe(names, definitions)}; received the name {path[-1]!r}.")
    if kind == "missing":
        path = (*path, str(location[-1]))
        return Problem(path, f"expected {describe(_schema_at(path, data), definitions)}; the key is missing.")
    said = f"expected {describe(schema, definitions)}; received {show_received(received)}."
    return Problem(path, said + _hint(path, received, resolve(schema, definitions)))


def _hint(path: Path, received: Any, schema: Schema) -> str:
    """Return what was likely meant, in a sentence of its own; empty where nothing is near."""
    if names := schema.get("properties", {}).get("name", {}).get("enum"):
        return _hint_at_section(path, received, names)
    branches = [schema, *schema.get("anyOf", [])]
    choices = [word for branch in branches for word in (*branch.get("enum", []), branch.get("const"))]
    return suggest(received, [word for word in choices if isinstance(word, str)]) if isinstance(received, str) else ""


def _locate(location: Path, data: Any) -> tuple[Path, Any]:
    """Return how much of pydantic's location is a path in the data, and what is there.

    Unions add steps of their own: the name of the chosen shape is passed over, what else is not there ends the path.
    """
    path: Path = ()
    for step in location:
        inner = _step(data, step)
        if inner is _ABSENT and _step(data, "name") == step:
            continue
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


def _schema_at(path: Path, data: Any) -> Schema:
    """Return the schema of this place; where a section has one of several shapes, of the one that the data name."""
    root = build_schema()
    node = root
    for step in path:
        node = resolve(narrow(node, data, root["$defs"]), root["$defs"])
        data = _step(data, step)
        if step in node.get("properties", {}):
            node = node["properties"][step]
        else:
            inner = node.get("items") if isinstance(step, int) else node.get("additionalProperties")
            node = inner if isinstance(inner, dict) else {}
    return resolve(narrow(node, data, root["$defs"]), root["$defs"])


def _explain_name(path: Path, given: Any, names: list[str]) -> Problem:
    """Say what is wrong with a section that has one of several shapes, by its name."""
    expected = f"expected a section whose `name` is one of {', '.join(names)}"
    if not isinstance(given, dict):
        return Problem(path, f"{expected}; received {show_received(given)}.{_hint_at_section(path, given, names)}")
    if "name" in given:
        hint = suggest(given["name"], names) if isinstance(given["name"], str) else ""
        said = f"expected one of {', '.join(names)}; received {show_received(given['name'])}.{hint}"
        return Problem((*path, "name"), said)
    for key in given:
        if suggest(key, ["name"]):
            return Problem((*path, key), "no such key. Did you mean 'name'? Allowed: name, and what belongs to it.")
    return Problem(path, f"{expected}; received {show_received(given)}.")


def _hint_at_section(path: Path, given: Any, names: list[str]) -> str:
    """Say how a section is written where only its name is given."""
    if given in names:
        return f" Write `{path[-1]}: {{name: {given}}}`."
    return suggest(given, names) if isinstance(given, str) else ""


def _explain_unknown(path: Path, data: dict[str, Any]) -> str:
    key = str(path[-1])
    allowed = list(_schema_at(path[:-1], data)["properties"])
    given = _locate(path[:-1], data)[1]
    hint = suggest(key, [name for name in allowed if name not in given]) or suggest(key, allowed)
    if " " in key and given[key] is None:
        hint = " Text with a comma inside braces is written in quotes."
    elif not hint:
        sections = [name for name in ProjectSpec.model_fields if key in _schema_at((name,), data).get("properties", {})]
        hint = f" It is a key of {' and of '.join(sections)}: mind the indentation." if sections else ""
    return f"no such key.{hint} Allowed: {', '.join(allowed)}."

"""How a problem in project.yaml is said: where, what was expected, what was received."""

from typing import NamedTuple

from tasks.project.schema import Schema

Path = tuple[str | int, ...]

_SHOWN_CHARACTERS = 60


class Problem(NamedTuple):
    """What is wrong at a path of project.yaml."""

    path: Path
    text: str


def write_path(path: Path) -> str:
    """Return the path as people write it.

    >>> write_path(("gate", "slices", 0, "column"))
    'gate.slices[0].column'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"


def show_received(value: object) -> str:
    """Return a value as a message shows it: short, in YAML's words, an address with a password not at all."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _show_text(value)
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        keys = ", ".join(list(value)[:5]) + (f" and {len(value) - 5} more" if len(value) > 5 else "")
        return f"the keys {keys}" if keys else "no keys"
    return repr(value)


def _show_text(text: str) -> str:
    if "://" in text and "@" in text:
        return "an address with credentials (not shown)"
    return f"the text {text!r}" if len(text) <= _SHOWN_CHARACTERS else f"a text of {len(text)} characters"


def describe(schema: Schema, definitions: Schema) -> str:
    """Return in words what this part of the JSON Schema allows."""
    schema = resolve(schema, definitions)
    if "anyOf" in schema:
        branches = [describe(branch, definitions) for branch in schema["anyOf"] if branch.get("type") != "null"]
        return " or ".join(dict.fromkeys(branches))
    kind = schema.get("type")
    if kind == "string":
        one_of = "one of " + ", ".join(schema["enum"]) if "enum" in schema else str(schema.get("const", "text"))
        return str(schema.get("patternErrorMessage", one_of))
    if kind in {"integer", "number"}:
        return _describe_number(schema)
    if kind == "array":
        return f"a list, each {describe(schema['items'], definitions)}"
    if kind == "object" or "discriminator" in schema:
        return _describe_object(schema, definitions)
    return {"boolean": "true or false"}.get(str(kind), "a value")


def narrow(schema: Schema, value: object, definitions: Schema) -> Schema:
    """Return, of a part that has one of several shapes by its `name`, the shape that this value names.

    Other parts are returned as they are, and so is the part itself where the value names none of its shapes.
    """
    union = resolve(schema, definitions)
    if "discriminator" not in union or not isinstance(value, dict):
        return schema
    name = value.get(union["discriminator"]["propertyName"])
    shapes = variants(union, definitions)
    return shapes.get(name, schema) if isinstance(name, str) else schema


def variants(union: Schema, definitions: Schema) -> dict[str, Schema]:
    """Return the shapes of a part by their names; none where it has only one."""
    mapping = union.get("discriminator", {}).get("mapping", {})
    return {name: resolve({"$ref": reference}, definitions) for name, reference in mapping.items()}


def _describe_number(schema: Schema) -> str:
    noun = "a whole number" if schema["type"] == "integer" else "a number"
    if "minimum" in schema and "maximum" in schema:
        return f"{noun} from {schema['minimum']} to {schema['maximum']}"
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    bounds = [f"{word} {schema[key]}" for key, word in words.items() if key in schema]
    return " ".join([noun, " and ".join(bounds)]).strip()


def _describe_object(schema: Schema, definitions: Schema) -> str:
    if shapes := variants(schema, definitions):
        return f"a section whose `name` is one of {', '.join(shapes)}"
    if "properties" in schema:
        return f"the keys {', '.join(schema['properties'])}"
    inner = describe(schema.get("additionalProperties") or {}, definitions)
    least = schema.get("minProperties")
    return (f"at least {least} names" if least else "names") + f", each with {inner}"


def resolve(schema: Schema, definitions: Schema) -> Schema:
    """Return the schema that a `$ref` stands for, and of an optional part the part."""
    if "$ref" in schema:
        return resolve(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    branches = [branch for branch in schema.get("anyOf", []) if branch.get("type") != "null"]
    return resolve(branches[0], definitions) if len(branches) == 1 else schema

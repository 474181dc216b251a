"""The tables of docs/projects.md, from the schema. `python -m tasks.project.reference` writes them and the schema file."""

from pathlib import Path
from typing import Any

from tasks.project.problems import describe, resolve, variants
from tasks.project.schema import Schema, build_schema, write_schema

SCHEMA_FILE = Path("projects/project.schema.json")
PAGE = Path("docs/projects.md")
BEGIN = "<!-- from here on written by python -m tasks.project.reference -->\n"


def write_reference() -> str:
    """Return the tables as Markdown: the top level first, then each section in the order of the file."""
    schema = build_schema()
    parts = [_write_table("project.yaml", schema, schema)]
    parts += [_write_table(path, node, schema) for path, node in _list_sections("", schema, schema)]
    return "\n".join(parts)


def complete_page(page: str) -> str:
    """Return the page with its tables as the schema says them now; what people wrote above the mark stays."""
    return page.partition(BEGIN)[0] + BEGIN + "\n" + write_reference()


def _list_sections(path: str, node: Schema, root: Schema) -> list[tuple[str, Schema]]:
    """Return the objects below `node` with the path that leads to each: columns.<name>, gate.slices[], …"""
    sections = []
    for key, part in node.get("properties", {}).items():
        where, inner = f"{path}.{key}".lstrip("."), resolve(part, root["$defs"])
        if isinstance(inner.get("additionalProperties"), dict):
            where, inner = f"{where}.<name>", resolve(inner["additionalProperties"], root["$defs"])
        elif inner.get("type") == "array":
            where, inner = f"{where}[]", resolve(inner["items"], root["$defs"])
        shapes = {f"{where} ({name})": shape for name, shape in variants(inner, root["$defs"]).items()}
        for named, one in (shapes or {where: inner}).items():
            if "properties" in one and named != "candidates.<name>.prepare":  # the same as prepare
                sections += [(named, one), *_list_sections(named, one, root)]
    return sections


def _write_table(path: str, node: Schema, root: Schema) -> str:
    rows = [_write_row(key, part, key in node.get("required", []), root) for key, part in node["properties"].items()]
    head = [f"### `{path}`", "", node["description"], "", "| key | value | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _write_row(key: str, part: Schema, is_required: bool, root: Schema) -> str:
    meaning = part.get("description") or resolve(part, root["$defs"]).get("description", "")
    value = _shorten(part, root)
    default = "**required**" if is_required else _write_default(part)
    return f"| `{key}` | {value} | {default} | {meaning} |".replace("<", "&lt;")


def _shorten(part: Schema, root: Schema) -> str:
    """Return what the key takes; a section only points at its own table."""
    inner = resolve(part, root["$defs"])
    named = inner.get("additionalProperties")
    if shapes := variants(inner, root["$defs"]):
        return f"section, `name` one of {', '.join(shapes)}"
    if "properties" in inner or (isinstance(named, dict) and "properties" in resolve(named, root["$defs"])):
        return "section"
    if inner.get("type") == "array" and "properties" in resolve(inner["items"], root["$defs"]):
        return "list of sections"
    return describe(part, root["$defs"])


def _write_default(part: Schema) -> str:
    default: Any = part.get("default", "")
    if default == "":
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(write_schema(), encoding="utf-8")
    PAGE.write_text(complete_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

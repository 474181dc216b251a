"""The JSON Schema of project.yaml, from the contract: for editors, for our error messages and for the reference page."""

import json
from functools import lru_cache
from typing import Any

from tasks.contracts.project import ProjectSpec

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@lru_cache(maxsize=1)
def build_schema() -> Schema:
    """Return the schema; do not change it, it is built once."""
    schema = _tidy(ProjectSpec.model_json_schema())
    return {"$schema": DIALECT, "title": "project.yaml of keepfit", **schema}


def write_schema() -> str:
    """Return the text of projects/project.schema.json."""
    return json.dumps(build_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidy(node: Any, *, names: bool = False) -> Any:
    """Leave out generated titles and defaults that say nothing; hold the names of a mapping to their pattern.

    `names` says that the keys of this node are names chosen by somebody, not words of JSON Schema.
    """
    if isinstance(node, list):
        return [_tidy(part) for part in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _tidy(part, names=key in {"properties", "$defs"} and not names) for key, part in node.items()}
    if names:
        return kept
    kept.pop("title", None)
    if kept.get("default", "") is None or isinstance(kept.get("default"), dict):
        del kept["default"]
    if "patternProperties" in kept:
        [(pattern, inner)] = kept.pop("patternProperties").items()
        kept["propertyNames"] = {"type": "string", "pattern": pattern, **kept.get("propertyNames", {})}
        kept["additionalProperties"] = inner
    return kept

"""The content digest: equal for the same model, whatever the archive's bytes, the process or the tool's version."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.errors import IntegrityError
from tasks.models.archives import unpack
from tasks.models.skops_files import pipeline_digest


def content_digest(path: Path) -> str:
    """Return the SHA-256 over the canonical content of a model file.

    Canonical are: columns and classes; a pipeline's schema without memory addresses and with each array in its
    place; a network's architecture with its automatic names numbered in order, and its weights in order.
    """
    return archive_digest(unpack(path.read_bytes()))


def archive_digest(members: Mapping[str, bytes]) -> str:
    """Return the content digest of an unpacked model file."""
    parts: dict[str, Any] = {}
    try:
        for name, content in members.items():
            if name == "manifest.json":
                parts[name] = {key: value for key, value in json.loads(content).items() if key != "threads"}
            elif name == "network.json":
                parts[name] = _without_names(json.loads(content))
            elif name.endswith(".skops"):
                parts[name] = pipeline_digest(content)
            else:
                parts[name] = hashlib.sha256(content).hexdigest()
    except (ValueError, AttributeError, RecursionError) as error:
        raise IntegrityError(f"The model file cannot be read: {error}") from error
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _without_names(config: Any) -> Any:
    """Return a network's config with each layer's name replaced by its place."""
    names: dict[str, str] = {}
    _collect_names(config, names)
    return _rename(config, names)


def _collect_names(node: Any, names: dict[str, str]) -> None:
    if isinstance(node, dict):
        config = node.get("config")
        if "class_name" in node and isinstance(config, dict) and isinstance(config.get("name"), str):
            names.setdefault(config["name"], f"#{len(names)}")
        for value in node.values():
            _collect_names(value, names)
    elif isinstance(node, list):
        for value in node:
            _collect_names(value, names)


def _rename(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _rename(value, names) for key, value in node.items()}
    if isinstance(node, list):
        return [_rename(value, names) for value in node]
    return names.get(node, node) if isinstance(node, str) else node

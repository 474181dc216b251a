"""Models to files: one deterministic archive each, named by what is in it."""

import io
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from tasks.models.archives import pack, unpack
from tasks.models.digests import archive_digest
from tasks.models.inputs import InputColumns
from tasks.models.model import FittedModel
from tasks.models.own_steps import describe_steps
from tasks.models.skops_files import dump_pipeline

FORMAT = "keepfit-model/1"
MANIFEST, PIPELINE, NETWORK = "manifest.json", "pipeline.skops", "network.json"


def save_model(model: FittedModel, path: Path) -> str:
    """Write the model as one file and return its content digest.

    The file is a zip of `manifest.json` (columns, classes), the scikit-learn pipeline in skops' format, and for
    networks the architecture as JSON and each weight as `.npy`.
    """
    content = pack(_members(model))
    digest = archive_digest(unpack(content))
    path.write_bytes(content)
    return digest


def _members(model: Any) -> dict[str, bytes]:
    manifest = {
        "format": FORMAT,
        "backend": model.backend,
        "columns": _describe(model.columns),
        "classes": list(model.classes),
    }
    if model.backend == "sklearn":
        return {MANIFEST: _json(manifest), PIPELINE: dump_pipeline(model.pipeline)}
    from tasks.models.keras_models import network_config  # noqa: PLC0415  brings TensorFlow

    manifest["threads"] = model.threads
    if model.threshold is not None:
        manifest |= {"threshold": model.threshold, "positive": model.positive}
    if model.several:
        manifest["several"] = True
    members = {MANIFEST: _json(manifest), NETWORK: _json(network_config(model.network))}
    if model.prepare is not None:
        members[PIPELINE] = dump_pipeline(model.prepare)
    for at, weight in enumerate(model.network.get_weights()):
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(weight), allow_pickle=False)
        members[f"weights/{at:05d}.npy"] = buffer.getvalue()
    return members


LATER = ("times", "steps", "images", "pixels")
"""What a manifest says of columns only where there are some, as before there could be any: digests stay."""


def _describe(columns: InputColumns) -> dict[str, Any]:
    """Return the columns by kind."""
    kept = (
        field.name for field in fields(columns) if field.name not in ("truths", "steps")
    )  # truths: a fit's business
    described: dict[str, Any] = {name: getattr(columns, name) for name in kept}
    described["steps"] = describe_steps(columns.steps)
    return {kind: names for kind, names in described.items() if names or kind not in LATER}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()

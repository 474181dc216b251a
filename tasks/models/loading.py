"""Files to models: checked from the outside in, and nothing is built before it was looked at."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from infra.errors import IntegrityError, UnsafeArtifact
from tasks.models.archives import unpack
from tasks.models.digests import archive_digest
from tasks.models.inputs import InputColumns
from tasks.models.layers import require_known_layers
from tasks.models.model import Array, FittedModel, Load
from tasks.models.own_steps import restore_steps
from tasks.models.saving import FORMAT, MANIFEST, NETWORK, PIPELINE
from tasks.models.sklearn_models import SklearnModel
from tasks.models.skops_files import load_pipeline


def load_model(path: Path, expected_content: str | None = None, load: Load | None = None) -> FittedModel:
    """Return the model of a file whose bytes' digest the caller has verified (the store does).

    Parameters
    ----------
    path
        The file.
    expected_content
        The content digest that it must have.
    load
        Resolves `module:function` in the project's folder; asked where the model has steps of the project's own.

    Raises
    ------
    UnsafeArtifact
        The file is of a format, or names a type or layer, that is never opened.
    IntegrityError
        The file is damaged, is another model than `expected_content` says, or needs a function that is another by now.
    """
    members = unpack(path.read_bytes())
    manifest = _read_manifest(members)
    if expected_content is not None and (found := archive_digest(members)) != expected_content:
        raise IntegrityError(
            f"Expected the model with content {expected_content[:12]}…, received {found[:12]}….",
            remedy="The file was swapped or changed. Use another version, or train again.",
        )
    try:
        columns = _read_columns(manifest["columns"], load)
        classes = tuple(manifest["classes"])
        if manifest["backend"] == "sklearn":
            return SklearnModel(columns, load_pipeline(members[PIPELINE]))
        threads = int(manifest["threads"])
        decided = {name: manifest[name] for name in ("threshold", "positive", "several") if name in manifest}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(f"The model file's manifest is not whole: {error!r}") from error
    from tasks.models.keras_models import KerasModel  # noqa: PLC0415  brings TensorFlow

    network = _load_network(members, threads)
    prepare = load_pipeline(members[PIPELINE]) if PIPELINE in members else None
    return KerasModel(columns, prepare, network, classes, threads, **decided)


def _read_manifest(members: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        manifest = json.loads(members[MANIFEST])
        found = (manifest["format"], manifest["backend"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnsafeArtifact(
            "The model file is not opened: it has no manifest of keepfit.",
            remedy="Only files that keepfit wrote are loaded.",
        ) from error
    if found not in ((FORMAT, "sklearn"), (FORMAT, "keras")):
        raise UnsafeArtifact(f"Expected a model file of format {FORMAT}, received {found}.")
    return dict(manifest)


def _read_columns(described: dict[str, Any], load: Load | None) -> InputColumns:
    fields = {name: _field(value) for name, value in described.items() if name != "steps"}
    return InputColumns(**fields, steps=restore_steps(described.get("steps", []), load))


def _field(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _load_network(members: Mapping[str, bytes], threads: int) -> Any:
    from tasks.models.tensorflow_runtime import start_keras  # noqa: PLC0415  brings TensorFlow

    try:
        config = json.loads(members[NETWORK])
    except (KeyError, ValueError, RecursionError) as error:
        raise IntegrityError(f"The model file holds no architecture: {error!r}") from error
    require_known_layers(config)
    weights = [_read_array(members[name]) for name in sorted(members) if name.startswith("weights/")]
    keras = start_keras(threads)
    try:
        network = keras.saving.deserialize_keras_object(config, safe_mode=True)
        network.set_weights(weights)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"The network cannot be built from the model file: {error}") from error
    return network


def _read_array(content: bytes) -> Array:
    try:
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
    except (ValueError, EOFError, OSError) as error:
        raise IntegrityError(f"A weight in the model file cannot be read: {error}") from error

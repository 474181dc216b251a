"""scikit-learn pipelines as skops bytes: the same pipeline gives the same bytes, and only known types are read."""

import hashlib
import io
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import skops.io
from skops.io._protocol import PROTOCOL
from skops.io.exceptions import UntrustedTypesFoundException

from infra.errors import IntegrityError, TrainingFailed, UnsafeArtifact, name_values
from tasks.models.archives import pack, unpack

TRUSTED = (
    "numpy.dtype",
    # Types beyond the public estimators that skops trusts by itself. By type and never from the file; what skops
    # warns of (a tampered tree crashes the process) is met by checking the digest before anything is parsed.
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.metrics._dist_metrics.ChebyshevDistance64",
    "sklearn.model_selection._split.KFold",  # how target encoding was fitted
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "tasks.models.binary_relevance.BinaryRelevance",
    "tasks.models.cleaning.BestColumns",
    "tasks.models.cleaning.BestColumnsForValues",
    "tasks.models.cleaning.Fences",
    "tasks.models.cleaning.Pixels",
    "tasks.models.cleaning.Ranks",
    "tasks.models.cleaning.TimeParts",
    "tasks.models.deciding.Decided",
    "tasks.models.text.Phrases",
    "tasks.models.text.Tfidf",
    "tasks.models.text.Tokens",
)

_COUNTING_TREES = ("sklearn.neighbors._kd_tree.KDTree", "sklearn.neighbors._ball_tree.BallTree")
_COUNTERS = (7, 8, 9, 10)
"""Places in such a tree's state that count its queries: they grow with every prediction."""

_SCHEMA = "schema.json"
_MEMBERS = frozenset({".json", ".npy", ".npz", ".bin"})


def dump_pipeline(pipeline: object) -> bytes:
    """Return the pipeline as a deterministic skops archive.

    skops names members after memory addresses and writes the time of day; here objects are numbered in the order
    in which the schema names them, and padding inside arrays is zeroed.

    Raises
    ------
    TrainingFailed
        A part is of a type that could not be loaded again.
    """
    raw = skops.io.dumps(pipeline)
    if unknown := sorted(set(skops.io.get_untrusted_types(data=raw)) - set(TRUSTED)):
        raise TrainingFailed(
            f"The fitted model holds types that keepfit does not load: {name_values(unknown)}.",
            remedy="Use another estimator, or have the types reviewed and added to tasks/models/skops_files.py.",
        )
    members = unpack(raw, what="skops archive", suffixes=_MEMBERS)
    schema = json.loads(members.pop(_SCHEMA))
    names = _number(schema)
    packed = {names[name]: _canonical(name, content) for name, content in members.items() if name in names}
    return pack({_SCHEMA: json.dumps(schema, separators=(",", ":")).encode(), **packed})


def load_pipeline(content: bytes) -> Any:
    """Return the pipeline of a skops archive whose digest was verified before.

    Raises
    ------
    UnsafeArtifact
        The archive or a type in it is not on the list.
    IntegrityError
        The archive is damaged.
    """
    _require_current_protocol(_schema(unpack(content, what="skops archive", suffixes=_MEMBERS)))
    try:
        return skops.io.loads(content, trusted=list(TRUSTED))
    except UntrustedTypesFoundException as error:
        raise UnsafeArtifact(f"The model file holds types that are never loaded: {error}") from error
    except (AttributeError, ImportError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise IntegrityError(f"The model file cannot be read: {type(error).__name__}: {error}") from error


def pipeline_digest(content: bytes) -> str:
    """Return the SHA-256 of what the archive says: its schema without addresses, each array in its place."""
    members = unpack(content, what="skops archive", suffixes=_MEMBERS)
    schema = _schema(members)
    schema.pop("_skops_version", None)

    def name_by_content(node: dict[str, Any]) -> None:
        node.pop("__id__", None)
        if isinstance(node.get("file"), str) and node["file"] in members:
            node["file"] = hashlib.sha256(_canonical(node["file"], members[node["file"]])).hexdigest()

    _walk(schema, name_by_content)
    return hashlib.sha256(json.dumps(schema, separators=(",", ":")).encode()).hexdigest()


def _schema(members: dict[str, bytes]) -> dict[str, Any]:
    try:
        schema = json.loads(members[_SCHEMA])
    except (KeyError, ValueError, RecursionError) as error:
        raise IntegrityError(f"Expected a skops schema in the model file: {error}") from error
    if not isinstance(schema, dict):
        raise IntegrityError(f"Expected a skops schema in the model file, received {type(schema).__name__}.")
    return schema


def _require_current_protocol(schema: dict[str, Any]) -> None:
    # An older protocol would choose older, less audited readers.
    if schema.get("protocol") != PROTOCOL:
        raise UnsafeArtifact(f"Expected skops protocol {PROTOCOL}, received {schema.get('protocol')!r}.")


def _number(schema: dict[str, Any]) -> dict[str, str]:
    numbers: dict[int, int] = {}
    names: dict[str, str] = {}

    def renumber(node: dict[str, Any]) -> None:
        if node.get("__loader__") == "JsonNode":
            # Whether two equal constants are one object is the interpreter's business, not the model's.
            node.pop("__id__", None)
        elif isinstance(node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
        if isinstance(node.get("file"), str):
            suffix = node["file"].rpartition(".")[2]
            node["file"] = names.setdefault(node["file"], f"{len(names):05d}.{suffix}")

    _walk(schema, renumber)
    return names


def _walk(node: Any, visit: Callable[[dict[str, Any]], None]) -> None:
    if isinstance(node, dict):
        if "__loader__" in node:
            _settle(node)
            visit(node)
        for value in node.values():
            _walk(value, visit)
    elif isinstance(node, list):
        for value in node:
            _walk(value, visit)


def _settle(node: dict[str, Any]) -> None:
    """Give one form to what differs without being another model."""
    if node["__loader__"] == "SetNode":
        node["content"].sort(key=_without_addresses)
    elif f"{node['__module__']}.{node['__class__']}" in _COUNTING_TREES and isinstance(node.get("content"), dict):
        state = node["content"].get("content")
        for place in _COUNTERS if isinstance(state, list) and len(state) > _COUNTERS[-1] else ():
            state[place]["content"] = "0"


def _without_addresses(node: Any) -> str:
    return re.sub(r'"__id__": \d+', "", json.dumps(node, sort_keys=True))


def _canonical(name: str, content: bytes) -> bytes:
    if name.endswith(".npz"):
        parts = unpack(content, what="sparse matrix", suffixes=frozenset({".npy"}))
        return pack({part: _canonical(part, array) for part, array in parts.items()})
    if not name.endswith(".npy"):
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    # Padding between the fields of a structured array (tree nodes) is whatever was in memory.
    clean = np.zeros(array.shape, array.dtype)
    for field in array.dtype.names:
        clean[field] = array[field]
    buffer = io.BytesIO()
    np.save(buffer, clean, allow_pickle=False)
    return buffer.getvalue()

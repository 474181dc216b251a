"""What a window is held against: rows and answers of the champion, counted once and kept under KEEPFIT_HOME."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from infra.artifacts.reference import ArtifactRef
from infra.registry.records import BatchRow
from infra.workspace import open_workspace
from tasks.batches import read_frame, read_rows
from tasks.contracts.monitoring import Window
from tasks.contracts.project import ProjectSpec
from tasks.contracts.upkeep import Drift
from tasks.policies import source_digest
from tasks.release.stored import StoredVersion
from tasks.windows import previous_window, same_season

if TYPE_CHECKING:
    from tasks.monitoring.summaries import ReferenceSummary

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Reference(NamedTuple):
    """All that a window is held against."""

    features: "ReferenceSummary | None"
    """None where the policy names rows that are not there."""
    target: "ReferenceSummary"
    predictions: "ReferenceSummary"
    importances: dict[str, float]


def find_reference(spec: ProjectSpec, version: StoredVersion, window: Window, rules: Drift) -> Reference:
    """Return what this window is held against.

    Parameters
    ----------
    spec
        As of the version: its features are what is watched.
    """
    from tasks.monitoring.watched import watch_features, watch_target  # noqa: PLC0415  brings numpy

    train = version.manifest.split.train
    features: ReferenceSummary | None
    if rules.reference == "training":
        features = _summarize(spec, train, watch_features(spec), f"the training rows of {version.label}")
    else:
        features = _summarize_batches(spec, _find_batches(spec.name, window, rules))
    target = _summarize(spec, train, watch_target(spec), f"the training rows of {version.label}")
    predictions, importances = _ask_champion(spec, version)
    return Reference(features, target, predictions, importances)


def _find_batches(project: str, window: Window, rules: Drift) -> list[BatchRow]:
    registry = open_workspace().registry
    wanted = []
    if rules.reference == "same_season":
        wanted = [same_season(window)]
    else:
        for _ in range(rules.trailing_windows):
            wanted.append(previous_window(wanted[-1] if wanted else window))
    found = [registry.batch(project, each.name) for each in wanted]
    return [batch for batch in found if batch is not None and batch.rows]


def _summarize_batches(spec: ProjectSpec, batches: Sequence[BatchRow]) -> "ReferenceSummary | None":
    from infra.frames import write_parquet  # noqa: PLC0415  brings pandas
    from tasks.monitoring.summaries import ReferenceSummary, summarize_reference  # noqa: PLC0415
    from tasks.monitoring.watched import watch_features  # noqa: PLC0415

    if not batches:
        return None
    watched = watch_features(spec)
    digest = hashlib.sha256("".join(batch.snapshot for batch in batches).encode()).hexdigest()
    named = ", ".join(sorted(batch.window for batch in batches))

    def make() -> ReferenceSummary:
        import pandas as pd  # noqa: PLC0415

        with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
            path = Path(scratch) / "rows.parquet"
            write_parquet(pd.concat([read_rows(batch) for batch in batches], ignore_index=True), path)
            return summarize_reference(path, watched, digest=digest, described=f"the rows of {named}")

    return kept(["batches", digest, repr(watched)], ReferenceSummary, make)


def _summarize(
    spec: ProjectSpec, rows: ArtifactRef, watched: Sequence[BaseModel], described: str
) -> "ReferenceSummary":
    from tasks.monitoring.summaries import ReferenceSummary, summarize_reference  # noqa: PLC0415

    def make() -> ReferenceSummary:
        with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
            path = open_workspace().store.fetch(rows, Path(scratch) / "rows.parquet")
            return summarize_reference(path, watched, digest=rows.digest, described=described)  # type: ignore[arg-type]

    return kept(["rows", spec.name, rows.digest, repr(watched), described], ReferenceSummary, make)


class Asked(BaseModel):
    """What the champion answers on its own test rows, as a reference: on its training rows it is too sure of itself."""

    predictions: "ReferenceSummary"
    importances: dict[str, float]


def _ask_champion(spec: ProjectSpec, version: StoredVersion) -> "tuple[ReferenceSummary, dict[str, float]]":
    from tasks.monitoring.summaries import ReferenceSummary  # noqa: PLC0415

    Asked.model_rebuild(_types_namespace={"ReferenceSummary": ReferenceSummary})
    key = ["asked", version.manifest.model.content, version.manifest.split.test.digest]
    asked = kept(key, Asked, lambda: _ask(spec, version))
    return asked.predictions, asked.importances


def _ask(spec: ProjectSpec, version: StoredVersion) -> Asked:
    from infra.frames import write_parquet  # noqa: PLC0415  brings pandas
    from tasks.monitoring.importance import measure_importance  # noqa: PLC0415
    from tasks.monitoring.summaries import summarize_reference  # noqa: PLC0415
    from tasks.monitoring.watched import watch_predictions  # noqa: PLC0415
    from tasks.scoring.predicting import answer_rows  # noqa: PLC0415

    test = version.manifest.split.test
    rows = read_frame(test, f"{version.label}: its test rows")
    with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
        model = load_version(version, Path(scratch))
        answers = answer_rows(model, rows[list(spec.features)])
        path = Path(scratch) / "answers.parquet"
        write_parquet(answers, path)
        watched = watch_predictions(list(answers.columns))
        described = f"the answers of {version.label} on its test rows"
        summary = summarize_reference(path, watched, digest=test.digest, described=described)
        return Asked(predictions=summary, importances=measure_importance(model, rows, spec))


def load_version(version: StoredVersion, scratch: Path) -> "object":
    """Return the version's model, its digests verified before anything is parsed."""
    from tasks.models.loading import load_model  # noqa: PLC0415  brings scikit-learn

    ref = version.manifest.model
    path = open_workspace().store.fetch(ref.artifact, scratch / f"model-{version.row.number}")
    return load_model(path, expected_content=ref.content)


def kept(key: Sequence[str], kind: type[T], make: Callable[[], T]) -> T:
    """Return what was made for this key before, or make it: a cache of this KEEPFIT_HOME, and nothing but a cache.

    A file that cannot be read as `kind` is made again.
    """
    adapter = TypeAdapter(kind)
    name = hashlib.sha256("\0".join([source_digest("monitoring"), *key]).encode()).hexdigest()
    path = open_workspace().settings.home / "references" / f"{name}.json"
    try:
        return adapter.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        pass
    value = make()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{name}.{os.getpid()}")
    beside.write_bytes(adapter.dump_json(value))
    os.replace(beside, path)
    return value

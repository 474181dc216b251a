"""What a window is held against: rows and answers of the champion, counted once and kept under KEEPFIT_HOME."""

import hashlib
import logging
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pydantic import BaseModel, TypeAdapter

from flows.labels import label_delay
from flows.own_metrics import find_own_metrics
from infra.artifacts.reference import ArtifactRef
from infra.cache import remember
from infra.registry.records import BatchRow
from infra.workspace import open_workspace
from tasks.batches import read_frame, read_matured
from tasks.contracts.monitoring import Window
from tasks.contracts.project import ProjectSpec
from tasks.contracts.upkeep import Drift
from tasks.policies import source_digest
from tasks.project import functions_of
from tasks.release.stored import StoredVersion, find_version
from tasks.windows import previous_window, same_season

if TYPE_CHECKING:
    import pandas as pd

    from tasks.monitoring.summaries import ReferenceSummary
    from tasks.monitoring.watched import Watched

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Reference(NamedTuple):
    """All that a window is held against. What has no rows is not tested, and says so."""

    features: "ReferenceSummary | None"
    """None where the policy names rows that are not there."""
    target: "ReferenceSummary"
    predictions: "ReferenceSummary"
    importances: dict[str, float]
    absent: str = ""
    """Why there are no features."""


def find_reference(
    spec: ProjectSpec, version: StoredVersion, window: Window, rules: Drift, as_of: datetime | None = None
) -> Reference:
    """Return what this window is held against.

    Training rows: the rows, the targets and, as the champion is too sure of itself on those, its answers on its test rows.
    Earlier windows, where the policy names them: their rows, their labels as far as they have matured, and the answers
    that this champion gave in use; to windows that another version answered it gave none.

    Parameters
    ----------
    spec
        As of the version: its features are what is watched.
    as_of
        Labels known at this time count; by default now.
    """
    from tasks.monitoring.watched import watch_features, watch_target  # noqa: PLC0415  brings numpy

    asked = _ask_champion(spec, version)
    if rules.reference != "training":
        return _hold_against_batches(spec, version, _name_windows(window, rules), asked, as_of or datetime.now(UTC))
    train, described = version.manifest.split.train, f"the training rows of {version.label}"
    return Reference(
        features=_summarize(spec, train, watch_features(spec), described),
        target=_summarize(spec, train, watch_target(spec), described),
        predictions=asked.predictions,
        importances=asked.importances,
    )


def _hold_against_batches(
    spec: ProjectSpec, version: StoredVersion, wanted: Sequence[Window], asked: "Asked", as_of: datetime
) -> Reference:
    from tasks.monitoring.watched import Watched, watch_features, watch_target  # noqa: PLC0415  brings numpy

    batches = _find_batches(spec, version, wanted)
    named = ", ".join(sorted(batch.window for batch in batches)) or "no window"
    absent = "" if batches else _say_absent(spec, version, wanted)
    own = [batch for batch in batches if batch.model == version.label]
    answered = [
        Watched(column=each.measure.column, type=each.measure.type, aspect="prediction")
        for each in asked.predictions.measures
    ]
    answers = f"the answers of {version.label} in {', '.join(sorted(batch.window for batch in own)) or 'no window'}"
    return Reference(
        features=_summarize_parts([batch.rows_blob for batch in batches], watch_features(spec), f"the rows of {named}")
        if batches
        else None,
        target=_summarize_labels(spec, batches, watch_target(spec), f"the labels of {named}", as_of),
        predictions=_summarize_parts([batch.predictions_blob for batch in own], answered, answers),
        importances=asked.importances,
        absent=absent,
    )


def _name_windows(window: Window, rules: Drift) -> list[Window]:
    if rules.reference == "same_season":
        return [same_season(window)]
    wanted = [previous_window(window)]
    while len(wanted) < rules.trailing_windows:
        wanted.append(previous_window(wanted[-1]))
    return wanted


def _find_batches(spec: ProjectSpec, version: StoredVersion, wanted: Sequence[Window]) -> list[BatchRow]:
    """Return the batches of these windows that have rows with all features that are watched."""
    registry = open_workspace().registry
    found = [registry.batch(spec.name, each.name) for each in wanted]
    return [batch for batch in found if batch is not None and batch.rows and _has_features(batch, spec, version)]


def _has_features(batch: BatchRow, spec: ProjectSpec, version: StoredVersion) -> bool:
    """Return whether whoever scored the batch looked at the same features: others are not among its rows."""
    if batch.model == version.label:
        return True
    manifest = find_version(batch.model).manifest
    theirs = ProjectSpec.model_validate_json(open_workspace().store.read(manifest.spec)).features
    return all(name in theirs and theirs[name].type == column.type for name, column in spec.features.items())


def _say_absent(spec: ProjectSpec, version: StoredVersion, wanted: Sequence[Window]) -> str:
    names = [each.name for each in wanted]
    which = f"None of {', '.join(names)} is there" if len(names) > 1 else f"{names[0]} is not there"
    return (
        f"{which} to hold this window against (monitoring.drift.reference): not scored, set aside whole, or scored "
        f"without a feature of {version.label}. `keepfit score {spec.name} --window {names[0]}` scores it."
    )


def _summarize_parts(parts: Sequence[ArtifactRef], watched: "Sequence[Watched]", described: str) -> "ReferenceSummary":
    """Return the summary of several blobs as one table; none is a table without rows."""
    from infra.frames import join_parquet  # noqa: PLC0415  brings pandas

    digest = hashlib.sha256("".join(part.digest for part in parts).encode()).hexdigest()

    def write(path: Path) -> None:
        store = open_workspace().store
        fetched = [store.fetch(part, path.with_name(f"part-{place}")) for place, part in enumerate(parts)]
        join_parquet(fetched, [each.column for each in watched], path)

    return _count(["parts", digest], watched, described, digest, write)


def _summarize_labels(
    spec: ProjectSpec, batches: Sequence[BatchRow], watched: "Sequence[Watched]", described: str, as_of: datetime
) -> "ReferenceSummary":
    from infra.frames import digest_frame, write_parquet  # noqa: PLC0415  brings pandas
    from tasks.maturity import TRUTH  # noqa: PLC0415

    known = [read_matured(batch, as_of, label_delay(spec))[TRUTH].dropna() for batch in batches]
    table = name_truth([part for part in known if len(part)], spec)
    digest = digest_frame(table)
    return _count(["labels", digest], watched, described, digest, lambda path: write_parquet(table, path))


def name_truth(known: "Sequence[pd.Series[str]]", spec: ProjectSpec) -> "pd.DataFrame":
    """Return known labels as a table of one column, the target; sets as one column a label."""
    import pandas as pd  # noqa: PLC0415

    values = pd.concat(known, ignore_index=True) if known else pd.Series([], dtype="str")
    if spec.labels:
        from tasks.models.label_columns import spread_sets  # noqa: PLC0415

        return spread_sets(values, spec)
    return pd.DataFrame({spec.target: values.infer_objects()})


def _summarize(
    spec: ProjectSpec, rows: ArtifactRef, watched: "Sequence[Watched]", described: str
) -> "ReferenceSummary":
    def write(path: Path) -> None:
        open_workspace().store.fetch(rows, path)

    return _count(["rows", spec.name, rows.digest], watched, described, rows.digest, write)


def _count(
    key: Sequence[str], watched: "Sequence[Watched]", described: str, digest: str, write: Callable[[Path], None]
) -> "ReferenceSummary":
    from tasks.monitoring.summaries import ReferenceSummary, summarize_reference  # noqa: PLC0415

    def make() -> ReferenceSummary:
        with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
            path = Path(scratch) / "rows.parquet"
            write(path)
            return summarize_reference(path, watched, digest=digest, described=described)

    return kept([*key, repr(watched), described], ReferenceSummary, make)


class Asked(BaseModel):
    """What the champion answers on its own test rows, as a reference: on its training rows it is too sure of itself."""

    predictions: "ReferenceSummary"
    importances: dict[str, float]


def _ask_champion(spec: ProjectSpec, version: StoredVersion) -> Asked:
    from tasks.monitoring.summaries import ReferenceSummary  # noqa: PLC0415

    Asked.model_rebuild(_types_namespace={"ReferenceSummary": ReferenceSummary})
    manifest = version.manifest
    # The spec says by which metric features matter; the label stands in what is said.
    key = ["asked", version.label, manifest.model.content, manifest.split.test.digest, manifest.spec.digest]
    return kept(key, Asked, lambda: _ask(spec, version))


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
        answers = answer_rows(model, rows[list(spec.features)], spec.labels)
        path = Path(scratch) / "answers.parquet"
        write_parquet(answers, path)
        watched = watch_predictions(list(answers.columns), regression=spec.is_regression, labels=spec.labels)
        described = f"the answers of {version.label} on its test rows"
        summary = summarize_reference(path, watched, digest=test.digest, described=described)
        return Asked(predictions=summary, importances=measure_importance(model, rows, spec, own=find_own_metrics(spec)))


def load_version(version: StoredVersion, scratch: Path) -> "object":
    """Return the version's model, its digests verified before anything is parsed."""
    from tasks.models.loading import load_model  # noqa: PLC0415  brings scikit-learn

    ref = version.manifest.model
    path = open_workspace().store.fetch(ref.artifact, scratch / f"model-{version.row.number}")
    return load_model(path, ref.content, functions_of(open_workspace().settings.projects, version.row.project))


def kept(key: Sequence[str], kind: type[T], make: Callable[[], T]) -> T:
    """Return what was made for this key before, or make it. See `infra.cache`."""
    adapter = TypeAdapter(kind)
    whole = [source_digest("monitoring"), *key]
    return adapter.validate_json(remember("references", whole, lambda: adapter.dump_json(make())))

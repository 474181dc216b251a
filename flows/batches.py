"""Scoring a window: rows in, the contract, the champion's answers, one batch. Without Prefect: `flows.scoring` is the flow."""

import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from infra.actor import actor_name
from infra.artifacts.reference import ArtifactRef
from infra.errors import BlobNotFound, DataError, IntegrityError, KeepfitError, SourceError, SpecError, UsageError
from infra.faults import reach
from infra.registry.batches import BatchRequest, describe_other
from infra.registry.records import BatchRow
from infra.workspace import open_workspace
from tasks.batches import REMEDY
from tasks.contracts.monitoring import Window
from tasks.contracts.project import ProjectSpec
from tasks.contracts.scoring import BatchOutcome
from tasks.project import LoadedProject, functions_of, load_project
from tasks.release.stored import StoredVersion, find_champion_version, find_version
from tasks.windows import parse_window

if TYPE_CHECKING:
    import pandas as pd

    from tasks.validation.batches import ExaminedBatch

logger = logging.getLogger(__name__)

PARQUET = "application/vnd.apache.parquet"


def score_batch(project: str, window: str, file: Path | None = None, as_of: datetime | None = None) -> BatchOutcome:
    """Let the champion answer the rows of a window, and keep them as one batch.

    Parameters
    ----------
    window
        2013-07, 2013-W28 or 2013-07-14, as long as `monitoring.window` says.
    file
        Its rows, as CSV or Parquet; None: the project's `monitoring.rows` function gives them.
    as_of
        The time as of which the rows are read; by default now.

    Raises
    ------
    UsageError
        The project has no champion yet, the window is none of its own, or it was scored with other rows.
    DataError
        Rows of another time, none at all, or a batch that was set aside whole: that one is kept, with its reasons.
    """
    loaded = load_project(open_workspace().settings.projects, project)
    asked = parse_window(window)
    _require_length(loaded.spec, asked)
    there = open_workspace().registry.batch(project, asked.name)
    known = there is not None and there.rows > 0
    # What was scored is compared as its own version saw it: a new champion may have other features.
    version = find_version(there.model) if there is not None and known else find_champion_version(project)
    spec = _scoring_spec(loaded.spec, version)
    moment = as_of or datetime.now(UTC)
    with told("rows"):
        raw_rows = _read(loaded, spec, asked, file)
        logger.info("%s rows of %s", f"{len(raw_rows):,}", asked.name)
    with told("check"):
        from tasks.validation.batches import examine_batch, say_unknown  # noqa: PLC0415  brings pandas and scipy

        examined = examine_batch(raw_rows, spec, asked)
        warning = say_unknown(raw_rows, loaded.spec)
        if warning:
            logger.warning("%s: %s", asked.name, warning)
        logger.info("%s can be scored, %s set aside", f"{len(examined.accepted):,}", f"{len(examined.quarantined):,}")
    if there is not None and known:
        return _find_again(there, asked, examined)
    row = _score_and_keep(spec, version, asked, examined, moment, warning=warning)
    if examined.problem is not None:
        raise examined.problem
    return _outcome(row, asked, known=False)


@contextmanager
def told(name: str) -> Iterator[None]:
    """Tell of a stage as steps do: one line with its time."""
    started = time.perf_counter()
    logger.info("%s started", name, extra={"step": name, "phase": "start"})
    yield
    seconds = time.perf_counter() - started
    extra = {"step": name, "phase": "end", "seconds": seconds, "found": False}
    logger.info("%s done in %.1f s", name, seconds, extra=extra)


def _require_length(spec: ProjectSpec, window: Window) -> None:
    """Refuse a window of another length than the project's own: its rows would be in two batches."""
    if spec.monitoring is None:
        return
    days = (window.end - window.start).days
    found = {1: "day", 7: "week"}.get(days, "month")
    if found != spec.monitoring.window:
        raise UsageError(
            f"{spec.name}: expected a {spec.monitoring.window} (monitoring.window), received the {found} {window.name}.",
            remedy="Write 2013-07 for a month, 2013-W28 for a week, 2013-07-14 for a day.",
        )


def _scoring_spec(spec: ProjectSpec, version: StoredVersion) -> ProjectSpec:
    """Return the spec that the version was trained with, with the id, the time and the bounds of today's."""
    if spec.row_id is None or spec.time is None:
        raise SpecError(
            f"{spec.name}: scoring a window needs `row_id` and `time`: labels are joined by the one, windows cut by the other.",
            remedy="Declare both columns in project.yaml; `keepfit predict` needs neither.",
        )
    trained = ProjectSpec.model_validate_json(open_workspace().store.read(version.manifest.spec))
    key = {name: spec.columns[name] for name in (spec.row_id, spec.time)}
    today = {"row_id": spec.row_id, "time": spec.time, "validation": spec.validation, "monitoring": spec.monitoring}
    # `features` leaves out id and time: those of today, and those that were not features then.
    columns = {name: trained.columns[name] for name in (*trained.features, trained.target)}
    return trained.model_copy(update={**today, "columns": {**columns, **key}})


def _read(project: LoadedProject, spec: ProjectSpec, window: Window, file: Path | None) -> "pd.DataFrame":
    if file is None:
        from tasks.ingestion.windows import read_window_rows  # noqa: PLC0415  brings pandas

        return read_window_rows(project, window.start, window.end)
    return read_given_file(file, spec)


def read_given_file(file: Path, spec: ProjectSpec) -> "pd.DataFrame":
    """Return the rows of a file that somebody names.

    Raises
    ------
    UsageError
        There is no such file.
    DataError
        It cannot be read.
    """
    from tasks.ingestion.reading import read_file  # noqa: PLC0415  brings pandas

    if not file.is_file():
        raise UsageError(f"Expected a file, found none at {file}.", remedy="A CSV or Parquet file.")
    try:
        return read_file(file, spec)
    except SourceError as error:  # its remedy speaks of project.yaml
        raise DataError(
            f"{file.name} cannot be read: {error.message}", remedy="Give a whole CSV or Parquet file."
        ) from error


def _score_and_keep(
    spec: ProjectSpec,
    version: StoredVersion,
    window: Window,
    examined: "ExaminedBatch",
    as_of: datetime,
    *,
    warning: str,
) -> BatchRow:
    """Keep rows, predictions and what was set aside: the blobs first, then one transaction."""
    from infra.frames import digest_frame, write_parquet  # noqa: PLC0415  brings pandas
    from tasks.models.loading import load_model  # noqa: PLC0415  brings scikit-learn
    from tasks.scoring.batches import predict_batch  # noqa: PLC0415

    workspace, model_ref = open_workspace(), version.manifest.model
    accepted = examined.accepted if examined.problem is None else examined.accepted.iloc[:0]
    with tempfile.TemporaryDirectory(prefix="keepfit-") as folder, told("score"):
        scratch = Path(folder)

        def keep(frame: "pd.DataFrame") -> ArtifactRef:
            write_parquet(frame, scratch / "frame.parquet")
            return workspace.store.put_file(scratch / "frame.parquet", PARQUET)

        path = workspace.store.fetch(model_ref.artifact, scratch / "model")
        model = load_model(path, model_ref.content, functions_of(workspace.settings.projects, spec.name))
        predictions = predict_batch(model, accepted, spec, version.label)
        logger.info("%s rows answered by %s", f"{len(predictions):,}", version.label)
        rows_blob, predictions_blob = keep(accepted), keep(predictions)
        quarantine = keep(examined.quarantined) if len(examined.quarantined) else None
        request = BatchRequest(
            project=spec.name,
            window=window.name,
            start=window.start,
            end=window.end,
            version=version.row.number,
            key=examined.content,
            snapshot=digest_frame(accepted),
            rows_blob=rows_blob,
            predictions_blob=predictions_blob,
            quarantine_blob=quarantine,
            rows=len(accepted),
            quarantined_rows=len(examined.quarantined),
            findings={
                "reasons": {**examined.reasons},
                "problem": _say(examined.problem),
                "warnings": [warning] if warning else [],
            },
            as_of=as_of,
            actor=actor_name(),
        )
        reach("batch.before_commit")
        row = workspace.registry.add_batch(request)
        reach("batch.after_commit")
    return row


def read_warnings(batch: BatchRow) -> tuple[str, ...]:
    """Return what was odd about the rows of a batch and broke no rule, in words."""
    found = batch.findings.get("warnings")
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _say(problem: KeepfitError | None) -> str:
    return "" if problem is None else problem.message


def _find_again(there: BatchRow, window: Window, examined: "ExaminedBatch") -> BatchOutcome:
    if there.key != examined.content:
        raise UsageError(
            describe_other(there, examined.content),
            remedy=f"A window is scored once. `keepfit trace {there.label}/ROW` tells what made a prediction.",
        )
    _require_served(there)
    return _outcome(there, window, known=True)


def _require_served(there: BatchRow) -> None:
    """Refuse to call a batch known whose bytes are gone: whoever asked would go on without them."""
    for ref in (there.rows_blob, there.predictions_blob, there.quarantine_blob):
        if ref is not None and not open_workspace().store.has(ref):
            raise BlobNotFound(
                f"{there.label}: the registry knows this batch, the store does not have {ref.digest[:12]}….",
                remedy=REMEDY,
            )


def _outcome(row: BatchRow, window: Window, *, known: bool) -> BatchOutcome:
    reasons, problem = row.findings.get("reasons"), str(row.findings.get("problem") or "")
    if not isinstance(reasons, dict):
        raise IntegrityError(f"{row.label}: expected the reasons of what was set aside, found none in the registry.")
    return BatchOutcome(
        project=row.project,
        window=window,
        version=row.model,
        rows=row.rows,
        quarantined_rows=row.quarantined_rows,
        reasons=reasons,
        problem=problem,
        warnings=read_warnings(row),
        snapshot=row.snapshot,
        as_of=row.as_of,
        scored_at=row.scored_at,
        status="set_aside" if not row.rows else "known" if known else "scored",
    )

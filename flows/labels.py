"""Labels as they arrive: held against the contract, kept as one delivery, and how much of each window they matured."""

import hashlib
import logging
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flows.batches import PARQUET, read_given_file, told
from infra.actor import actor_name
from infra.errors import UsageError
from infra.faults import reach
from infra.workspace import open_workspace
from tasks.batches import read_deliveries
from tasks.contracts.project import ProjectSpec
from tasks.contracts.scoring import LabelsOutcome, WindowMaturity
from tasks.project import LoadedProject, load_project
from tasks.release.stored import find_champion_version
from tasks.windows import parse_window

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

SHOWN_IDS = 5


class Kept(NamedTuple):
    """What of a delivery was new: kept as one more delivery, and how many of it correct an earlier label."""

    labels: "pd.DataFrame"
    known: int
    corrections: int


def deliver_labels(
    project: str, file: Path | None = None, window: str | None = None, as_of: datetime | None = None
) -> LabelsOutcome:
    """Keep labels of a file, or of a window by the project's own function, and return what they matured.

    Labels may come late, out of order and again: what counts as of a time is the newest label known by then.

    Parameters
    ----------
    as_of
        When the world knew them; by default now. What was decided as of an earlier time stays as it was.

    Raises
    ------
    UsageError
        Neither file nor window, or both; a time to come.
    DataError
        Ids or classes that cannot be, or two truths for one row: with the numbers of the rows; nothing is kept.
    """
    loaded = load_project(open_workspace().settings.projects, project)
    known_at = _past(as_of)
    with told("labels"):
        from tasks.validation.labels import check_labels, nothing_yet  # noqa: PLC0415  brings pandas

        raw_labels = _read_sheet(_read(loaded, file, window, known_at), loaded.spec)
        # A function that is asked before any label is due has none to give; a file without a row is a mistake.
        checked = check_labels(raw_labels, loaded.spec) if file or len(raw_labels) else nothing_yet()
        logger.info("%s received, %s can be kept", f"{len(raw_labels):,}", f"{len(checked.labels):,}")
    with told("keep"):
        kept = _keep_new(project, checked.labels, known_at)
        logger.info("%s new, %s known already", f"{len(kept.labels):,}", f"{kept.known:,}")
    with told("join"):
        windows, unknown = _join(project, kept.labels, known_at, label_delay(loaded.spec))
        logger.info("%d windows", len(windows))
    return LabelsOutcome(
        project=project,
        known_at=known_at,
        received=len(raw_labels),
        kept=len(kept.labels),
        known=kept.known,
        repeated=checked.repeated,
        without_truth=checked.without_truth,
        corrections=kept.corrections,
        unknown=len(unknown),
        unknown_ids=tuple(unknown[:SHOWN_IDS]),
        windows=tuple(windows),
    )


def label_delay(spec: ProjectSpec) -> timedelta:
    """Return how long after a row's time its label is due; at once where the project says nothing."""
    return timedelta(days=spec.monitoring.labels.delay_days if spec.monitoring else 0.0)


def _past(as_of: datetime | None) -> datetime:
    now = datetime.now(UTC)
    if as_of is not None and as_of > now:
        raise UsageError(
            f"--as-of: expected a time that has come, received {as_of:%Y-%m-%d %H:%M} UTC.",
            remedy="It says when these labels were known; left out, that is now.",
        )
    return as_of or now


def _read(project: LoadedProject, file: Path | None, window: str | None, known_at: datetime) -> "pd.DataFrame":
    if (file is None) == (window is None):
        received = "neither" if file is None else "both"
        raise UsageError(f"Expected a file of labels or --window, received {received}.", remedy="Give one of the two.")
    if file is not None:
        return read_given_file(file, project.spec)
    asked = parse_window(str(window))
    from tasks.ingestion.windows import read_labels  # noqa: PLC0415  brings pandas

    return read_labels(project, asked.start, asked.end, known_at)


def _read_sheet(raw_labels: "pd.DataFrame", spec: ProjectSpec) -> "pd.DataFrame":
    """Return the labels of a file that `keepfit label-queue` wrote as they were meant; any others as they are."""
    from tasks.labelling.sheets import MARK, read_sheet  # noqa: PLC0415  brings pandas

    if MARK not in raw_labels.columns:
        return raw_labels
    served = open_workspace().registry.champion(spec.name).version is not None
    classes = find_champion_version(spec.name).manifest.model.classes if served else ()
    return read_sheet(raw_labels, spec, classes)


def _keep_new(project: str, labels: "pd.DataFrame", known_at: datetime) -> Kept:
    """Keep what is not known just so already: the blob first, then one transaction. The same again adds nothing."""
    from infra.frames import digest_frame, write_parquet  # noqa: PLC0415  brings pandas
    from tasks.maturity import ROW_ID, TRUTH, latest_labels  # noqa: PLC0415

    workspace, earlier = open_workspace(), read_deliveries(project, known_at, labels[ROW_ID])
    before = latest_labels(earlier, known_at).reindex(labels[ROW_ID]).set_axis(labels.index)
    same = (before == labels[TRUTH]).fillna(False).astype(bool)
    new = labels[~same].reset_index(drop=True)
    kept = Kept(new, int(same.sum()), int(before[~same].notna().sum()))
    if not len(new):
        return kept
    digest = hashlib.sha256(f"{digest_frame(new)} known at {known_at.isoformat()}".encode()).hexdigest()
    with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
        path = Path(scratch) / "labels.parquet"
        write_parquet(new, path)
        blob = workspace.store.put_file(path, PARQUET)
    reach("labels.before_commit")
    workspace.registry.add_labels(
        project=project, digest=digest, blob=blob, rows=len(new), known_at=known_at, actor=actor_name()
    )
    reach("labels.after_commit")
    return kept


def _join(
    project: str, labels: "pd.DataFrame", as_of: datetime, delay: timedelta
) -> tuple[list[WindowMaturity], list[str]]:
    """Return how much of each window has matured, and the ids of labels whose row was not scored."""
    import numpy as np  # noqa: PLC0415

    from tasks.maturity import ROW_ID  # noqa: PLC0415  brings pandas
    from tasks.row_index import are_among, count_rows, index_batches, index_deliveries, number_ids  # noqa: PLC0415

    registry = open_workspace().registry
    named = [index.ids for _, index in index_deliveries(registry.label_deliveries(project, as_of))]
    known = np.sort(np.concatenate(named)) if named else np.zeros(0, dtype=np.uint64)
    ids = number_ids(labels[ROW_ID])
    missing, windows = np.ones(len(ids), dtype=bool), []
    for batch, index in index_batches(registry.batches(project)):
        here = missing & are_among(ids, index.ids)
        missing &= ~here
        counts = count_rows(index, known, as_of, delay)
        windows.append(WindowMaturity(window=batch.window, arrived=int(here.sum()), **counts._asdict()))
    return windows, sorted(labels[ROW_ID][missing])

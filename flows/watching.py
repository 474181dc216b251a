"""One window of a model in use: is it scored, are its labels in, did it drift, does the champion still hold, what now?

Without Prefect: `flows.monitoring` is the flow. What was said of a window as of a time is said once and stands.
"""

import json
import logging
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flows.batches import read_warnings, score_batch, told
from flows.labels import deliver_labels, label_delay
from flows.own_metrics import find_own_metrics
from flows.references import Reference, find_reference, name_truth
from infra.actor import actor_name
from infra.artifacts.reference import ArtifactRef
from infra.errors import DataError, KeepfitError, SpecError
from infra.faults import reach
from infra.registry.records import BatchRow, WindowReportRow
from infra.workspace import open_workspace
from tasks.batches import read_matured
from tasks.contracts.monitoring import DriftReport, MonitorReport, PerformanceReport, Window
from tasks.contracts.project import ProjectSpec
from tasks.contracts.upkeep import Monitoring
from tasks.project import LoadedProject, load_project
from tasks.release.stored import StoredVersion, find_version
from tasks.windows import parse_window, previous_window, window_containing

if TYPE_CHECKING:
    import pandas as pd

    from tasks.monitoring.drift import Held

logger = logging.getLogger(__name__)

LOOKED_BACK = 100
"""Reports that persistence may look back on; `monitoring.drift.of_windows` is far below."""
MANY_REPORTS = 1_000

SHORTEST_GRACE = timedelta(days=7)
"""So long after its labels are due a window is looked at again until they are in, or as long as they took where that is more."""


class Watched(NamedTuple):
    """A window as it is watched."""

    project: LoadedProject
    rules: Monitoring
    window: Window
    as_of: datetime


def watch_window(project: str, window: str = "", as_of: datetime | None = None) -> MonitorReport:
    """Return the verdict on a window, and keep it; asked again as of the same time, the same one.

    Parameters
    ----------
    window
        2013-07, 2013-W28 or 2013-07-14; empty: the newest that has ended.
    as_of
        What is known at this time; by default now.

    Raises
    ------
    UsageError, SpecError
        The project is not watched, has no champion, or no such window; its rows are neither scored nor to be had.
    """
    watched = _open(project, window, as_of)
    registry = open_workspace().registry
    for row in registry.window_reports(project, LOOKED_BACK):
        if row.window == watched.window.name and row.as_of == watched.as_of:
            return MonitorReport.model_validate(row.evidence)
    batch = _find_or_score(watched)
    _take_labels(watched)
    report = _judge(watched, batch)
    reach("monitor.before_commit")
    kept = registry.add_window_report(
        project=project,
        window=watched.window.name,
        as_of=watched.as_of,
        version=batch.version,
        status=report.status,
        alarm=report.drift.alarm if report.drift else None,
        evidence=json.loads(report.model_dump_json()),
        page=report.page,
        blobs=[report.picture] if report.picture else [],
        actor=actor_name(),
    )
    reach("monitor.after_commit")
    return MonitorReport.model_validate(kept.evidence)


def find_due(project: str, as_of: datetime | None = None) -> list[str]:
    """Return the earlier windows whose labels are all due by now and that can be judged by them only now, the oldest first.

    Where labels come later than the next window ends, the newest window alone would never be judged by them.
    """
    watched = _open(project, "", as_of)
    registry, delay = open_workspace().registry, label_delay(watched.project.spec)
    grace, needed = max(delay, SHORTEST_GRACE), watched.rules.performance.min_rows
    reports = registry.window_reports(project, MANY_REPORTS)
    done = {watched.window.name, *(row.window for row in reports if is_judged(row))}
    looked_at = {row.window: row.as_of for row in reversed(reports)}
    by_file = [row.known_at for row in registry.label_deliveries(project, watched.as_of)]

    def has_news(window: str) -> bool:
        there = watched.rules.labels.function is not None or window not in looked_at
        return there or any(known_at > looked_at[window] for known_at in by_file)

    return [
        batch.window
        for batch in registry.batches(project)
        if batch.window not in done and batch.rows >= needed and has_news(batch.window)
        if timedelta(0) <= watched.as_of - (batch.end + delay) <= grace
    ]


def is_judged(row: WindowReportRow) -> bool:
    """Return whether this report could tell the champion's figure on matured rows."""
    performance = row.evidence.get("performance")
    return isinstance(performance, dict) and performance.get("value") is not None


def _open(project: str, window: str, as_of: datetime | None) -> Watched:
    loaded = load_project(open_workspace().settings.projects, project)
    rules = loaded.spec.monitoring
    if rules is None:
        raise SpecError(
            f"{project}: is not watched, its project.yaml has no section `monitoring`.",
            remedy="docs/projects.md explains it; {window: day} is a beginning.",
        )
    moment = as_of or datetime.now(UTC)
    newest = previous_window(window_containing(moment, rules.window))
    return Watched(loaded, rules, parse_window(window, rules.window) if window else newest, moment)


def _find_or_score(watched: Watched) -> BatchRow:
    project, name = watched.project.spec.name, watched.window.name
    registry = open_workspace().registry
    found = registry.batch(project, name)
    if found is not None and found.rows:
        return found
    try:
        score_batch(project, name, as_of=watched.as_of)
    except DataError as broken:
        # Set aside whole: that is the news. Anything else, such as a source that gives nothing, is an error.
        kept = registry.batch(project, name)
        if kept is None:
            raise
        logger.warning("%s", broken.message)
    made = registry.batch(project, name)
    if made is None:
        raise KeepfitError(f"{project}/{name}: was scored, and the registry has no batch of it.")
    return made


def _take_labels(watched: Watched) -> None:
    """Take in what the project's own function knows by now, of this window and of earlier ones that lack labels."""
    if watched.rules.labels.function is None:
        return
    spec, registry = watched.project.spec, open_workspace().registry
    horizon = watched.window.start - label_delay(spec) - timedelta(days=1)
    for batch in registry.batches(spec.name):
        if batch.rows and batch.end > horizon and batch.start <= watched.window.start:
            deliver_labels(spec.name, window=batch.window, as_of=watched.as_of)


def _judge(watched: Watched, batch: BatchRow) -> MonitorReport:
    from tasks.monitoring.persistence import persists  # noqa: PLC0415  brings numpy
    from tasks.monitoring.verdict import reach_verdict  # noqa: PLC0415

    spec = watched.project.spec
    version = find_version(batch.model)
    drift = performance = page = picture = None
    if batch.rows:
        with told("labels"):
            matured = read_matured(batch, watched.as_of, label_delay(spec))
        with told("drift"):
            drift, page, picture = _measure_drift(watched, version, batch, matured)
            logger.info("%s", drift.reason)
        with told("figures"):
            performance = _measure_performance(watched, version, matured)
            logger.info("%s", performance.reason)
    rules = watched.rules.drift
    alarms = [*_earlier_alarms(watched), drift.alarm if drift else None]
    problem = str(batch.findings.get("problem") or "")
    said = reach_verdict(
        broken=[problem] if problem else [],
        drift=drift,
        persistent=persists(alarms, needed=rules.alarms, of_windows=rules.of_windows),
        performance=performance,
        quarantined_rows=batch.quarantined_rows,
        project=spec.name,
    )
    return MonitorReport(
        project=spec.name,
        window=watched.window,
        as_of=watched.as_of,
        champion=batch.model,
        status=said.status,
        reasons=(*said.reasons, *read_warnings(batch)),
        next_step=said.next_step,
        scored_rows=batch.rows,
        quarantined_rows=batch.quarantined_rows,
        drift=drift,
        performance=performance,
        page=page,
        picture=picture,
    )


def _earlier_alarms(watched: Watched) -> list[bool | None]:
    """Return what each earlier window alarmed, the newest word on each, in the order of time."""
    newest: dict[str, tuple[datetime, bool | None]] = {}
    for row in open_workspace().registry.window_reports(watched.project.spec.name, LOOKED_BACK):  # newest first
        start = parse_window(row.window).start
        if start < watched.window.start and row.as_of <= watched.as_of:
            newest.setdefault(row.window, (start, row.alarm))
    return [alarm for _, alarm in sorted(newest.values(), key=lambda entry: entry[0])]


def _measure_drift(
    watched: Watched, version: StoredVersion, batch: BatchRow, matured: "pd.DataFrame"
) -> tuple[DriftReport, ArtifactRef | None, ArtifactRef | None]:
    from tasks.monitoring.drift import Held, decide_drift  # noqa: PLC0415  brings scipy
    from tasks.monitoring.summaries import WindowSummary, summarize_window  # noqa: PLC0415

    store, rules = open_workspace().store, watched.rules.drift
    spec = ProjectSpec.model_validate_json(store.read(version.manifest.spec))
    reference = find_reference(spec, version, watched.window, rules, watched.as_of)
    with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
        folder = Path(scratch)
        rows = store.fetch(batch.rows_blob, folder / "rows.parquet")
        answers = store.fetch(batch.predictions_blob, folder / "answers.parquet")
        beside = [Held(reference.predictions, summarize_window(answers, reference.predictions))]
        beside += _hold_target(spec, reference, matured, folder)
        if reference.features is None:
            window = WindowSummary(rows=batch.rows, measures=())
        else:
            window = summarize_window(rows, reference.features)
        report = decide_drift(
            reference.features,
            window,
            rules,
            importances=reference.importances,
            beside=beside,
            absent=reference.absent,
        )
        page = _write_page(watched, spec, version, rows, folder)
    held = beside if reference.features is None else [Held(reference.features, window), *beside]
    return report, page, _draw_picture(report, held, watched.window.name)


def _draw_picture(report: DriftReport, held: "Sequence[Held]", window: str) -> ArtifactRef | None:
    from tasks.monitoring.pictures import draw_drift  # noqa: PLC0415  brings numpy

    picture = draw_drift(report, held, window)
    return None if picture is None else open_workspace().store.put_bytes(picture, "image/png")


def _hold_target(spec: ProjectSpec, reference: Reference, matured: "pd.DataFrame", folder: Path) -> "list[Held]":
    from infra.frames import write_parquet  # noqa: PLC0415  brings pandas
    from tasks.maturity import TRUTH  # noqa: PLC0415
    from tasks.monitoring.drift import Held  # noqa: PLC0415
    from tasks.monitoring.summaries import summarize_window  # noqa: PLC0415

    known = matured[TRUTH].dropna()
    if known.empty:
        return []
    path = folder / "truth.parquet"
    write_parquet(name_truth([known], spec), path)
    return [Held(reference.target, summarize_window(path, reference.target))]


def _write_page(
    watched: Watched, spec: ProjectSpec, version: StoredVersion, rows: Path, folder: Path
) -> ArtifactRef | None:
    """Keep Evidently's report on a sample beside the training rows; None where no column can be shown."""
    from tasks.monitoring.evidently_page import write_page  # noqa: PLC0415  brings Evidently
    from tasks.monitoring.watched import watch_features  # noqa: PLC0415

    store = open_workspace().store
    train = store.fetch(version.manifest.split.train, folder / "train.parquet")
    title = f"{spec.name}/{watched.window.name} beside the training rows of {version.label}"
    page = write_page(train, rows, watch_features(spec), folder / "page.html", title=title)
    return None if page is None else store.put_file(page, "text/html; charset=utf-8")


def _measure_performance(watched: Watched, version: StoredVersion, matured: "pd.DataFrame") -> PerformanceReport:
    from tasks.maturity import DUE, TRUTH  # noqa: PLC0415  brings pandas
    from tasks.monitoring.performance import measure_performance  # noqa: PLC0415

    return measure_performance(
        matured[matured[TRUTH].notna()],
        watched.project.spec,
        classes=version.manifest.model.classes,
        scored=len(matured),
        due=int(matured[DUE].sum()),
        expected=version.manifest.evaluation.metrics[0].value,
        own=find_own_metrics(watched.project.spec),
    )

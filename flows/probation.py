"""The time after a release: the new champion and the one before answer the same rows, and the better one stays.

Held against its own test rows a champion would fall with the season; held against the version before it, on the same
matured rows, only what the release changed counts.
"""

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from flows.brakes import ALARMS, LOOP, as_known_at, find_unasked, open_after_rollback
from flows.labels import label_delay
from flows.own_metrics import find_own_metrics
from flows.references import load_version
from flows.watching import is_judged
from infra.errors import Conflict
from infra.faults import reach
from infra.figures import tell
from infra.registry.records import BatchRow, ReleaseRow
from infra.registry.registry import Registry
from infra.workspace import open_workspace
from tasks.batches import read_matured, read_rows
from tasks.contracts.monitoring import MonitorReport
from tasks.contracts.project import ProjectSpec
from tasks.project import LoadedProject
from tasks.release.stored import find_version

if TYPE_CHECKING:
    import pandas as pd

    from tasks.evaluation.comparison import Comparison

logger = logging.getLogger(__name__)

ALPHA = 0.025


class Undone(NamedTuple):
    """A release that was taken back."""

    version: str
    before: str
    why: str


def watch_release(loaded: LoadedProject, report: MonitorReport) -> Undone | None:
    """Return the release that was taken back after this window; None where none is on probation, or it holds.

    The version before comes back where it would have been better on the window's matured rows by more than
    `retraining.watch.margin`, with confidence (paired, one-sided 2.5 %); the breaker opens with it.
    """
    registry = open_workspace().registry
    batch = registry.batch(report.project, report.window.name)
    release = _find_on_probation(loaded, report, registry)
    if batch is None or not batch.rows or release is None or release.previous is None:
        return None
    if report.performance is None or report.performance.value is None:  # too few matured labels
        return None
    margin = loaded.spec.retraining.watch.margin
    seen = _compare(loaded.spec, batch, release, report, margin)
    if seen is None or seen.p_worse > ALPHA:
        return None
    before = f"{report.project}@{release.previous}"
    why = (
        f"{report.window.name}: {batch.model} {tell(seen.candidate)} against {before} {tell(seen.champion)} on {seen.n:,} "
        f"matured rows, worse by more than {margin:g} with confidence"
    )
    return _take_back(registry, release, before, why, seen)


def _find_on_probation(loaded: LoadedProject, report: MonitorReport, registry: Registry) -> ReleaseRow | None:
    """Return the release that made the batch's champion, where an alarm led to it and its time is not over."""
    history = registry.history(report.project)
    if not history or f"{report.project}@{history[-1].version}" != report.champion:
        return None
    release = history[-1]
    if release.kind != "promote" or release.run_id is None or registry.run(release.run_id).trigger_kind not in ALARMS:
        return None
    since = as_known_at(registry.run(release.run_id))
    later = {
        row.window
        for row in registry.window_reports(report.project)
        if row.version == release.version and row.window != report.window.name and row.as_of > since
        if is_judged(row)  # while no label is due nothing speaks for the new one, and nothing against it
    }
    return release if len(later) < loaded.spec.retraining.watch.windows else None


def _compare(
    spec: ProjectSpec, batch: BatchRow, release: ReleaseRow, report: MonitorReport, margin: float
) -> "Comparison | None":
    from tasks.evaluation.answers import AnswerTable  # noqa: PLC0415  brings scipy
    from tasks.evaluation.comparison import compare  # noqa: PLC0415
    from tasks.maturity import TRUTH  # noqa: PLC0415
    from tasks.metrics.registry import find_metric, find_positive  # noqa: PLC0415

    matured = read_matured(batch, report.as_of, label_delay(spec))
    known = matured[TRUTH].notna().to_numpy()
    version, before = find_version(batch.model), find_version(f"{report.project}@{release.previous}")
    classes = version.manifest.model.classes  # none of a regression
    if tuple(before.manifest.model.classes) != tuple(classes):
        return None
    rows = read_rows(batch)[known].reset_index(drop=True)
    with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
        models = {
            each.label: (role, load_version(each, Path(scratch)))
            for role, each in (("candidate", version), ("champion", before))
        }
        answers = tuple(
            _answer(role, label, model, rows[list(spec.features)], classes, several=bool(spec.labels))
            for label, (role, model) in models.items()
        )
    truth = _read(matured.loc[known, TRUTH], classes, several=bool(spec.labels))
    table = AnswerTable(
        tuple(classes),
        truth,
        answers,
        np.ones(len(truth), dtype=bool),
        find_positive(spec.evaluation.positive, classes),
        several=bool(spec.labels),
    )
    metric = find_metric(spec.evaluation.metric, len(classes), own=find_own_metrics(spec))
    draws, seed = spec.evaluation.bootstrap_draws, spec.evaluation.seed
    return compare(metric, table, answers[0], answers[1], margin=margin, alpha=ALPHA, draws=draws, seed=seed)


def _answer(role: str, label: str, model: Any, features: "pd.DataFrame", classes: Any, *, several: bool) -> Any:
    from tasks.metrics.answers import Answers  # noqa: PLC0415

    proba = model.predict_proba(features) if classes else None
    return Answers(role, label, _read(model.predict(features), classes, several=several), proba)


def _read(values: Any, classes: Any, *, several: bool) -> Any:
    """Return the codes of classes or of sets of labels, or a regression's values."""
    import pandas as pd  # noqa: PLC0415

    from tasks.metrics.label_sets import read_sets  # noqa: PLC0415

    if several:
        return read_sets(values, classes)
    if not classes:
        return np.asarray(values, dtype=np.float64)

    index = pd.Index(list(classes), dtype=object)
    return np.asarray(index.get_indexer(pd.Index(values, dtype=object)), dtype=np.int64)


def _take_back(registry: Registry, release: ReleaseRow, before: str, why: str, seen: "Comparison") -> Undone | None:
    project, evidence = (
        release.project,
        {"difference": seen.difference, "low": seen.low, "high": seen.high, "n": seen.n},
    )
    try:
        registry.release(
            project=project,
            number=int(before.rpartition("@")[2]),
            expected_seq=release.seq,
            kind="rollback",
            why=why,
            actor=LOOP,
            fencing=None,
            evidence=evidence,
        )
    except Conflict as conflict:
        logger.warning("%s: not taken back, %s", project, conflict.message)
        return None
    reach("rollback.after_commit")
    move = registry.breaker(project)
    if (unasked := find_unasked(registry, project, move)) is not None and (move is None or move.state != "open"):
        open_after_rollback(registry, unasked, move)
    undone = Undone(f"{project}@{release.version}", before, why)
    logger.warning("%s is taken back, %s is the champion again: %s", undone.version, before, why)
    return undone

"""A past period lived through again, window by window, through the real flows: what would the loop have done?

Each decision sees what was known at the end of its window. Beside the model that the loop keeps fit stand two others on
the same rows: the first one, frozen, and one that is trained anew after each window and never asked whether it is better.
"""

import logging
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.batches import score_batch
from flows.monitoring import monitor, trigger_of
from flows.own_metrics import find_own_metrics
from flows.retraining import retrain
from flows.watching import find_due
from infra.errors import UsageError
from infra.workspace import open_workspace
from tasks.contracts.models import ModelRef
from tasks.contracts.monitoring import MonitorReport, Window
from tasks.contracts.release import RunOutcome
from tasks.contracts.replay import Replay, ReplayedWindow
from tasks.contracts.runs import Trigger
from tasks.ingestion.windows import read_labels
from tasks.project import LoadedProject, load_project
from tasks.release.stored import find_champion_version, find_version
from tasks.windows import find_windows

if TYPE_CHECKING:
    import pandas as pd

    from tasks.metrics.registry import Metric

logger = logging.getLogger(__name__)


def replay(project: str, start: datetime, end: datetime, tell: Callable[[ReplayedWindow], None]) -> Replay:
    """Live through the windows from `start` up to `end`; the workspace must be one of the replay's own.

    Parameters
    ----------
    tell
        Is told of each window when it is over.

    Raises
    ------
    UsageError
        The project is not watched or names no functions for rows and labels, there is no whole window, or the workspace
        has a champion already.
    """
    loaded = load_project(open_workspace().settings.projects, project)
    windows = find_windows(loaded.spec, start, end)
    if open_workspace().registry.champion(project).seq:
        raise UsageError(f"{project}: a replay begins without a champion, here is one.")
    retrain(project=project, as_of=windows[0].start, trigger=Trigger(why="the first model of a replay"))
    frozen = find_champion_version(project)
    lived: list[ReplayedWindow] = []
    always = frozen.manifest.model
    for window in windows:
        seen = _live(loaded, window, frozen.manifest.model, always)
        tell(seen)
        lived.append(seen)
        if window is not windows[-1]:
            always = _train_anyway(project, window.end)
    return Replay(project=project, first=frozen.label, windows=tuple(lived))


def _live(loaded: LoadedProject, window: Window, frozen: ModelRef, always: ModelRef) -> ReplayedWindow:
    project = loaded.spec.name
    batch = score_batch(project, window.name, as_of=window.end)
    before = len(open_workspace().registry.history(project))
    reports = [_watch(project, name, window.end) for name in (*find_due(project, window.end), window.name)]
    report, taken_back = reports[-1], _find_taken_back(project, before)
    metric = _find_metric(loaded)
    models = {"frozen": frozen, "kept_fit": find_version(batch.version).manifest.model, "always": always}
    figures = _judge_in_hindsight(loaded, window, models)
    action, outcome = _say_taken_back(project, taken_back) if taken_back else _act(reports)
    return ReplayedWindow(
        window=window,
        rows=batch.rows,
        status=report.status,
        reasons=report.reasons,
        drifted=report.drift.drifted if report.drift else (),
        metric=metric.name,
        direction=metric.direction,
        champion=batch.version,
        action=action,
        trained=outcome is not None,
        released=outcome is not None and outcome.released,
        taken_back=taken_back,
        **figures,
    )


def _find_metric(loaded: LoadedProject) -> "Metric":
    from tasks.metrics.registry import find_metric  # noqa: PLC0415  brings numpy

    return find_metric(loaded.spec.evaluation.metric, own=find_own_metrics(loaded.spec))


def _watch(project: str, window: str, as_of: datetime) -> MonitorReport:
    return MonitorReport.model_validate(monitor(project=project, window=window, as_of=as_of))


def _find_taken_back(project: str, moves_before: int) -> str:
    """Return the version that monitoring took back, nothing where it took back none."""
    moves = open_workspace().registry.history(project)[moves_before:]
    return next((f"{project}@{move.previous}" for move in moves if move.kind == "rollback"), "")


def _say_taken_back(project: str, version: str) -> tuple[str, None]:
    return f"{version} is taken back, {find_champion_version(project).label} again", None


def _act(reports: Sequence[MonitorReport]) -> tuple[str, RunOutcome | None]:
    """Do what the automation does: retrain where a verdict asks for it."""
    report = next((each for each in reports if each.status == "RETRAIN"), None)
    if report is None:
        return "", None
    state = retrain(project=report.project, as_of=report.as_of, trigger=trigger_of(report), return_state=True)
    if state.name != "Completed":  # held back by a brake
        return str(state.message).partition("\n")[0].removeprefix(f"{report.project}: ").partition(": ")[0], None
    outcome = RunOutcome.model_validate(state.result())
    late = "" if report is reports[-1] else f"labels of {report.window.name}: "
    return f"{late}{outcome.decision} {outcome.version or 'nothing new'}", outcome


def _train_anyway(project: str, as_of: datetime) -> ModelRef:
    """Return a model trained on what is known by then. Where the loop trained too, the ledger has it already."""
    outcome = retrain(project=project, as_of=as_of, trigger=Trigger(why="always retrained"), dry_run=True)
    return RunOutcome.model_validate(outcome).fit.chosen


def _judge_in_hindsight(loaded: LoadedProject, window: Window, models: dict[str, ModelRef]) -> dict[str, float]:
    """Return each model's figure on the window by all labels that ever came: nobody decided by these."""
    from infra.frames import read_parquet  # noqa: PLC0415  brings pandas
    from tasks.maturity import name_rows  # noqa: PLC0415
    from tasks.models.label_columns import with_sets  # noqa: PLC0415

    spec, workspace = loaded.spec, open_workspace()
    batch = workspace.registry.batch(spec.name, window.name)
    if batch is None or spec.row_id is None or spec.monitoring is None:
        raise UsageError(f"{spec.name}/{window.name}: was not scored.")
    rows = read_parquet(workspace.store.read(batch.rows_blob))
    hindsight = window.end + timedelta(days=spec.monitoring.labels.delay_days)
    labels = read_labels(loaded, window.start, window.end, hindsight)
    truth = with_sets(labels, spec).set_index(name_rows(labels[spec.row_id]))[spec.target]
    known = rows.assign(truth=name_rows(rows[spec.row_id]).map(truth)).dropna(subset="truth").reset_index(drop=True)
    with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
        return {name: _measure(loaded, ref, known, Path(scratch) / name) for name, ref in models.items()}


def _measure(loaded: LoadedProject, ref: ModelRef, known: "pd.DataFrame", path: Path) -> float:
    from tasks.models.loading import load_model  # noqa: PLC0415  brings scikit-learn
    from tasks.monitoring.performance import measure_performance  # noqa: PLC0415
    from tasks.scoring.predicting import answer_rows  # noqa: PLC0415

    model: Any = load_model(open_workspace().store.fetch(ref.artifact, path), ref.content, loaded.load)
    answers = answer_rows(model, known[list(loaded.spec.features)])
    rows = answers.assign(truth=known["truth"])
    every, own = len(rows), find_own_metrics(loaded.spec)
    seen = measure_performance(
        rows, loaded.spec, classes=model.classes, scored=every, due=every, expected=None, own=own
    )
    return float("nan") if seen.value is None else seen.value

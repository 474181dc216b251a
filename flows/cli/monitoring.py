"""`keepfit monitor`, `replay` and `breaker`: a model in use watched, a past year lived again, the loop let go on."""

import json
import os
import shutil
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from flows.cli.progress import showing_progress
from flows.cli.render import console, rows_table, save_report
from flows.cli.server import naming_silent_server, prefect_server
from infra.actor import actor_name
from infra.errors import UsageError
from infra.importing import importing
from infra.settings import load_settings
from infra.workspace import make_home, open_workspace
from tasks.contracts.monitoring import Change, DriftReport, MonitorReport
from tasks.contracts.replay import Replay, ReplayedWindow
from tasks.monitoring.ranking import rank_changes, tell_p
from tasks.project import load_project
from tasks.windows import find_windows

STYLES = {"FINE": "green", "WATCH": "yellow", "RETRAIN": "red", "BROKEN DATA": "red", "UNKNOWN": "yellow"}
SHOWN_CHANGES = 12
MARK = ".keepfit-replay"
"""Lies in a folder that a replay made and may remove."""


def monitor_window(project: str, window: str, as_of: datetime | None, *, as_json: bool) -> None:
    """Watch the window and print the verdict.

    Raises
    ------
    UsageError, SpecError
        As `flows.watching.watch_window`.
    """
    load_project(load_settings().projects, project)
    registry = open_workspace().registry
    last = max((row.id for row in registry.window_reports(project, limit=1)), default=0)
    with showing_progress(quiet=as_json), prefect_server() as server:
        with importing():
            from flows.brakes import tell_breaker
            from flows.monitoring import monitor

        server.wait()
        with naming_silent_server():
            report = MonitorReport.model_validate(monitor(project=project, window=window, as_of=as_of))
    if as_json:
        print(report.model_dump_json(indent=2))
        return
    for row in reversed(registry.window_reports(project)):
        if row.id > last and row.window != report.window.name:  # its labels have come due since
            print_report(MonitorReport.model_validate(row.evidence))
    print_report(report)
    if told := tell_breaker(project):
        console.print(f"  breaker   {told}", soft_wrap=True)


def print_report(report: MonitorReport) -> None:
    """Print the verdict, its reasons, the figures and the largest changes."""
    head = Text.assemble((report.status, f"bold {STYLES[report.status]}"), f"  {report.project}/{report.window.name}")
    head.append(f"  {report.scored_rows:,} rows by {report.champion}, as known on {report.as_of:%Y-%m-%d %H:%M} UTC")
    console.print(head, soft_wrap=True)
    for reason in report.reasons:
        console.print(f"  {reason}", soft_wrap=True)
    if report.drift is not None and report.drift.changes:
        _print_changes(report.drift)
    if report.page is not None:
        page = save_report(f"{report.project}-{report.window.name}", open_workspace().store.read(report.page))
        console.print(f"  report    {page}   distributions beside the reference, on a sample", soft_wrap=True)
    console.print(f"  next      {report.next_step}", soft_wrap=True)


def _print_changes(drift: DriftReport) -> None:
    changes = rank_changes(drift)
    columns = ("column", "", "change", "counts from", "adjusted p", "importance", "note")
    console.print(rows_table(columns, [_row(change) for change in changes[:SHOWN_CHANGES]]))
    if (more := len(changes) - SHOWN_CHANGES) > 0:
        console.print(f"  … and {more} more, see --json or the run's page", soft_wrap=True)


def _row(change: Change) -> tuple[str, ...]:
    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    name = change.name if change.aspect == "feature" else f"{change.name} ({change.aspect})"
    effect = number(change.effect, ".3f") + (f" {change.effect_name}" if change.effect is not None else "")
    p = "" if change.p_adjusted is None else tell_p(change.p_adjusted)
    figures = (effect, number(change.threshold, ".3f"), p)
    return (name, "▲" if change.drifted else "", *figures, number(change.importance, ".0%"), change.note)


def replay_project(project: str, start: datetime, end: datetime, picture: Path, *, as_json: bool) -> None:
    """Replay the period in a workspace of its own, print each window as it ends, and draw the picture.

    Raises
    ------
    UsageError
        As `flows.replay.replay`; or the picture cannot be written there.
    """
    settings = load_settings()
    loaded = load_project(settings.projects, project)
    find_windows(loaded.spec, start, end)  # before an earlier replay is removed and a server started
    if not picture.parent.is_dir():
        raise UsageError(f"--picture: expected a place in a folder that is there, {picture.parent} is none.")
    _enter_own_home(settings.home.resolve() / "replays" / project)
    said = Console(stderr=True, quiet=as_json)
    with showing_progress(quiet=True), prefect_server() as server:
        with importing():
            from flows.replay import replay

        server.wait()
        said.print(
            Text(_line("window", "rows", "verdict", "frozen", "kept fit", "always", "champion", "then"), style="bold")
        )
        with naming_silent_server():
            done = replay(project, start, end, lambda window: said.print(_show(window), soft_wrap=True))
    from tasks.monitoring.timeline import draw_timeline

    picture.write_bytes(draw_timeline(done))
    if as_json:
        print(done.model_dump_json(indent=2))
        return
    for line in summarise(done):
        console.print(line, soft_wrap=True)
    console.print(f"  picture   {picture}", soft_wrap=True)


def _enter_own_home(folder: Path) -> None:
    """Let this process work in an empty home: what is in use stays as it is. An earlier replay's is removed."""
    if folder.exists():
        if not (folder / MARK).exists():
            raise UsageError(f"{folder}: expected an earlier replay or nothing, found something else.")
        shutil.rmtree(folder)
    make_home(folder)
    (folder / MARK).touch()
    for name in ("KEEPFIT_STORE_URL", "KEEPFIT_DATABASE_URL", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        os.environ.pop(name, None)
    os.environ["KEEPFIT_HOME"] = str(folder)
    for once in (load_settings, open_workspace):
        once.cache_clear()


def _line(*cells: str) -> str:
    widths = (10, 8, 12, 8, 9, 8, 13)
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)) + cells[-1]


def _show(window: ReplayedWindow) -> Text:
    figures = (f"{window.frozen:.3f}", f"{window.kept_fit:.3f}", f"{window.always:.3f}")
    text = _line(window.window.name, f"{window.rows:,}", window.status, *figures, window.champion, window.action)
    return Text(text, style=STYLES[window.status] if window.status != "FINE" else "")


def summarise(done: Replay) -> list[str]:
    """Return what the whole replay came to."""
    seen = done.windows
    mean = {name: sum(getattr(each, name) for each in seen) / len(seen) for name in ("frozen", "kept_fit", "always")}
    better = -1 if seen[0].direction == "lower" else 1
    worst = min(seen, key=lambda each: better * (each.kept_fit - each.frozen))
    trained, released = sum(each.trained for each in seen), sum(each.released for each in seen)
    undone = [each.taken_back for each in seen if each.taken_back]
    told = f", taken back {len(undone)} ({', '.join(undone)})" if undone else ""
    return [
        f"{done.project}: mean {seen[0].metric} of {len(seen)} windows: kept fit {mean['kept_fit']:.3f}, "
        f"frozen {mean['frozen']:.3f} ({mean['kept_fit'] - mean['frozen']:+.3f}), always retrained {mean['always']:.3f}.",
        f"  trained   {trained} times, released {released}{told}; always retrained: {len(seen) - 1} times",
        f"  worst     {worst.window.name}: kept fit {worst.kept_fit - worst.frozen:+.3f} against frozen",
    ]


def switch_breaker(project: str, why: str, *, close: bool, as_json: bool) -> None:
    """Show the breaker, or close it: alarms may retrain again.

    Raises
    ------
    UsageError
        It is closed already, or no reason is given.
    """
    load_project(load_settings().projects, project)
    registry = open_workspace().registry
    move = registry.breaker(project)
    if close:
        if move is None or move.state != "open":
            raise UsageError(f"{project}: the breaker is closed: alarms may retrain.")
        if not why.strip():
            raise UsageError("--why: expected the reason, for whoever reads the history; received none.")
        move = registry.move_breaker(
            project, "closed", why=why.strip(), actor=actor_name(), evidence={}, expected_seq=move.seq
        )
    if as_json:
        print(json.dumps({"project": project, "breaker": move and json.loads(move.model_dump_json())}, indent=2))
    elif move is None:
        console.print(f"{project}: the breaker is closed; it never opened.")
    else:
        console.print(f"{project}: the breaker is {move.state} since {move.at:%Y-%m-%d %H:%M} UTC, by {move.actor}.")
        console.print(f"  why       {move.why}", soft_wrap=True)
        if move.state == "open":
            console.print(f"  again     keepfit breaker {project} --close --why …")

"""Answers as tables on a terminal."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.settings import load_settings
from infra.workspace import open_workspace
from tasks.contracts.evaluation import EvaluationReport, GateCheck, MetricValue, Verdict
from tasks.contracts.models import FitReport
from tasks.contracts.release import RunOutcome

COLOURS = {"PROMOTE": "green", "HOLD": "yellow", "REJECT": "red"}
MARKS = {"pass": ("✓ pass", "green"), "inconclusive": ("? inconclusive", "yellow"), "fail": ("✗ fail", "red")}

console = Console()


def print_outcome(outcome: RunOutcome) -> None:
    """Print what a run came to: the verdict as a table, the figures, and where to look next."""
    console.print()
    print_verdict(outcome.project, outcome.verdict)
    console.print(figures_table(outcome.evaluation, outcome.fit))
    console.print(Text(_closing(outcome), style="bold"))
    for line in _next_lines(outcome):
        console.print(Text(f"  {line}"), soft_wrap=True)
    console.print()


def print_verdict(title: str, verdict: Verdict) -> None:
    """Print a verdict: its sentence, then each check with all that one needs to judge it."""
    headline = Text.assemble(
        (f" {verdict.decision} ", f"bold white on {COLOURS[verdict.decision]}"),
        " ",
        (title, "bold"),
        "  ",
        verdict.summary,
    )
    console.print(headline)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, justify in CHECK_COLUMNS:
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # rich's literal
    for check in verdict.checks:
        table.add_row(*_check_row(check))
    console.print(table)


CHECK_COLUMNS = (
    ("check", "left"),
    ("candidate", "right"),
    ("against", "right"),
    ("difference", "right"),
    ("interval", "right"),
    ("n", "right"),
    ("result", "left"),
)


def _check_row(check: GateCheck) -> tuple[str | Text, ...]:
    mark, colour = MARKS[check.status]
    result = Text.assemble((mark, colour), f"  {check.detail}" if check.detail else "")
    interval = "" if check.low is None or check.high is None else f"[{check.low:+.3f}, {check.high:+.3f}]"
    difference = "" if check.difference is None else f"{check.difference:+.4f}"
    rows = str(check.n) if check.n else ""
    return (check.name, number(check.candidate), number(check.champion), difference, Text(interval), rows, result)


def figures_table(evaluation: EvaluationReport, fit: FitReport) -> Table:
    """Return the figures beside the verdict: test rows, baseline, champion, selection."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Figures", title_justify="left", title_style="bold")
    table.add_column("on")
    table.add_column("of")
    for metric in evaluation.metrics:
        table.add_column(metric.metric, justify="right")
    rows = [(f"{fit.chosen.candidate} (chosen)", evaluation.metrics), *evaluation.beside.items()]
    rows += [("champion", evaluation.champion)] if evaluation.champion else []
    rows += [("dummy baseline", evaluation.baseline)]
    for place, (label, metrics) in enumerate(rows):
        where = f"{evaluation.metrics[0].n} test rows" if place == 0 else ""
        table.add_row(where, label, *(Text(interval(metric)) for metric in metrics))
    for place, score in enumerate(fit.selection):
        where = f"training rows, {len(score.scores)} folds" if place == 0 else ""
        label = f"{score.candidate}{' ← chosen' if score.chosen else ''}"
        table.add_row(where, label, f"{score.metric} {score.mean:.3f} ± {score.std:.3f}", end_section=False)
    primary = evaluation.metrics[0]
    table.add_row("smallest difference", f"{primary.n} rows can show", f"{evaluation.smallest_detectable:.3f}")
    return table


def interval(metric: MetricValue) -> str:
    """Return a value with its interval, or the bare value where there is none."""
    return f"{metric.value:.3f} [{metric.low:.3f}, {metric.high:.3f}]"


def number(value: float | None) -> str:
    """Return a figure for a table; nothing for None."""
    return "" if value is None else f"{value:.4g}"


def rows_table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    """Return a plain table."""
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    return table


def save_report(label: str, page: bytes) -> Path:
    """Write a version's page where a browser can open it, and return the path."""
    folder = load_settings().home / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{label}.html"
    path.write_bytes(page)
    return path


def _closing(outcome: RunOutcome) -> str:
    said = {
        "released": f"{outcome.version} is the champion.",
        "held": f"{outcome.version} is kept with its evidence; {outcome.champion or 'nobody'} stays champion.",
        "rejected": f"{outcome.version} is kept with its evidence; {outcome.champion or 'nobody'} stays champion.",
        "unchanged": f"Nothing new: this is {outcome.champion} again, to the byte.",
        "dry_run": "A dry run: nothing was registered or released.",
    }
    return f"{said[outcome.status]}  ({outcome.seconds:.1f} s)"


def _next_lines(outcome: RunOutcome) -> list[str]:
    label = outcome.version or outcome.champion
    lines = [f"next      {outcome.verdict.next_step}"]
    if outcome.report and outcome.version:
        page = save_report(outcome.version, open_workspace().store.read(outcome.report))
        lines.append(f"report    {page}")
    if label:
        lines.append(
            f"evidence  keepfit show {label}   ·   keepfit lineage {label}   ·   keepfit history {outcome.project}"
        )
        lines.append(f"use it    keepfit predict {outcome.project} FILE.csv")
    return lines

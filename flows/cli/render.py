"""Answers as tables on a terminal."""

import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.errors import KeepfitError
from infra.figures import LARGE, tell
from infra.settings import load_settings
from infra.workspace import open_workspace
from tasks.contracts.evaluation import EvaluationReport, GateCheck, GroupRates, MetricValue, Rate, Verdict
from tasks.contracts.models import FitReport
from tasks.contracts.release import RunOutcome
from tasks.contracts.tuning import TunedCandidate

COLOURS = {"PROMOTE": "green", "HOLD": "yellow", "REJECT": "red"}
MARKS = {"pass": ("✓", "green"), "inconclusive": ("?", "yellow"), "fail": ("✗", "red")}

console = Console(markup=False, highlight=False)
"""What people and data wrote is text: `[x]` in a reason or a path is no style."""


def print_outcome(outcome: RunOutcome) -> None:
    """Print what a run came to: the verdict as a table, the figures, and where to look next."""
    console.print()
    print_verdict(outcome.project, outcome.verdict)
    print_figures(outcome.evaluation, outcome.fit)
    console.print()
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
    table = _plain_table()
    for name in CHECK_COLUMNS:
        table.add_column(name, justify="left" if name in ("", "check") else "right", no_wrap=name != "check")
    for check in verdict.checks:
        table.add_row(*_check_row(check))
    console.print(table)
    for check in verdict.checks:
        if check.status != "pass":
            console.print(Text.assemble(MARKS[check.status], f" {check.name}: {check.detail}"))


CHECK_COLUMNS = ("", "check", "candidate", "against", "difference", "interval", "n")


def _check_row(check: GateCheck) -> tuple[str | Text, ...]:
    between = (
        ""
        if check.low is None or check.high is None
        else f"[{tell(check.low, 3, sign=True, beside=[check.high])}, {tell(check.high, 3, sign=True, beside=[check.low])}]"
    )
    difference = "" if check.difference is None else tell(check.difference, 3, sign=True)
    rows = f"{check.n:,}" if check.n else ""
    figures = (number(check.candidate), number(check.champion), difference, Text(between), rows)
    return (Text.assemble(MARKS[check.status]), check.name, *figures)


def print_figures(evaluation: EvaluationReport, fit: FitReport) -> None:
    """Print the figures beside the verdict: on the test rows, and how the candidate was chosen."""
    primary = evaluation.metrics[0]
    on_test = _plain_table()
    on_test.add_column(f"on {primary.n:,} test rows", no_wrap=True)
    for metric in evaluation.metrics:
        on_test.add_column(metric.metric, justify="right", no_wrap=True)
    rows = [(f"{fit.chosen.candidate} (chosen)", evaluation.metrics), *evaluation.beside.items()]
    rows += [("champion", evaluation.champion)] if evaluation.champion else []
    for label, metrics in [*rows, ("dummy baseline", evaluation.baseline)]:
        on_test.add_row(label, *(Text(interval(metric)) for metric in metrics))
    console.print(on_test)
    for note in evaluation.notes:
        console.print(Text(note, style="yellow" if note.startswith("Look:") else ""))
    if evaluation.groups:
        console.print(_groups_table(evaluation.groups))
    print_tuned(fit.tuned)
    console.print(_selection_table(fit))
    console.print(
        f"{primary.n:,} test rows can show a difference of {primary.metric} from about "
        f"{evaluation.smallest_detectable:.2g} on (power 0.8)."
    )


def print_tuned(tuned: Iterable[TunedCandidate]) -> None:
    """Print what was found for the candidates that were searched, and why, in words."""
    for one in tuned:
        console.print(Text.assemble((one.candidate, "bold"), f" was tuned in {one.trials} trials by {one.method}"))
        for said in one.reasons.values():
            console.print(Text(f"  {said}", style="dim"), soft_wrap=True)


def _groups_table(groups: Iterable[GroupRates]) -> Table:
    table = _plain_table()
    table.add_column("answered positive", overflow="fold")
    for name in ("n", "of all", "of the positive", "of the others"):
        table.add_column(name, justify="right", no_wrap=True)
    for group in groups:
        rates = (group.selection, group.true_positive, group.false_positive)
        table.add_row(group.slice, f"{group.n:,}", *(Text(_rate(rate)) for rate in rates))
    return table


def _rate(rate: Rate) -> str:
    if math.isnan(rate.value):
        return "–"
    between = "" if math.isnan(rate.low) else f" [{100 * rate.low:.0f}, {100 * rate.high:.0f}]"
    return f"{rate.value:.1%}{between}"


def _selection_table(fit: FitReport) -> Table:
    first = fit.selection[0]
    folds = f"{len(first.scores)} folds" if len(first.scores) > 1 else "one holdout"
    table = _plain_table()
    table.add_column(f"on training rows, {folds}", no_wrap=True)
    table.add_column(first.metric, justify="right", no_wrap=True)
    table.add_column("why")
    for score in fit.selection:
        spread = f" ± {tell(score.std, 3)}" if len(score.scores) > 1 else ""
        name = Text(score.candidate, style="bold" if score.chosen else "")
        beside = f" {score.difference.detail}" if score.difference else ""
        table.add_row(name, f"{tell(score.mean, 3)}{spread}", f"{score.reason}{beside}")
    return table


def interval(metric: MetricValue) -> str:
    """Return a value with its interval, or the bare value where there is none."""
    three = (metric.value, metric.low, metric.high)
    value, low, high = (tell(one, 3 if at == 0 else 2, beside=three) for at, one in enumerate(three))
    return f"{value} [{low}, {high}]"


def number(value: float | None) -> str:
    """Return a figure for a table; nothing for None."""
    return "" if value is None else f"{value:,.0f}" if abs(value) >= LARGE else f"{value:.4g}"


def rows_table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    """Return a plain table; no cell is cut, and the first of a row is never folded: it is its name."""
    table = _plain_table()
    for number, name in enumerate(columns):
        table.add_column(name, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    return table


def _plain_table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)


def fail_after_answer(error: KeepfitError, *, as_json: bool) -> NoReturn:
    """End with the error's exit code; the JSON that is printed stays the only one on standard output.

    Raises
    ------
    KeepfitError
        Where people read: the error itself.
    """
    if not as_json:
        raise error
    sys.stderr.write(f"keepfit: {error.message}\n")
    raise typer.Exit(error.exit_code)


def save_report(label: str, page: bytes) -> Path:
    """Write a version's page where a browser can open it, and return the path."""
    folder = load_settings().home / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{label}.html"
    path.write_bytes(page)
    return path


def _closing(outcome: RunOutcome) -> str:
    stays = f"{outcome.champion} stays champion" if outcome.champion else "there is no champion yet"
    said = {
        "released": f"{outcome.version} is the champion.",
        "waiting": f"{outcome.version} may go and waits for your approval; {stays}.",
        "held": f"{outcome.version} is kept with its evidence; {stays}.",
        "rejected": f"{outcome.version} is kept with its evidence; {stays}.",
        "unchanged": f"Nothing new: this is the same model as {outcome.champion}.",
        "dry_run": "A dry run: nothing was registered or released.",
    }
    return f"{said[outcome.status]}  ({outcome.seconds:.1f} s)"


def _next_lines(outcome: RunOutcome) -> list[str]:
    if outcome.status == "dry_run":
        released = outcome.decision == "PROMOTE"
        step = f"keepfit run {outcome.project}   registers and releases it" if released else outcome.verdict.next_step
        return [f"next      {step}"]
    label = outcome.version or outcome.champion
    lines = [f"next      {outcome.verdict.next_step}"] if outcome.decision != "PROMOTE" else []
    if outcome.status == "waiting":
        lines = [f"decide    keepfit approve {label} --why …   ·   keepfit approve {label} --refuse --why …"]
    if outcome.report and outcome.version:
        page = save_report(outcome.version, open_workspace().store.read(outcome.report))
        lines.append(f"report    {page}")
    if label:
        lines.append(
            f"evidence  keepfit show {label}   ·   keepfit lineage {label}   ·   keepfit history {outcome.project}"
        )
    if outcome.champion:
        lines.append(f"use it    keepfit predict {outcome.project} FILE.csv")
    return lines

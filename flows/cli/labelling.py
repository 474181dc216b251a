"""`keepfit label-queue` and `keepfit label-issues`: files for people, and what stands in them as a table."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from flows.cli.progress import showing_progress
from flows.cli.render import console, rows_table
from flows.cli.server import prepare_environment
from flows.label_issues import find_label_issues
from flows.label_queue import QueueRequest, queue_labels
from infra.errors import UsageError
from infra.settings import load_settings
from infra.suggestion import suggest
from tasks.contracts.labelling import Disagreement, IssuesOutcome, QueueBy, QueueOutcome, Uncertainty

SHOWN_ROWS = 10
CHOICES = {"by": get_args(QueueBy), "uncertainty": get_args(Uncertainty), "disagreement": get_args(Disagreement)}


def write_queue(asked: Mapping[str, Any], output: Path | None, *, as_json: bool) -> None:
    """Write the file to fill in, and print its first rows.

    Parameters
    ----------
    asked
        The fields of `QueueRequest`.

    Raises
    ------
    UsageError
        An option is misspelt, or a file lies where one would be written; and as `flows.label_queue.queue_labels`.
    """
    prepare_environment(load_settings())
    for option, choices in CHOICES.items():
        if asked[option] not in choices:
            raise UsageError(
                f"--{option}: expected {' or '.join(choices)}, received {asked[option]!r}.{suggest(asked[option], choices)}"
            )
    target = _free_place(output or Path(f"{asked['project']}.to-label.csv"))
    pictures = _free_place(target.with_name(f"{target.stem}.pictures"))
    with showing_progress(quiet=as_json):
        outcome, sheet = queue_labels(QueueRequest(**asked, pictures=pictures.name))
    outcome = outcome.model_copy(update={"output": str(target)})
    if sheet.pictures:
        pictures.mkdir()
        for name, content in sheet.pictures.items():
            (pictures / name).write_bytes(content)
    _write(target, sheet.text)
    if as_json:
        print(outcome.model_dump_json(indent=2))
    else:
        _print_queue(outcome)


def _print_queue(outcome: QueueOutcome) -> None:
    drawn = sum(row.picked == "random" for row in outcome.rows)
    console.print(
        f"{outcome.project}: {len(outcome.rows):,} of {outcome.unlabelled:,} unlabelled rows to label, "
        f"{drawn:,} of them drawn at random: {outcome.output}",
        style="bold",
        soft_wrap=True,
    )
    rows = [
        (row.row, row.window, row.picked, f"{row.uncertainty:.3f}", _share(row.disagreement))
        for row in outcome.rows[:SHOWN_ROWS]
    ]
    console.print(rows_table(("row", "window", "picked by", "uncertainty", "disagreement"), rows))
    if len(outcome.rows) > SHOWN_ROWS:
        console.print(f"and {len(outcome.rows) - SHOWN_ROWS:,} more")
    console.print(f"  asked     {', '.join(outcome.committee)}", soft_wrap=True)
    for note in outcome.notes:
        console.print(f"  ! {note}", soft_wrap=True)
    console.print(
        f"  next      fill in the labels, then: keepfit labels {outcome.project} {outcome.output}", soft_wrap=True
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def write_issues(
    project: str, as_of: datetime | None, output: Path | None, *, trial: bool, seed: int, as_json: bool
) -> None:
    """Write the list of labels that are likely wrong, and print its first rows.

    Raises
    ------
    UsageError
        A file lies where one would be written; and as `flows.label_issues.find_label_issues`.
    """
    prepare_environment(load_settings())
    target = _free_place(output or Path(f"{project}.label-issues.csv"))
    with showing_progress(quiet=as_json):
        outcome, sheet = find_label_issues(project, as_of, trial=trial, seed=seed)
    outcome = outcome.model_copy(update={"output": str(target)})
    _write(target, sheet)
    if as_json:
        print(outcome.model_dump_json(indent=2))
    else:
        _print_issues(outcome)


def _print_issues(outcome: IssuesOutcome) -> None:
    console.print(
        f"{outcome.project}: {len(outcome.issues):,} of {outcome.judged_rows:,} labels are likely wrong: {outcome.output}",
        style="bold",
        soft_wrap=True,
    )
    rows = [(one.row, one.given, one.likely, f"{one.score:.4f}") for one in outcome.issues[:SHOWN_ROWS]]
    if rows:
        console.print(rows_table(("row", "given", "likely", "score"), rows))
    if len(outcome.issues) > SHOWN_ROWS:
        console.print(f"and {len(outcome.issues) - SHOWN_ROWS:,} more")
    console.print(
        f"  recipe    {outcome.candidate} of {outcome.version}, fitted without the rows it judges", soft_wrap=True
    )
    if outcome.judged_rows < outcome.training_rows:
        console.print(
            f"  ! {outcome.training_rows - outcome.judged_rows:,} of {outcome.training_rows:,} training rows are in no "
            "fold that judges: the project's folds go by time.",
            soft_wrap=True,
        )
    console.print(f"  expect    {outcome.expectation}", soft_wrap=True)
    console.print("  next      look at the rows, and mend the source: nothing was changed")


def _free_place(target: Path) -> Path:
    """Return the path where nothing lies yet: somebody may have filled in what lies there."""
    if not target.parent.is_dir() or target.exists():
        found = "one that is there already" if target.exists() else "no folder to write it in"
        raise UsageError(
            f"--output: expected the path of a new file, found {found}: {target}.",
            remedy="Name another place: what lies there may hold labels that somebody filled in.",
        )
    return target


def _write(target: Path, sheet: str) -> None:
    try:
        with target.open(
            "x", encoding="utf-8-sig", newline=""
        ) as file:  # with the mark that spreadsheets know UTF-8 by
            file.write(sheet)
    except OSError as error:
        raise UsageError(
            f"{target}: cannot be written: {error.strerror}.", remedy="Name another place with --output."
        ) from error

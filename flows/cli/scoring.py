"""`keepfit score` and `keepfit labels`: a window's predictions kept as one batch, and its truth as it arrives."""

from datetime import datetime
from pathlib import Path

from flows.batches import score_batch
from flows.cli.progress import showing_progress
from flows.cli.render import console, rows_table
from flows.cli.server import prepare_environment
from flows.labels import deliver_labels
from infra.errors import UsageError
from infra.settings import load_settings
from tasks.contracts.scoring import BatchOutcome, LabelsOutcome

SHOWN_REASONS = 5


def score_window(project: str, window: str, file: Path | None, as_of: datetime | None, *, as_json: bool) -> None:
    """Score the window and print what became of its rows.

    Raises
    ------
    UsageError
        No window is named; and as `flows.batches.score_batch`.
    DataError
        The rows cannot be scored.
    """
    prepare_environment(load_settings())
    if not window:
        raise UsageError(
            "--window: expected the window whose rows are scored, received none.",
            remedy=f"For example: keepfit score {project} --window 2013-07.",
        )
    with showing_progress(quiet=as_json):
        outcome = score_batch(project, window, file, as_of)
    if as_json:
        print(outcome.model_dump_json(indent=2))
    else:
        _print_batch(outcome)


def _print_batch(outcome: BatchOutcome) -> None:
    aside = f", {outcome.quarantined_rows:,} set aside" if outcome.quarantined_rows else ""
    head = f"{outcome.label}: {outcome.rows:,} rows scored by {outcome.version}{aside}."
    if outcome.status == "known":
        head += f" That was so already: scored {outcome.scored_at:%Y-%m-%d %H:%M} UTC, one batch."
    console.print(head, style="bold", soft_wrap=True)
    for reason, rows in list(outcome.reasons.items())[:SHOWN_REASONS]:
        console.print(f"  set aside {rows:>7,}  {reason}", soft_wrap=True)
    if len(outcome.reasons) > SHOWN_REASONS:
        console.print(f"            and for {len(outcome.reasons) - SHOWN_REASONS} reasons more")
    console.print(f"  snapshot  {outcome.snapshot}")
    console.print(
        f"  next      keepfit labels {outcome.project} FILE   ·   keepfit trace {outcome.label}/ROW", soft_wrap=True
    )


def take_labels(project: str, file: Path | None, window: str, as_of: datetime | None, *, as_json: bool) -> None:
    """Take in the labels and print how much of each window has matured.

    Raises
    ------
    UsageError, DataError
        As `flows.labels.deliver_labels`.
    """
    prepare_environment(load_settings())
    with showing_progress(quiet=as_json):
        outcome = deliver_labels(project, file, window or None, as_of)
    if as_json:
        print(outcome.model_dump_json(indent=2))
    else:
        _print_labels(outcome)


def _print_labels(outcome: LabelsOutcome) -> None:
    counts = {
        "known already": outcome.known,
        "without a truth yet": outcome.without_truth,
        "said twice": outcome.repeated,
        "corrections": outcome.corrections,
    }
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    head = f"{outcome.project}: {outcome.received:,} labels received, {outcome.kept:,} of them new"
    console.print(
        f"{head}{f' ({told})' if told else ''}, known at {outcome.known_at:%Y-%m-%d %H:%M} UTC.", soft_wrap=True
    )
    if outcome.unknown:
        more = (
            f" and {outcome.unknown - len(outcome.unknown_ids):,} more"
            if outcome.unknown > len(outcome.unknown_ids)
            else ""
        )
        console.print(
            f"  ! {outcome.unknown:,} are of rows that were not scored: {', '.join(outcome.unknown_ids)}{more}. "
            "They are kept, and count once their window is scored.",
            soft_wrap=True,
        )
    if not outcome.windows:
        console.print(f"No window was scored yet: keepfit score {outcome.project} --window NAME", soft_wrap=True)
        return
    rows = [
        (one.window, f"{one.arrived:,}" if one.arrived else "", _say_matured(one.matured, one.due, one.scored))
        for one in outcome.windows
    ]
    console.print(rows_table(("window", "new labels", f"as of {outcome.known_at:%Y-%m-%d %H:%M} UTC"), rows))


def _say_matured(matured: int, due: int, scored: int) -> str:
    return f"matured {matured:,} of {due:,} due (of {scored:,} scored)"

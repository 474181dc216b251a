"""Commands that watch a model in use: scoring a window, its labels, where a prediction came from."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import AsJson, Project, Why, Window, parse_time


def score(
    project: Project,
    file: Annotated[
        Path | None,
        typer.Argument(
            help="CSV or Parquet file with the window's rows; left out: the project's monitoring.rows function gives them.",
            show_default=False,
        ),
    ] = None,
    window: Window = "",
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Rows as known at this time (ISO 8601; UTC unless it says otherwise).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let the champion answer the rows of a window and keep them as one batch: what monitoring looks at.

    Rows that break the contract are set aside with their reasons, and the whole batch where too many do. The same window
    twice is one batch. Each prediction has an id, PROJECT/WINDOW/ROW: keepfit trace tells what made it.
    """
    from flows.cli.scoring import score_window

    score_window(project, window, file, parse_time(as_of, "--as-of"), as_json=as_json)


def labels(
    project: Project,
    file: Annotated[
        Path | None,
        typer.Argument(help="CSV or Parquet file with the row id and the target of each row.", show_default=False),
    ] = None,
    window: Annotated[
        str,
        typer.Option(
            "--window",
            help="Instead of a file: the labels of this window by monitoring.labels.function.",
            show_default=False,
        ),
    ] = "",
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="When these labels were known (ISO 8601; UTC); default now.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take in labels as they arrive, late, out of order or again; tell how much of each window they matured.

    A correction is a later delivery: of two labels of a row the one known later counts. No decision as of an earlier time
    sees it.
    """
    from flows.cli.scoring import take_labels

    take_labels(project, file, window, parse_time(as_of, "--as-of"), as_json=as_json)


def monitor(
    project: Project,
    window: Window = "",
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", help="What is known at this time (ISO 8601; UTC unless it says otherwise); default now."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Watch the model in use on one window: its data, its drift, its figures on matured labels; one verdict.

    FINE, WATCH, RETRAIN, BROKEN DATA or UNKNOWN, each with its reasons and the next step. Without --window: the newest that
    has ended, and the earlier ones whose labels have all come due since. On a server with the automations of prefect.yaml, RETRAIN starts the retraining by itself.
    """
    from flows.cli.monitoring import monitor_window

    monitor_window(project, window, parse_time(as_of, "--as-of"), as_json=as_json)


def replay(
    project: Project,
    start: Annotated[
        str, typer.Option("--from", help="Begin of the first window, e.g. 2013-03-01.", show_default=False)
    ],
    end: Annotated[str, typer.Option("--to", help="End of the last window, e.g. 2014-01-01.", show_default=False)],
    picture: Annotated[Path, typer.Option("--picture", help="Where the picture goes.")] = Path("replay.png"),
    as_json: AsJson = False,
) -> None:
    """Live through a past period window by window: what would the loop have seen, retrained and released?

    In a workspace of its own, so that what is in use stays as it is. Each decision sees what was known at that time. Beside
    the model that the loop keeps fit stand the first one, frozen, and one that is retrained after each window.
    """
    from flows.cli.monitoring import replay_project

    first, last = parse_time(start, "--from"), parse_time(end, "--to")
    if first and last:
        replay_project(project, first, last, picture, as_json=as_json)


def breaker(
    project: Project,
    close: Annotated[bool, typer.Option("--close", help="Let alarms retrain again.")] = False,
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Show whether alarms may retrain; after too many gates without a promotion the breaker opens, and a person is asked."""
    from flows.cli.monitoring import switch_breaker

    switch_breaker(project, why, close=close, as_json=as_json)


def trace(
    prediction: Annotated[
        str,
        typer.Argument(
            metavar="PREDICTION_ID", help="PROJECT/WINDOW/ROW, e.g. flights/2013-07/EWR-1545.", show_default=False
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show what produced one prediction: its batch, version, gates, release, snapshot, code and lock."""
    from flows.cli.tracing import show_trace

    show_trace(prediction, as_json=as_json)

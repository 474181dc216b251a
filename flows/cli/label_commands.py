"""Commands about labels that are not there yet, or that are likely wrong."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import AsJson, Project, parse_time


def label_queue(  # noqa: PLR0917 - typer reads options from the signature
    project: Project,
    window: Annotated[
        str, typer.Option("--window", help="Rows of this scored window; left out: of all.", show_default=False)
    ] = "",
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Rows of this CSV or Parquet file instead of scored ones.", show_default=False),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many rows to label.")] = 50,
    by: Annotated[str, typer.Option("--by", help="uncertainty, disagreement or both.")] = "both",
    measure: Annotated[
        str, typer.Option("--uncertainty", help="How unsure the champion is: margin, entropy or least_confidence.")
    ] = "margin",
    committee: Annotated[
        str,
        typer.Option(
            "--disagreement", help="How far models differ: divergence (Jensen-Shannon) or votes (their entropy)."
        ),
    ] = "divergence",
    random_share: Annotated[
        float,
        typer.Option(
            "--random-share", min=0.0, max=1.0, help="Share of the rows drawn at random, whatever models think."
        ),
    ] = 0.2,
    columns: Annotated[
        str,
        typer.Option("--columns", help="What people see of a row: a,b; left out: all features.", show_default=False),
    ] = "",
    show_answers: Annotated[
        bool, typer.Option("--show-answers", help="Show the champion's answers; they lead whoever labels.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the draws: the same rows and seed give the same file.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write; default PROJECT.to-label.csv.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the unlabelled rows most worth a label as a CSV file that people fill in and keepfit labels takes back.

    Worth most: where the champion is unsure, and where it and the models beside and before it differ. No row twice; a share
    is drawn at random, so that what gets labelled is not hard cases only. The order does not tell which is which.
    """
    from flows.cli.labelling import write_queue

    shown = tuple(name.strip() for name in columns.split(",") if name.strip())
    asked = {"by": by, "uncertainty": measure, "disagreement": committee}
    chosen = {"rows": rows, "random_share": random_share, "seed": seed, "show_answers": show_answers}
    write_queue(
        {"project": project, "window": window, "file": file, "columns": shown, **asked, **chosen},
        output,
        as_json=as_json,
    )


def label_issues(  # noqa: PLR0917 - typer reads options from the signature
    project: Project,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="The training rows of the champion of this time (ISO 8601; UTC); default now."),
    ] = None,
    trial: Annotated[
        bool, typer.Option("--trial/--no-trial", help="Flip some labels in a copy and tell how many of them are found.")
    ] = True,
    seed: Annotated[int, typer.Option("--seed", help="Of the flipped labels.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write; default PROJECT.label-issues.csv.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the training rows whose labels are likely wrong, the worst first, and say how many to expect to be right.

    By confident learning on answers of models that were not fitted on the row: the champion's recipe on the project's own
    folds. Nothing is changed: a person looks at the rows, and mends the source.
    """
    from flows.cli.labelling import write_issues

    write_issues(project, parse_time(as_of, "--as-of"), output, trial=trial, seed=seed, as_json=as_json)

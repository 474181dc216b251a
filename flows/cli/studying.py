"""`keepfit study`: its arguments. What it does is imported when it is called."""

from typing import Annotated

import typer

from flows.cli.options import AsJson, Project, parse_time


def study(
    project: Project,
    candidate: Annotated[
        list[str] | None,
        typer.Option(
            "--candidate",
            help="Only this one; may be given several times. Default all: only then can each be told apart from the others.",
            show_default=False,
        ),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Data as known at this time (ISO 8601; UTC unless it says otherwise).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find out what the candidates suffer from: bias, variance, too few rows, or luck. Changes nothing.

    Everything is measured on folds of the training rows; no test row is read. While it runs, no retraining of the project begins.

    [bold]Learning curve[/bold]: each candidate at growing numbers of rows. Training far above validation: over-fitted
    (variance), it knows its own rows by heart. Both low and close together: too simple (bias). Validation still rising at the
    end: more data would help. Flat: it will not.

    [bold]Validation curve[/bold]: one parameter over its values (study.validation_curve in project.yaml).

    [bold]Luck[/bold]: the same candidate with other seeds, and on other rows. What is smaller than that is no difference.

    [bold]Told apart or not[/bold]: each candidate beside the best over the same folds, by a test that knows that the folds share
    their rows (Nadeau and Bengio 2003). "Not told apart" is an answer: take the simplest.

    [bold]Nested[/bold] (study.nested: true): what the whole selection is worth, where many candidates were tried.

    Fits each candidate some 70 times, most of them on few rows, a network 11 times: section `study` of project.yaml says how often.
    """
    from flows.cli.diagnosing import study_project

    study_project(project, candidate or [], parse_time(as_of, "--as-of"), as_json=as_json)

"""Arguments and options that several commands take, and what their texts mean."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from infra.errors import UsageError

Project = Annotated[str, typer.Argument(help="Name of a folder under projects/.", show_default=False)]
Version = Annotated[str, typer.Argument(help="A version, e.g. iris@7.", show_default=False)]
Window = Annotated[
    str,
    typer.Option(
        "--window", help="2013-07 (month), 2013-W28 (ISO week) or 2013-07-14 (day), in UTC.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Why = Annotated[str, typer.Option("--why", help="The reason; kept for ever.", show_default=False)]


def parse_time(text: str | None, option: str) -> datetime | None:
    """Return the time that an option names, in UTC."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option}: expected a time such as 2013-07-01 or 2013-07-01T06:00, received {text!r}."
        ) from None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)

"""Values that several sections of project.yaml take: names, references to functions, shares."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints


def say_pattern(phrase: str) -> Any:
    """What a pattern means in words: for editors and for our own messages."""
    return Field(json_schema_extra={"patternErrorMessage": phrase})


Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$"),
    say_pattern("a name: a lower-case letter, then up to 62 of a-z, 0-9, - and _"),
]
"""A name that is safe in a path, a URL and a table."""

Reference = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z_][a-z0-9_]*:[A-Za-z_][A-Za-z0-9_]*$"),
    say_pattern("`module:function`, such as data:read for the function `read` in data.py"),
]
"""`module:function` in the project's own folder."""

Variable = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    say_pattern("the name of an environment variable, such as SALES_DATABASE_URL"),
]

Duration = Annotated[
    str,
    StringConstraints(pattern=r"^[1-9][0-9]{0,5}(min|h|d|w)$"),
    say_pattern("a length of time, such as 30min, 12h, 1d or 2w"),
]

Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]
Span = Positive | Duration
"""A stretch of rows that are in order: so many rows, or those of so long a time."""


JOINED_BY = "+"
"""Between the labels of a set where it is written as text."""
NO_LABEL = "none"
"""The set without a label."""
NO_LABELS = (NO_LABEL, "row_id", "time", "truth", "due", "matured", "prediction", "version", "reasons")
"""Names that labels cannot have: others stand beside them where answers are kept."""


def one_of_keys(*keys: str) -> ConfigDict:
    """Say in the JSON Schema too that exactly one of these keys is given."""
    return ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in keys]})

"""What the forms of the Prefect UI say of each field, and which values they take."""

import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from infra.errors import UsageError
from infra.projects import list_projects
from infra.settings import Settings
from tasks.contracts.values import Name

Function = TypeVar("Function", bound=Callable[..., Any])


class ChosenFromProjects:
    """Lets a form offer the projects that are there when it is made; what a run takes is another check."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        # Not load_settings: it remembers what it read, and flows are imported before tests set the environment.
        root = os.environ.get("KEEPFIT_PROJECTS", str(Settings.model_fields["projects"].default))
        try:
            names = [folder.name for folder in list_projects(Path(root))]
        except UsageError:  # a worker elsewhere: its run says so
            names = []
        return {**schema, "enum": names} if names else schema


ProjectChoice = Annotated[Name, ChosenFromProjects()]
"""One of the projects; the form is a list to choose from."""

Label = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}@[1-9][0-9]{0,8}$")]
"""A version such as iris@7."""

AnyWindow = Annotated[str, StringConstraints(pattern=r"^([0-9]{4}-([0-9]{2}(-[0-9]{2})?|W[0-9]{2}))?$")]
"""A window such as 2013-07, 2013-W28 or 2013-07-14, or nothing: the newest that has ended."""

Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    Field(json_schema_extra={"pattern": r"\S"}),
]
"""Words for whoever reads the history; never empty."""

Person = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    Field(json_schema_extra={"pattern": r"\S"}),
]
"""Who acts: Prefect's server has one login for all, so the form has to ask."""


def explained(function: Function) -> Function:
    """Return the flow function with its parameters explained in the one docstring style that Prefect reads.

    Prefect fills the description of a form's field from the docstring, by a parser of Google's style alone, and drops
    what `Annotated[…, Field(description=…)]` says. Ours are in numpydoc: this rewrites their section of parameters.
    Goes below `@flow`.
    """
    head, _, rest = (inspect.getdoc(function) or "").partition("\n\nParameters\n----------\n")
    section = re.split(r"\n\n\w+\n-+\n", rest)[0]
    # A name stands at the margin, what it means below it and further in.
    parameters = re.findall(r"^(\w+)\n((?:[ ]+.*\n?)+)", section, flags=re.MULTILINE)
    lines = [f"    {name}: {' '.join(text.split())}" for name, text in parameters]
    function.__doc__ = "\n".join([head, "", "Args:", *lines])
    return function

"""A project's own metrics, for flows that have no run of their own: by the code that lies in its folder now."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from infra.projects import find_project, load_function
from infra.workspace import open_workspace
from tasks.contracts.project import ProjectSpec

if TYPE_CHECKING:
    from tasks.metrics.registry import Metric


def find_own_metrics(spec: ProjectSpec) -> "Mapping[str, Metric]":
    """Return them by name; where there are none, no code of the project is looked at.

    Raises
    ------
    SpecError
        A function is not there, or its module fails at import.
    """
    if not spec.evaluation.metrics:
        return {}
    from tasks.metrics.own import load_own  # noqa: PLC0415  brings numpy

    folder = find_project(open_workspace().settings.projects, spec.name)
    return load_own(spec.evaluation.metrics, partial(load_function, folder))

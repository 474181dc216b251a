"""Which projects there are: the folders below the root that hold a project.yaml."""

import re
from pathlib import Path
from typing import NamedTuple

from infra.errors import UsageError
from infra.suggestion import suggest

PROJECT_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
SPEC_FILE = "project.yaml"


class ProjectFolder(NamedTuple):
    """A project's name and its folder."""

    name: str
    path: Path

    @property
    def spec(self) -> Path:
        return self.path / SPEC_FILE


def list_projects(root: Path) -> list[ProjectFolder]:
    """Return the projects below `root`, by name; folders without a project.yaml are none."""
    if not root.is_dir():
        raise UsageError(
            f"Expected a folder of projects, found none at {root}.",
            remedy="Run in the repository's root, set KEEPFIT_PROJECTS, or make a project: keepfit new NAME.",
        )
    found = (ProjectFolder(path.name, path) for path in root.iterdir() if PROJECT_NAME.fullmatch(path.name))
    return sorted(folder for folder in found if folder.spec.is_file())


def find_project(root: Path, name: str) -> ProjectFolder:
    """Return the project of this name.

    Raises
    ------
    UsageError
        The name could not be one (a path, capitals), or no such project is there; names the nearest and all.
    """
    check_name(name)
    names = {folder.name: folder for folder in list_projects(root)}
    if name in names:
        return names[name]
    listed = ", ".join(names) or "none"
    incomplete = f" The folder is there, but holds no {SPEC_FILE}." if (root / name).is_dir() else ""
    raise UsageError(
        f"No project {name!r} in {root}.{incomplete}{suggest(name, names)} There are: {listed}.",
        remedy=f"keepfit projects lists them; keepfit new {name} makes it.",
    )


def check_name(name: str) -> None:
    """Refuse a name that is not safe in a path, a URL and a table."""
    if not PROJECT_NAME.fullmatch(name):
        raise UsageError(
            f"A project's name is a lower-case letter, then up to 62 of a-z, 0-9, - and _; received {name[:80]!r}.",
            remedy="keepfit projects lists the names.",
        )

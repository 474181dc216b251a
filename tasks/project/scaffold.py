"""`keepfit new NAME`: a project that works at once and is commented where one decides."""

import errno
import tempfile
from importlib.resources import files
from pathlib import Path

from infra.errors import UsageError
from infra.projects import check_name
from tasks.project.schema import write_schema

TEMPLATE_FILES = ("project.yaml", "data.py")
TEMPLATE_NAME = "my-project"
SCHEMA_NAME = "project.schema.json"


def create_project(root: Path, name: str) -> Path:
    """Return the folder of a new project below `root`; it appears whole or not at all.

    The JSON Schema is put beside it where none is yet, so that an editor completes the new project.yaml.

    Raises
    ------
    UsageError
        The name is taken or could not be one, or the folder cannot be written.
    """
    check_name(name)
    if root.exists() and not root.is_dir():
        raise UsageError(f"Expected a folder of projects at {root}, found a file.", remedy="Set KEEPFIT_PROJECTS.")
    folder = root / name
    if folder.exists() or folder.is_symlink():
        raise _taken(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not (root / SCHEMA_NAME).exists():
            (root / SCHEMA_NAME).write_text(write_schema(), encoding="utf-8")
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=root) as draft:
            _write_files(Path(draft) / name, name)
            (Path(draft) / name).rename(folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):  # somebody else was faster
            raise _taken(folder) from error
        raise UsageError(
            f"Cannot write {folder}: {error.strerror or error}.", remedy="Set KEEPFIT_PROJECTS."
        ) from error
    return folder


def _write_files(folder: Path, name: str) -> None:
    folder.mkdir()
    for file in TEMPLATE_FILES:
        text = files("tasks.project.template").joinpath(file).read_text(encoding="utf-8")
        (folder / file).write_text(text.replace(TEMPLATE_NAME, name), encoding="utf-8")


def _taken(folder: Path) -> UsageError:
    return UsageError(f"Expected a new name, but {folder} is there already.", remedy="Choose another name.")

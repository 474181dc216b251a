"""The source behind one function of a project: its module, and what that imports of the project."""

import ast
import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from infra.errors import SpecError


def digest_source(function: Callable[..., Any], reference: str) -> str:
    """Return the SHA-256 over the function's module and over every module of its folder that it imports, also at one remove.

    Other modules of the folder may change without changing it; packages from outside are the lock's business.

    Parameters
    ----------
    reference
        `module:function`, by which it was found.

    Raises
    ------
    SpecError
        The function was not written in that module.
    """
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    path = getattr(module, "__file__", None)
    name = reference.partition(":")[0]
    if module is None or path is None or module.__name__.rpartition(".")[2] != name:
        raise SpecError(
            f"{reference!r}: expected a function that {name}.py defines with `def`, received one of "
            f"{getattr(function, '__module__', None) or type(function).__name__}.",
            remedy="Define it there, so that its source can be told from another.",
        )
    return digest_module(Path(path), module.__package__ or "")


def digest_module(path: Path, package: str) -> str:
    """Return the SHA-256 over a module's file and over every module of its folder that it imports, without running any.

    Parameters
    ----------
    package
        The folder's name in absolute imports.
    """
    digest = hashlib.sha256()
    for part in sorted(_follow(path, path.parent, package)):
        for piece in (part.relative_to(path.parent).as_posix().encode(), part.read_bytes()):
            digest.update(len(piece).to_bytes(8, "big") + piece)
    return digest.hexdigest()


def _follow(start: Path, folder: Path, package: str) -> set[Path]:
    """Return the files below `folder` that `start` imports, itself included; `package` is the folder's name in imports."""
    found: set[Path] = set()
    pending = [start]
    while pending:
        path = pending.pop()
        if path not in found:
            found.add(path)
            inner = ".".join([package, *path.parent.relative_to(folder).parts])
            pending += [file for name in _imports(path, inner) for file in _files(name, folder, package)]
    return found


def _imports(path: Path, package: str) -> Iterator[str]:
    """Yield the full names of all modules that the file may import, functions among them."""
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _files(name: str, folder: Path, package: str) -> Iterator[Path]:
    """Yield the module's file where it lies below the folder, with those of the packages around it."""
    if not name.startswith(f"{package}."):
        return
    place = folder
    for step in name[len(package) + 1 :].split("."):
        place = place / step
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                yield file

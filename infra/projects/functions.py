"""A project's own Python: its functions by name, and the digest of its code.

The folder is loaded as the package `projects.<name>`, wherever it lies; nothing of keepfit imports it. Its modules
import one another relatively (`from . import network`). Byte code is neither read nor written: what runs is the
source that the digest names.
"""

import ast
import hashlib
import importlib
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from importlib.machinery import FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from infra.errors import SpecError
from infra.projects.folders import ProjectFolder
from infra.suggestion import suggest

_LOADING = threading.RLock()
_LISTED = 12


def digest_code(folder: ProjectFolder) -> str:
    """Return the SHA-256 over the project's own .py files: sorted names, lengths and contents."""
    digest = hashlib.sha256()
    for path in _list_sources(folder):
        for part in (path.relative_to(folder.path).as_posix().encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def load_function(folder: ProjectFolder, reference: str) -> Callable[..., Any]:
    """Return the function that `module:function` names in this folder.

    Raises
    ------
    SpecError
        No such module or function in the folder (with the nearest match), or the module fails at import.
    """
    module_name, function_name = _split(folder, reference)
    _find_module(folder, module_name, reference)
    module = _import(folder, module_name, reference)
    function = getattr(module, function_name, None)
    if callable(function):
        return function  # type: ignore[no-any-return]
    own = (name for name, value in vars(module).items() if callable(value) and value.__module__ == module.__name__)
    raise _missing_function(folder, reference, own, found=function)


def find_reference_problem(folder: ProjectFolder, reference: str) -> str:
    """Return what is wrong with `module:function` as far as reading the source can tell, or nothing."""
    try:
        module_name, function_name = _split(folder, reference)
        path = _find_module(folder, module_name, reference)
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except SpecError as error:
        return error.message
    except (SyntaxError, ValueError) as error:
        return f"{folder.path.name}/{path.name} is no valid Python: {error}."
    names, is_complete = _list_bindings(tree)
    if function_name in names or not is_complete:
        return ""
    own = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return _missing_function(folder, reference, own, found=None).message


def _split(folder: ProjectFolder, reference: str) -> tuple[str, str]:
    module, colon, function = reference.partition(":")
    if not (colon and module.isidentifier() and function.isidentifier()):
        raise SpecError(
            f"{folder.name}: expected `module:function`, received {reference!r:.80}.",
            remedy="For example data:read, for the function `read` in the project's data.py.",
        )
    return module, function


def _list_sources(folder: ProjectFolder) -> list[Path]:
    """Return the folder's .py files, sorted by name; hidden folders and caches are no part of it."""
    found = (path.relative_to(folder.path) for path in folder.path.rglob("*.py") if path.is_file())
    kept = (path for path in found if not any(part.startswith((".", "__pycache__")) for part in path.parts[:-1]))
    return [folder.path / path for path in sorted(kept, key=lambda path: path.as_posix())]


def _find_module(folder: ProjectFolder, module: str, reference: str) -> Path:
    path = folder.path / f"{module}.py"
    if not path.is_file():
        modules = sorted(other.stem for other in folder.path.glob("*.py") if other.stem != "__init__")
        raise SpecError(
            f"{reference!r}: no {module}.py in {folder.path}.{suggest(module, modules)} There are: {_list(modules)}."
        )
    if not path.resolve().is_relative_to(folder.path.resolve()):
        raise SpecError(f"{reference!r}: {module}.py is a link that leads out of {folder.path}.")
    return path


def _missing_function(folder: ProjectFolder, reference: str, offered: Iterable[str], found: object) -> SpecError:
    module, _, function = reference.partition(":")
    public = sorted(name for name in offered if not name.startswith("_"))
    what = f"{function!r} is no function" if found is not None else f"no function {function!r}"
    return SpecError(
        f"{reference!r}: {what} in {folder.name}/{module}.py.{suggest(function, public)} There are: {_list(public)}."
    )


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:_LISTED]) or "none"
    return shown + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def _list_bindings(tree: ast.Module) -> tuple[set[str], bool]:
    """Return the names that a module's top level binds, and whether these are surely all of them."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        elif not isinstance(node, ast.Expr | ast.Pass):
            return names, False
    return names, "*" not in names and "__getattr__" not in names


class _SourceLoader(SourceFileLoader):
    """Compiles the source every time: byte code of an older source can never run."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _import(folder: ProjectFolder, module: str, reference: str) -> ModuleType:
    with _LOADING:
        package = _open_package(folder)
        try:
            loaded = importlib.import_module(f"{package}.{module}")
        except (Exception, SystemExit) as error:  # the project's own code may raise anything
            raise _import_failed(folder, reference, error) from error
        _check_origins(folder, package, reference)
        return loaded


def _check_origins(folder: ProjectFolder, package: str, reference: str) -> None:
    """Refuse modules that came in through a link, since the digest does not name their code."""
    named = {path.resolve() for path in _list_sources(folder) if not path.is_symlink()}
    loaded = (module for name, module in list(sys.modules.items()) if name.startswith(f"{package}."))
    origins = {Path(module.__file__).resolve() for module in loaded if module.__file__}
    if strange := sorted(origins - named):
        raise SpecError(
            f"{reference!r}: expected code inside {folder.path}, received {strange[0]} through a link.",
            remedy="Copy it into the folder, or install it as a package.",
        )


def _open_package(folder: ProjectFolder) -> str:
    """Make `projects.<name>` stand for this folder and its present code; return that name."""
    name, place = f"projects.{folder.name}", str(folder.path.resolve())
    state = (place, digest_code(folder))
    if getattr(sys.modules.get(name), "__keepfit__", None) != state:
        # A list first: another thread may import meanwhile.
        for loaded in [key for key in list(sys.modules) if key == name or key.startswith(f"{name}.")]:
            del sys.modules[loaded]
        package = ModuleType(name, f"The project {folder.name}.")
        package.__path__ = [place]
        vars(package)["__keepfit__"] = state
        for inner in {place, *(str(path.parent.resolve()) for path in _list_sources(folder))}:
            sys.path_importer_cache[inner] = FileFinder(inner, (_SourceLoader, [".py"]))
        sys.modules[name] = package
    return name


def _import_failed(folder: ProjectFolder, reference: str, error: BaseException) -> SpecError:
    inside = str(folder.path.resolve())
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(inside)]
    where = f" (line {frames[-1].lineno} of {Path(frames[-1].filename).name})" if frames else ""
    remedy = "Correct it, then try again."
    if isinstance(error, ModuleNotFoundError) and error.name:
        is_own = (folder.path / f"{error.name}.py").is_file()
        remedy = f"Write `from . import {error.name}`." if is_own else f"Install the package that holds {error.name!r}."
    return SpecError(
        f"{reference!r}: {folder.name}/{reference.partition(':')[0]}.py fails at import{where}: "
        f"{type(error).__name__}: {error}.",
        remedy=remedy,
    )

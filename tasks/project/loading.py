"""From a folder to a checked spec, or to one error that lists every problem with its line."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.errors import SpecError
from infra.projects import (
    LocatedYaml,
    ProjectFolder,
    digest_code,
    find_project,
    find_reference_problem,
    load_function,
    read_yaml,
)
from tasks.contracts.project import ProjectSpec
from tasks.project.problems import Problem, write_path
from tasks.project.sense import check_sense, read_at
from tasks.project.structure import check_structure

_REMEDY = "docs/projects.md explains every key; an editor that knows projects/project.schema.json completes them."


@dataclass(frozen=True)
class LoadedProject:
    """A project that is ready to run."""

    spec: ProjectSpec
    folder: ProjectFolder
    code: str
    """SHA-256 over the project's own Python files."""

    def load(self, reference: str) -> Callable[..., Any]:
        """Return the project's function that `module:function` names."""
        return load_function(self.folder, reference)


def load_project(root: Path, name: str) -> LoadedProject:
    """Return the project `name` below `root`, its project.yaml checked.

    Raises
    ------
    UsageError
        There is no such project.
    SpecError
        Its project.yaml is wrong; the message lists all problems, each with line, path and what was expected.
    """
    folder = find_project(root, name)
    text = read_yaml(folder.spec)
    spec = _check(text, name, _check_references(text, folder))
    return LoadedProject(spec, folder, digest_code(folder))


def parse_spec(text: LocatedYaml, name: str) -> ProjectSpec:
    """Return the spec in this YAML; as `load_project`, without a look at the project's Python.

    Raises
    ------
    SpecError
        It is wrong; the message lists all problems, each with line, path and what was expected.
    """
    return _check(text, name, [])


def _check(text: LocatedYaml, name: str, found: list[Problem]) -> ProjectSpec:
    spec, typed = check_structure(text.data)
    sense = check_sense(text.data, name)
    if sense:  # the contract's own check of the whole stops at its first problem: these are all of them
        typed = [problem for problem in typed if problem.path]
    problems = {problem.path: problem for problem in [*found, *sense, *typed]}
    if spec is not None and not problems:
        return spec
    lines = sorted((text.line_of(path), write_path(path), problem.text) for path, problem in problems.items())
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    listed = "\n".join(f"  line {line}, {path}: {said}" for line, path, said in lines)
    raise SpecError(f"{text.path}: {count}\n{listed}", remedy=_REMEDY)


def _check_references(text: LocatedYaml, folder: ProjectFolder) -> list[Problem]:
    """Return the functions that project.yaml names and the folder does not have, by reading, not running, the source."""
    paths: list[tuple[str | int, ...]] = [("source", "function")]
    paths += [("monitoring", "rows"), ("monitoring", "labels", "function")]
    paths += [("candidates", name, "network", "build") for name in read_at(text.data, dict, "candidates") or {}]
    paths += [(*prepare, i, "function") for prepare, count in _list_steps(text.data) for i in range(count)]
    own = range(len(read_at(text.data, list, "evaluation", "metrics") or []))
    paths += [("evaluation", "metrics", place, "function") for place in own]
    problems = []
    for path in paths:
        reference = read_at(text.data, str, *path)
        said = find_reference_problem(folder, reference) if reference else ""
        if said:
            problems.append(Problem(path, said))
    return problems


def _list_steps(data: dict[str, Any]) -> list[tuple[tuple[str | int, ...], int]]:
    """Return the paths of all `prepare.steps` with how many there are."""
    sections: list[tuple[str | int, ...]] = [("prepare",)]
    sections += [("candidates", name, "prepare") for name in read_at(data, dict, "candidates") or {}]
    paths = [(*section, "steps") for section in sections]
    return [(path, len(read_at(data, list, *path) or [])) for path in paths]


def functions_of(root: Path, name: str) -> Callable[[str], Callable[..., Any]]:
    """Return the loader of a project's functions, which looks at its folder once one is asked for, and never at its spec."""
    return lambda reference: load_function(find_project(root, name), reference)

"""What is measured: the candidates of a project, those of its file here over those of its own project.yaml, and what others published."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, JsonValue

from infra.errors import SpecError, UsageError
from infra.suggestion import suggest
from tasks.contracts.frozen import Contract
from tasks.contracts.project import ProjectSpec
from tasks.project import LoadedProject, load_project
from tasks.project.problems import write_path
from tasks.project.structure import check_structure

FOLDER = Path(__file__).parent
PROJECTS = FOLDER.parents[1] / "projects"
NAMES = ("iris", "diabetes", "adult", "imdb", "fashion")
"""Projects in the order of the page; each has a file of its name here."""


class Published(Contract):
    """A figure that somebody else published for a network, or an estimator, of the same kind."""

    low: float = Field(description="The figure, or the lowest of several.")
    high: float | None = Field(None, description="The highest of several; left out: there is one.")
    metric: str = Field("accuracy", description="Of which metric.")
    by: str = Field(min_length=1, description="Who published it, in a few words.")
    source: str = Field(pattern=r"^https://", description="Where it can be read.")
    chosen: str = Field(min_length=1, description="How it was chosen: on the test rows, or not.")
    terms: str = Field(min_length=1, description="What differs from what is measured here.")


class SubjectFile(Contract):
    """One YAML file of this folder."""

    candidates: dict[str, JsonValue] = Field(
        default_factory=dict, description="As in project.yaml; added to the project's own, to be copied from."
    )
    over: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Other keys of project.yaml that are set differently for the comparison, and why.",
    )
    metrics: list[str] = Field(
        default_factory=lambda: ["accuracy"], description="What is measured; the first is shown."
    )
    needs: dict[str, str] = Field(
        default_factory=dict, description="candidate: installed package without which it cannot be fitted."
    )
    about: str = Field(description="Rows and terms, for the page.")
    published: dict[str, list[Published]] = Field(
        default_factory=dict, description="candidate: what it is held against."
    )
    remarks: dict[str, str] = Field(
        default_factory=dict,
        description="candidate: what a reader must know of its figure; why the published one is not reached.",
    )


@dataclass(frozen=True)
class Subject:
    """A project with all candidates that are measured."""

    project: LoadedProject
    spec: ProjectSpec
    file: SubjectFile

    @property
    def name(self) -> str:
        return self.spec.name


def open_subject(name: str, folder: Path = FOLDER) -> Subject:
    """Return the project with the candidates of the folder's `NAME.yaml` over its own.

    Raises
    ------
    UsageError
        There is none of this name.
    SpecError
        The file, or what it makes of project.yaml, is wrong.
    """
    if name not in NAMES:
        raise UsageError(f"Expected one of {', '.join(NAMES)}, received {name!r}.{suggest(name, NAMES)}")
    path = folder / f"{name}.yaml"
    file = SubjectFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    project = load_project(PROJECTS, name)
    data: dict[str, Any] = yaml.safe_load(project.folder.spec.read_text(encoding="utf-8"))
    data = {**data, **file.over, "candidates": {**data["candidates"], **file.candidates}}
    spec, problems = check_structure(data)
    if spec is None or problems:
        raise SpecError(f"{path}: " + "; ".join(f"{write_path(one.path)}: {one.text}" for one in problems))
    _require_candidates(path, file, spec)
    return Subject(project, spec, file)


def _require_candidates(path: Path, file: SubjectFile, spec: ProjectSpec) -> None:
    for published in file.published.values():
        if others := [one.metric for one in published if one.metric != file.metrics[0]]:
            raise SpecError(f"{path}: published: expected {file.metrics[0]}, which is shown; received {others[0]!r}.")
    for section in ("published", "remarks", "needs"):
        for name in getattr(file, section):
            if name not in spec.candidates:
                raise SpecError(f"{path}: {section}: there is no candidate {name!r}.{suggest(name, spec.candidates)}")


def find_places(only: list[str], subjects: list[Subject]) -> list[tuple[Subject, str]]:
    """Return what `--only` names: `imdb` with all its candidates, or `imdb/lstm`; nothing named is everything.

    Raises
    ------
    UsageError
        A name is none, with the nearest.
    """
    places = [(subject, name) for subject in subjects for name in subject.spec.candidates]
    known = {f"{subject.name}/{name}": (subject, name) for subject, name in places}
    if not only:
        return places
    chosen = []
    for wanted in only:
        found = [place for place in places if wanted in (place[0].name, f"{place[0].name}/{place[1]}")]
        if not found:
            choices = [*known, *(subject.name for subject in subjects)]
            raise UsageError(f"--only: {wanted!r} is not there; --list shows what is.{suggest(wanted, choices)}")
        chosen += [place for place in found if place not in chosen]
    return chosen

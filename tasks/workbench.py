"""What every step opens first: the store, the project's spec as of the run's start, and a scratch folder."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from infra.artifacts.reference import ArtifactRef
from infra.artifacts.store import BlobStore
from infra.errors import UsageError
from infra.frames import read_parquet, write_parquet
from infra.registry.registry import Registry
from infra.workspace import open_workspace
from tasks.contracts.project import ProjectSpec
from tasks.contracts.runs import RunContext
from tasks.metrics.own import load_own
from tasks.metrics.registry import Metric
from tasks.project import LoadedProject, load_project

PARQUET = "application/vnd.apache.parquet"
JSON = "application/json"
HTML = "text/html; charset=utf-8"
PNG = "image/png"


class Workbench(NamedTuple):
    """One step's view of the world; `scratch` is gone when the step ends."""

    run: RunContext
    store: BlobStore
    registry: Registry
    spec: ProjectSpec
    scratch: Path

    def read_frame(self, ref: ArtifactRef) -> pd.DataFrame:
        """Return the rows of a Parquet blob, its bytes verified."""
        return read_parquet(self.fetch(ref))

    def fetch(self, ref: ArtifactRef) -> Path:
        """Return the Parquet file of a blob in the scratch folder, its bytes verified."""
        return self.store.fetch(ref, self.scratch / f"{ref.digest}.parquet")

    def save_frame(self, frame: pd.DataFrame) -> ArtifactRef:
        """Store the rows as Parquet."""
        path = self.scratch / "frame.parquet"
        write_parquet(frame, path)
        return self.store.put_file(path, PARQUET)

    def plugin_loader(self) -> Callable[[str], Callable[..., Any]]:
        """Return the loader of the project's own functions; refuse code other than the run began with."""
        return self.plugin().load

    def own_metrics(self) -> Mapping[str, Metric]:
        """Return the project's own metrics by name; its code is looked at only where it has some."""
        described = self.spec.evaluation.metrics
        return load_own(described, self.plugin_loader()) if described else {}

    def plugin(self) -> LoadedProject:
        """Return the project with the run's spec; refuse code other than the run began with."""
        project = load_project(self._projects(), self.spec.name)
        if project.code != self.run.code:
            raise UsageError(
                f"{self.spec.name}: expected the project code {self.run.code[:12]} that this run began with, "
                f"found {project.code[:12]} in {project.folder.path}.",
                remedy="Start the run again, or bring the worker's checkout to the same commit.",
            )
        return replace(project, spec=self.spec)

    def _projects(self) -> Path:
        return open_workspace().settings.projects


@contextmanager
def opened(run: RunContext) -> Iterator[Workbench]:
    """Open the workbench of one step."""
    workspace = open_workspace()
    spec = ProjectSpec.model_validate_json(workspace.store.read(run.spec))
    with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
        yield Workbench(run, workspace.store, workspace.registry, spec, Path(scratch))

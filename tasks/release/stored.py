"""Finding what somebody names: a version with its manifest and its verdict."""

import re
from typing import NamedTuple

from infra.errors import UsageError
from infra.registry.records import VersionRow
from infra.workspace import open_workspace
from tasks.contracts.evaluation import Verdict
from tasks.contracts.release import Manifest

LABEL = re.compile(r"([a-z][a-z0-9_-]{0,62})@([1-9][0-9]{0,8})")


class StoredVersion(NamedTuple):
    """A version with what the registry and the store know of it."""

    row: VersionRow
    manifest: Manifest
    verdict: Verdict

    @property
    def label(self) -> str:
        return f"{self.row.project}@{self.row.number}"


def parse_label(label: str) -> tuple[str, int]:
    """Return project and number of a label such as iris@7.

    Raises
    ------
    UsageError
        It is no label.
    """
    match = LABEL.fullmatch(label)
    if not match:
        raise UsageError(
            f"Expected a version such as iris@7, received {label!r}.", remedy="`keepfit history PROJECT` lists them."
        )
    return match[1], int(match[2])


def find_version(label: str) -> StoredVersion:
    """Return the version of this label.

    Raises
    ------
    UsageError
        There is no such version.
    """
    project, number = parse_label(label)
    workspace = open_workspace()
    row = workspace.registry.version(project, number)
    manifest = Manifest.model_validate_json(workspace.store.read(row.manifest))
    return StoredVersion(row, manifest, Verdict.model_validate(row.verdict))


def find_champion_version(project: str) -> StoredVersion:
    """Return the version in use.

    Raises
    ------
    UsageError
        The project has no champion yet.
    """
    champion = open_workspace().registry.champion(project)
    if champion.version is None:
        raise UsageError(f"{project} has no champion yet.", remedy=f"`keepfit run {project}` makes one.")
    return find_version(f"{project}@{champion.version}")

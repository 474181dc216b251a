"""`keepfit promote` and `keepfit rollback`: the champion moved by hand, through the same transaction and history."""

from flows.cli.render import console
from flows.runs import actor_name
from infra.errors import UsageError
from infra.registry.records import ReleaseKind, ReleaseRow, VersionRow
from infra.workspace import open_workspace
from tasks.contracts.release import Manifest
from tasks.release.stored import find_version


def promote_version(label: str, why: str, *, as_json: bool) -> None:
    """Make the version champion, whatever the gate said of it.

    Raises
    ------
    UsageError
        The reason is empty, or the version is champion already.
    """
    version = find_version(label)
    _move(version.row, version.manifest, "promote", why, as_json=as_json)


def rollback_project(project: str, why: str, *, as_json: bool) -> None:
    """Make the champion before the present one champion again.

    Raises
    ------
    UsageError
        There is no version to go back to.
    """
    workspace = open_workspace()
    target = workspace.registry.rollback_target(project)
    manifest = Manifest.model_validate_json(workspace.store.read(target.manifest))
    _move(target, manifest, "rollback", why, as_json=as_json)


def _move(version: VersionRow, manifest: Manifest, kind: ReleaseKind, why: str, *, as_json: bool) -> None:
    if not why.strip():
        raise UsageError(
            "--why: expected a reason, received an empty text.", remedy="Say it for the person who reads the history."
        )
    workspace = open_workspace()
    workspace.store.read(manifest.model.artifact)  # a champion whose bytes are gone or changed must never be released
    champion = workspace.registry.champion(version.project)
    if champion.version == version.number:
        raise UsageError(
            f"{version.label} is the champion already.",
            remedy=f"`keepfit history {version.project}` shows since when.",
        )
    row = workspace.registry.release(
        project=version.project,
        number=version.number,
        expected_seq=champion.seq,
        kind=kind,
        why=why.strip(),
        actor=actor_name(),
        fencing=None,
        evidence={"by": "hand", "content": manifest.model.content, "gate": version.decision},
    )
    _print(version, row, as_json=as_json)


def _print(version: VersionRow, row: ReleaseRow, *, as_json: bool) -> None:
    if as_json:
        print(row.model_dump_json(indent=2))
        return
    before = f"{row.project}@{row.previous}" if row.previous else "nobody"
    console.print(f"{version.label} is the champion (release {row.seq}, {row.kind}); before: {before}.")
    if version.decision != "PROMOTE":
        console.print(f"  gate      said {version.decision} of it: keepfit show {version.label}")
    console.print(f"  evidence  keepfit history {row.project}")

"""The champion moved by a person, from the command line and from a form alike: one transaction, with who and why."""

from typing import NamedTuple

from infra.errors import UsageError
from infra.registry.records import ReleaseKind, ReleaseRow, VersionRow
from infra.workspace import open_workspace
from tasks.contracts.release import Manifest
from tasks.release.stored import find_version


class Move(NamedTuple):
    """A move of the champion that was made."""

    version: VersionRow
    release: ReleaseRow

    @property
    def before(self) -> str | None:
        """The champion before, None where there was none."""
        return f"{self.release.project}@{self.release.previous}" if self.release.previous else None

    def __str__(self) -> str:
        return (
            f"{self.version.label} is the champion (release {self.release.seq}, {self.release.kind}); "
            f"before: {self.before or 'nobody'}."
        )


def promote_by_hand(label: str, why: str, by: str) -> Move:
    """Make the version champion, whatever the gate or a refusal said of it.

    Parameters
    ----------
    label
        The version, e.g. iris@7.
    why
        The reason, for whoever reads the history.
    by
        Who does it, for the audit.

    Raises
    ------
    UsageError
        The reason is empty, there is no such version, or it is the champion already.
    IntegrityError, BlobNotFound
        Its model is no longer what was stored.
    """
    version = find_version(label)
    return _move(version.row, version.manifest, "promote", why, by)


def roll_back(project: str, why: str, by: str) -> Move:
    """Make the champion before the present one champion again; parameters as in `promote_by_hand`.

    Raises
    ------
    UsageError
        The reason is empty, or there is no version to go back to.
    IntegrityError, BlobNotFound
        Its model is no longer what was stored.
    """
    workspace = open_workspace()
    target = workspace.registry.rollback_target(project)
    manifest = Manifest.model_validate_json(workspace.store.read(target.manifest))
    return _move(target, manifest, "rollback", why, by)


def require_words(text: str, name: str) -> str:
    """Return the text without the space around it. Raises UsageError where nothing is left."""
    if not text.strip():
        raise UsageError(
            f"{name}: expected some words, received an empty text.",
            remedy="Say it for the person who reads the history.",
        )
    return text.strip()


def _move(version: VersionRow, manifest: Manifest, kind: ReleaseKind, why: str, by: str) -> Move:
    reason, actor = require_words(why, "why"), require_words(by, "by")
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
        why=reason,
        actor=actor,
        fencing=None,
        evidence={"by": "hand", "content": manifest.model.content, "gate": version.decision},
    )
    return Move(version, row)

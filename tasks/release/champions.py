"""Who is champion, as steps of a run see it."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from infra.registry.records import ReleaseRow
from infra.workspace import open_workspace
from tasks.contracts.champions import ChampionRef
from tasks.release.approval import find_refusals


def find_champion(project: str) -> ChampionRef:
    """Return the champion of this moment, and which models somebody took back or refused."""
    registry = open_workspace().registry
    current = registry.champion(project)
    versions = {row.number: row for row in registry.versions(project)}
    contents = {number: row.content for number, row in versions.items()}
    history = registry.history(project)
    refusals = {number: row.at for number, row in find_refusals(project).items()}
    return ChampionRef(
        seq=current.seq,
        label=f"{project}@{current.version}" if current.version else None,
        manifest=versions[current.version].manifest if current.version else None,
        withdrawn=tuple(sorted(find_withdrawn(history, contents))),
        refused=tuple(sorted(find_refused(refusals, history, contents))),
    )


def find_withdrawn(history: Iterable[ReleaseRow], contents: Mapping[int, str]) -> set[str]:
    """Return the content digests of the models that somebody rolled back from and nobody released again since.

    Parameters
    ----------
    history
        All releases, the first one first.
    contents
        The content digest of each version by its number.
    """
    withdrawn: set[str] = set()
    for row in history:
        if row.kind == "rollback" and row.previous is not None:
            withdrawn.add(contents[row.previous])
        withdrawn.discard(contents[row.version])
    return withdrawn


def find_refused(
    refusals: Mapping[int, datetime], history: Iterable[ReleaseRow], contents: Mapping[int, str]
) -> set[str]:
    """Return the content digests of the models that somebody refused and nobody released since.

    Parameters
    ----------
    refusals
        When each refused version was refused, by its number.
    history, contents
        As in `find_withdrawn`.
    """
    released = {contents[row.version]: row.at for row in history}  # the last time of each: the first one comes first
    return {
        contents[number]
        for number, at in refusals.items()
        if contents[number] not in released or released[contents[number]] < at
    }

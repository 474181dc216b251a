"""Who is champion, as steps of a run see it."""

from collections.abc import Iterable, Mapping

from infra.registry.records import ReleaseRow
from infra.workspace import open_workspace
from tasks.contracts.champions import ChampionRef


def find_champion(project: str) -> ChampionRef:
    """Return the champion of this moment, and which models somebody took back."""
    registry = open_workspace().registry
    current = registry.champion(project)
    if current.version is None:
        return ChampionRef(seq=current.seq)
    version = registry.version(project, current.version)
    contents = {row.number: row.content for row in registry.versions(project)}
    return ChampionRef(
        seq=current.seq,
        label=f"{project}@{current.version}",
        manifest=version.manifest,
        withdrawn=tuple(sorted(find_withdrawn(registry.history(project), contents))),
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

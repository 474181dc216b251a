"""Who is champion, as steps of a run see it."""

from infra.workspace import open_workspace
from tasks.contracts.champions import ChampionRef


def find_champion(project: str) -> ChampionRef:
    """Return the champion of this moment, and which models somebody took back."""
    registry = open_workspace().registry
    current = registry.champion(project)
    if current.version is None:
        return ChampionRef(seq=current.seq)
    version = registry.version(project, current.version)
    withdrawn = {
        registry.version(project, row.previous).content
        for row in registry.history(project)
        if row.kind == "rollback" and row.previous is not None
    }
    return ChampionRef(
        seq=current.seq,
        label=f"{project}@{current.version}",
        manifest=version.manifest,
        withdrawn=tuple(sorted(withdrawn - {version.content})),
    )

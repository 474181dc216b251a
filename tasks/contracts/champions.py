"""The version in use, as a step sees it."""

from pydantic import Field

from infra.artifacts.reference import ArtifactRef
from tasks.contracts.frozen import Contract


class ChampionRef(Contract):
    """Who is champion at a moment; `seq` counts the releases, 0 before the first."""

    seq: int
    label: str | None = Field(None, description="iris@6, or None before the first release.")
    manifest: ArtifactRef | None = None
    withdrawn: tuple[str, ...] = Field((), description="Content digests of the models that somebody rolled back from.")
    refused: tuple[str, ...] = Field((), description="Content digests of the models that somebody refused to release.")

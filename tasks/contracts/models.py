"""Fitted models: what training hands on."""

from typing import Literal

from pydantic import Field

from infra.artifacts.reference import ArtifactRef, Digest
from tasks.contracts.borrowing import BorrowedWeights
from tasks.contracts.frozen import Contract


class ModelRef(Contract):
    """A fitted model in the store."""

    candidate: str
    backend: Literal["sklearn", "keras"]
    artifact: ArtifactRef
    content: Digest = Field(
        description="SHA-256 over canonical content: equal for the same model, whatever the archive's bytes."
    )
    classes: tuple[str | int | float | bool, ...] = Field((), description="Order of the columns of predict_proba.")
    fit_seconds: float
    borrowed: tuple[BorrowedWeights, ...] = Field((), description="Weights in it that were learnt elsewhere.")


class CandidateScore(Contract):
    """How a candidate did in selection, on training rows only."""

    candidate: str
    metric: str
    mean: float
    std: float = Field(description="Standard deviation over the folds; 0 with a single holdout.")
    standard_error: float
    scores: tuple[float, ...]
    chosen: bool
    reason: str = Field("", description="Why it was or was not chosen, in words.")


class Hardware(Contract):
    """What trained it."""

    machine: str
    processor: str
    cpu_count: int
    threads: int
    device: str = "cpu"
    device_name: str = Field("", description="The GPU's model, where one trained it.")
    memory_gb: float
    worker: str = Field("", description="The worker of a pool that trained it; empty: the run's own process.")
    note: str = Field("", description="Why a GPU was asked for and none was used, where that is so.")


class FitReport(Contract):
    """The outcome of training: the chosen model, and those tested beside it."""

    chosen: ModelRef
    beside: tuple[ModelRef, ...] = Field((), description="selection.also_test: for the report, never for the choice.")
    selection: tuple[CandidateScore, ...]
    class_prior: dict[str, float] = Field(
        description="Share of each class among the training rows: the dummy baseline."
    )
    history: ArtifactRef | None = Field(None, description="Metrics per epoch as JSON, for networks.")
    events: dict[str, ArtifactRef] = Field(
        default_factory=dict, description="candidate: the same as TensorBoard's event file."
    )
    seed: int
    libraries: dict[str, str]
    hardware: Hardware
    seconds: float
    cpu_seconds: float
    gpu_seconds: float = Field(0.0, description="Seconds for which training held the GPU.")
    peak_memory_mb: float = Field(
        0.0, description="Highest resident memory of the training process, in MB (10^6 bytes)."
    )
    gpu_peak_memory_mb: float = Field(
        0.0, description="Most of the GPU's memory that training held, in MB (10^6 bytes)."
    )

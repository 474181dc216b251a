"""Fitted models: what training hands on."""

from typing import Literal

from pydantic import Field

from infra.artifacts.reference import ArtifactRef, Digest
from tasks.contracts.borrowing import BorrowedWeights
from tasks.contracts.export import OnnxExport
from tasks.contracts.frozen import Contract
from tasks.contracts.tuning import TunedCandidate

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


class NetworkFit(Contract):
    """How a network was trained, as far as the machine had a say in it."""

    batch_size: int = Field(description="Rows a step of training, on all devices together.")
    batch_size_why: str = Field("", description="Where project.yaml gives another size, or none: why this one.")
    precision: Precision = Field(
        "float32", description="What most of the network computed in; its weights are float32."
    )
    devices: int = Field(1, description="Devices that shared each batch.")


class TrainingPace(Contract):
    """Where the time of an epoch of a network's training went: the means over the epochs after the first, which also prepares."""

    epochs: int = Field(description="Epochs that were measured.")
    rows_a_second: float = Field(description="Rows trained on, over the whole time of an epoch.")
    input_seconds: float = Field(
        description="Waiting for the next rows: where this is much, reading holds training up."
    )
    compute_seconds: float = Field(description="The steps of training themselves.")
    other_seconds: float = Field(description="The rest: rows that watch, checkpoints, telling how it goes.")


class ModelRef(Contract):
    """A fitted model in the store."""

    candidate: str
    backend: Literal["sklearn", "keras"]
    artifact: ArtifactRef
    content: Digest = Field(
        description="SHA-256 over canonical content: equal for the same model, whatever the archive's bytes."
    )
    classes: tuple[str | int | float | bool, ...] = Field(
        (), description="Order of the columns of predict_proba; none of a regression."
    )
    fit_seconds: float
    pace: TrainingPace | None = Field(None, description="Where the time of an epoch went, for a network.")
    borrowed: tuple[BorrowedWeights, ...] = Field((), description="Weights in it that were learnt elsewhere.")
    network: NetworkFit | None = Field(None, description="How a network was trained; none of an estimator.")


class FoldDifference(Contract):
    """How a candidate differs from another over the same folds: the corrected resampled t-test (Nadeau and Bengio 2003)."""

    against: str = Field(description="The candidate that it is held against.")
    difference: float = Field(
        description="Mean over the folds of its score less the other's, the sign turned where lower is better: positive is better."
    )
    low: float = Field(
        description="Interval of the difference: 95 % for all pairs of candidates together (Bonferroni)."
    )
    high: float
    p_value: float = Field(description="Two-sided; Holm's over all pairs of candidates.")
    told_apart: bool = Field(description="p is at most 0.05.")
    detail: str = Field(description="All of it in words.")


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
    difference: FoldDifference | None = Field(
        None, description="To the chosen one, over the same folds; none for itself and with a single holdout."
    )


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
    tuned: tuple[TunedCandidate, ...] = Field(
        (), description="The values that were found for candidates with `search`; all models here are fitted with them."
    )
    studies: ArtifactRef | None = Field(
        None, description="All trials as JSON (a list of SearchReport), where there were any."
    )
    class_prior: dict[str, float] = Field(
        description="Share of each class among the training rows: the dummy baseline. Empty for a regression."
    )
    centre: float | None = Field(
        None,
        description="What a regression's dummy answers: the mean of the training target, the median where mae decides.",
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
        0.0,
        description="Highest resident memory of the training process, in MB (10^6 bytes); pages count of rows that it read from a "
        "file, which the system takes back when memory is short.",
    )
    gpu_peak_memory_mb: float = Field(
        0.0, description="Most of the GPU's memory that training held, in MB (10^6 bytes)."
    )
    export: OnnxExport | None = Field(None, description="The chosen model as ONNX, where the project asks for it.")

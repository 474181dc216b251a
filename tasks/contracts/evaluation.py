"""Scores on the test rows, metrics, the gate's checks and its verdict."""

from typing import Literal

from pydantic import ConfigDict, Field

from infra.artifacts.reference import ArtifactRef, Digest
from tasks.contracts.frozen import Contract

Decision = Literal["PROMOTE", "HOLD", "REJECT"]


class ScoredModel(Contract):
    """One model's answers on the frozen test rows, made in a fresh process from the stored artifact."""

    role: Literal["candidate", "champion", "beside"]
    label: str = Field(description="iris@3 for a version, the candidate's name otherwise.")
    artifact: Digest
    content: Digest
    latency_ms: float = Field(description="Median time of one-row answers, in milliseconds.")
    size_bytes: int


class ScoredRows(Contract):
    """Answers of all models on the same rows, in the same order.

    `answers` is Parquet: `row` (position), `truth`, `comparable` (False where the champion was trained on this row),
    `column:<name>` for the slice and group columns, and for each model `<role>:<label>:predicted` and `<role>:<label>:p:<class>`.
    """

    test_digest: Digest
    answers: ArtifactRef
    models: tuple[ScoredModel, ...]
    classes: tuple[str | int | float | bool, ...]
    rows: int
    excluded_rows: int = Field(0, description="Test rows left out of the comparison: the champion was trained on them.")


class MetricValue(Contract):
    """A metric on the test rows with its confidence interval; NaN where it is undefined on them."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    metric: str
    value: float
    low: float
    high: float
    n: int
    direction: Literal["higher", "lower"]


class SliceValue(Contract):
    slice: str
    value: MetricValue


class Rate(Contract):
    """A share of n rows with its interval; NaN where there is no row, or no interval."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    value: float
    low: float
    high: float
    n: int


class GroupRates(Contract):
    """How the candidate decides on the rows of one slice (two classes)."""

    slice: str
    n: int
    positives: int = Field(description="Rows that are positive in truth.")
    selection: Rate = Field(description="Share answered positive.")
    true_positive: Rate = Field(description="Of the positive rows, the share answered positive.")
    false_positive: Rate = Field(description="Of the others, the share answered positive.")


class EvaluationReport(Contract):
    """What the candidate is worth on the test rows."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    metrics: tuple[MetricValue, ...]
    baseline: tuple[MetricValue, ...] = Field(
        description="The same metrics of the dummy that always answers the class shares, or the centre of the training target."
    )
    beside: dict[str, tuple[MetricValue, ...]] = Field(default_factory=dict)
    champion: tuple[MetricValue, ...] = ()
    slices: tuple[SliceValue, ...] = ()
    groups: tuple[GroupRates, ...] = Field((), description="What the decision means for each slice, all rows first.")
    notes: tuple[str, ...] = Field((), description="What a reader of the figures must know, in sentences.")
    confusion: tuple[tuple[int, ...], ...] = ()
    classes: tuple[str | int | float | bool, ...] = ()
    pictures: dict[str, ArtifactRef] = Field(default_factory=dict, description="title: PNG")
    smallest_detectable: float = Field(
        description="Smallest difference of the primary metric that these rows could show; inf: none."
    )


class GateCheck(Contract):
    """One check of the candidate, with all that one needs to judge the judgement."""

    name: str
    kind: Literal["primary", "floor", "baseline", "guard", "slice", "budget", "integrity", "test_use"]
    status: Literal["pass", "inconclusive", "fail"]
    metric: str = ""
    candidate: float | None = None
    champion: float | None = None
    difference: float | None = Field(
        None, description="candidate minus champion, the sign turned where lower is better: positive is better."
    )
    low: float | None = Field(None, description="Confidence bounds of the difference.")
    high: float | None = None
    p_value: float | None = Field(
        None, description="One-sided: of being good enough; of a failed check, of being worse than allowed, after Holm."
    )
    n: int = 0
    margin: float | None = None
    smallest_detectable: float | None = None
    rows_needed: int | None = Field(None, description="Rows that would show the difference seen with 80 % power.")
    detail: str = Field("", description="The outcome in words.")


class Verdict(Contract):
    """The decision, its checks, and what to do next."""

    decision: Decision
    policy: Literal["first", "superiority", "non_inferiority", "unchanged"]
    summary: str = Field(description="One sentence: what was decided and why.")
    next_step: str
    checks: tuple[GateCheck, ...]
    candidate_content: Digest
    champion: str | None = Field(None, description="The version it was held against, e.g. iris@6.")
    champion_seq: int = Field(
        description="Sequence number of the champion that was compared: the release's swap is against it."
    )
    test_digest: Digest
    test_uses: int = Field(0, description="How many candidates these test rows have judged, this one included.")

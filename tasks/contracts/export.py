"""The form in which a model is used where keepfit is not: what project.yaml asks for, and what came of it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infra.artifacts.reference import ArtifactRef
from tasks.contracts.frozen import Contract


class Export(Contract):
    """The chosen model as a file for other programs, beside keepfit's own."""

    onnx: bool = Field(
        False,
        description="Export the chosen model as ONNX after training, for programs without Python; checked against the "
        "model itself, never in the way of a release.",
    )
    tolerance: Annotated[float, Field(gt=0, le=0.1)] = Field(
        1e-4,
        description="Largest difference of a probability that counts as equal, or of a regression's value in standard "
        "deviations of its answers; ONNX counts in float32.",
    )
    int8: bool = Field(
        False,
        description="Quantise the ONNX file's matrix products to 8 bits as well: a smaller, often faster file; kept where "
        "`evaluation.metric` holds.",
    )
    int8_loss: Annotated[float, Field(ge=0)] = Field(
        0.005, description="Largest tolerated loss of `evaluation.metric` by quantising, on test rows."
    )

    @model_validator(mode="after")
    def _int8_of_onnx(self) -> Self:
        if self.int8 and not self.onnx:
            raise ValueError("int8 stands with `onnx: true`: it is the ONNX file that is quantised")
        return self


class Quantised(Contract):
    """The ONNX file with 8-bit matrix products."""

    status: Literal["kept", "not kept"]
    reason: str = Field("", description="Why it was not kept.")
    file: ArtifactRef | None = None
    size_bytes: int | None = None
    latency_ms: float | None = Field(None, description="Median time of an answer for one row.")
    metric: str = Field(description="What it was judged by.")
    before: float | None = Field(None, description="The metric of the ONNX file on the checked rows.")
    after: float | None = Field(None, description="The metric of this file on the same rows.")


class OnnxExport(Contract):
    """What came of exporting the chosen model as ONNX. A converter that fails costs the file, never the release."""

    status: Literal["exported", "not exported"]
    reason: str = Field("", description="Why there is no file, or why an earlier way to make one was not taken.")
    file: ArtifactRef | None = None
    covers: Literal["whole model", "part of the model"] = "whole model"
    outside: tuple[str, ...] = Field((), description="What a program must do before or after, as the file does not.")
    inputs: str = Field("", description="What the file takes, in words.")
    rows: int = Field(0, description="Test rows on which its answers were held against the model's, odd ones included.")
    tolerance: float = 0.0
    largest_difference: float | None = Field(
        None, description="Of a probability (of a value, in standard deviations) over all checked rows."
    )
    size_bytes: int | None = None
    model_size_bytes: int | None = Field(None, description="keepfit's own file of the same model.")
    latency_ms: float | None = Field(None, description="Median time of an answer for one row by the ONNX file.")
    model_latency_ms: float | None = Field(None, description="The same by the model that it was made from.")
    int8: Quantised | None = None

"""What a project's training runs on, and when."""

from typing import Literal

from pydantic import Field

from tasks.contracts.frozen import Contract
from tasks.contracts.values import Positive

PrecisionWish = Literal["float32", "mixed", "auto"]


class Compute(Contract):
    """What training runs on."""

    device: Literal["cpu", "gpu"] = Field("cpu", description="gpu: training goes to a worker that has one.")
    threads: Positive = Field(2, description="CPU threads of one training; part of what makes it repeatable.")
    fallback: Literal["none", "cpu"] = Field(
        "none", description="cpu: train on the CPU where no GPU is to be had, and record it."
    )
    memory_mb: Positive | None = Field(
        None,
        description="Most memory in MB (10^6 bytes) that the training rows may take. Rows that would take more are kept in a "
        "file in the temporary folder (TMPDIR: a disk with space for them), from which networks read batch by batch; the "
        "fitted model is the same, bit by bit. Left out: half of what the process may use, its container's limit included. "
        "Give it where several trainings share a machine. Other estimators need all rows in memory, whatever stands here.",
    )
    precision: PrecisionWish = Field(
        "float32",
        description="What networks compute in while they are trained; weights, answers and the stored model are float32. mixed: "
        "16 bits where that is enough (bfloat16, on GPUs that lack it float16 with a scaled loss), on a GPU with tensor cores "
        "faster and with half the memory, on most CPUs slower; auto: mixed on such a GPU, else float32.",
    )
    devices: Positive | Literal["all"] = Field(
        1,
        description="GPUs of one machine that share each batch of a network (`batch_size` is that of all together); all: as many "
        "as are seen. A worker of gpu-pool is given one GPU: more are for `keepfit run` on a machine of one's own, or for a worker "
        "that was started with several in CUDA_VISIBLE_DEVICES.",
    )


class Schedule(Contract):
    """When retraining runs by itself."""

    cron: str = Field(description="Five fields: minute, hour, day of month, month, day of week.")
    timezone: str = Field("UTC", description="IANA name of the time zone in which `cron` is read.")

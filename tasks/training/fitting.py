"""From training rows to fitted models: select, fit the chosen one, fit those that are shown beside it."""

import logging
import os
import platform
import time
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pandas as pd
import psutil

from infra.errors import MemoryRanOut
from infra.peak_memory import highest_bytes
from infra.worker import describe_worker
from tasks.contracts.models import CandidateScore, Hardware
from tasks.contracts.project import ProjectSpec
from tasks.models.checkpoints import CheckpointShelf
from tasks.models.inputs import Table, lean_columns, read_target
from tasks.models.model import FittedModel, Load
from tasks.models.recipes import fit_candidate, threads_for
from tasks.models.tensorflow_runtime import GpuUse, allow_cpu, gpu_use, tell_anew, threads_in_use
from tasks.training.selection import Progress, select_candidate
from tasks.training.tuning import TrialDesk, Tuned, tune_candidates

logger = logging.getLogger(__name__)

LIBRARIES = ("scikit-learn", "numpy", "scipy", "pandas", "skops")
NETWORK_LIBRARIES = ("tensorflow", "keras")
TUNING_LIBRARIES = ("optuna",)


@dataclass(frozen=True)
class FittedCandidate:
    """A candidate fitted on all training rows."""

    name: str
    model: FittedModel
    fit_seconds: float


@dataclass(frozen=True)
class FitResult:
    """What training made of the rows, before anything is stored."""

    chosen: FittedCandidate
    beside: tuple[FittedCandidate, ...]
    selection: tuple[CandidateScore, ...]
    class_prior: dict[str, float]
    """Share of each class among the training rows; what the dummy answers."""
    centre: float | None
    """What the dummy of a regression answers."""
    hardware: Hardware
    libraries: dict[str, str]
    seconds: float
    cpu_seconds: float
    gpu: GpuUse
    peak_memory_mb: float
    tuned: Tuned
    """What was found for the candidates that have a `search`."""
    history: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """candidate: metric: value per epoch; for networks."""


def fit_project(
    spec: ProjectSpec, frame: Table, load: Load, on_progress: Progress, desk: TrialDesk | None = None
) -> FitResult:
    """Return the chosen candidate fitted on all training rows, with those of `selection.also_test` beside it.

    Parameters
    ----------
    frame
        The training rows: features, target and the split's column. Nothing else enters the models.
    load
        Resolves `module:function` in the project's folder.
    on_progress
        Told of folds, trials and epochs.
    desk
        Where trials are kept, needed where a candidate has a `search`; and checkpoints of networks.

    Raises
    ------
    InsufficientData, SpecError, TrainingFailed
    """
    tell_anew()
    started, cpu_started, gpu_started = time.perf_counter(), time.process_time(), gpu_use().seconds
    try:
        tuned = tune_candidates(spec, frame, load, on_progress, desk)
        selection, (chosen, *beside) = _select_and_fit(
            tuned.spec, frame, load, on_progress, desk.shelf if desk else None
        )
    except MemoryError as error:
        raise MemoryRanOut(
            f"{spec.name}: memory ran out in training on {len(frame):,} rows ({error or 'no more is to be had'}).",
            remedy="Train on a worker with more memory, or with fewer candidates, smaller trees or less vocabulary; "
            "networks alone may do with less (compute.memory_mb).",
        ) from error
    fitted = (chosen, *beside)
    gpu = _gpu_use_since(gpu_started)
    return FitResult(
        chosen=chosen,
        beside=tuple(beside),
        selection=tuple(selection),
        class_prior=class_shares(lean_columns(frame), spec),
        centre=find_centre(lean_columns(frame), spec),
        hardware=describe_hardware(spec, chosen.model, len(frame), gpu.name),
        libraries=library_versions(
            networks=any(one.model.backend == "keras" for one in fitted), tuned=bool(tuned.candidates)
        ),
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
        gpu=gpu,
        tuned=tuned,
        peak_memory_mb=_peak_memory_mb(),
        history={one.name: one.model.history for one in fitted if one.model.history},
    )


def _gpu_use_since(started_s: float) -> GpuUse:
    """Return what the GPU did since its meter stood there; an earlier training in this process is none of ours."""
    used = gpu_use()
    return used._replace(seconds=used.seconds - started_s) if used.seconds > started_s else GpuUse()


def _select_and_fit(
    spec: ProjectSpec, frame: Table, load: Load, on_progress: Progress, shelf: CheckpointShelf | None
) -> tuple[list[CandidateScore], list[FittedCandidate]]:
    """Return the scores, and the fitted candidates with the chosen one first."""
    selection = select_candidate(spec, frame, load, on_progress, shelf)
    choice = next(score.candidate for score in selection if score.chosen)
    names = [choice, *(name for name in spec.selection.also_test if name != choice)]
    fit = partial(_fit, spec=spec, frame=frame, load=load, on_progress=on_progress, shelf=shelf)
    return selection, [fit(name) for name in names]


def class_shares(frame: pd.DataFrame, spec: ProjectSpec) -> dict[str, float]:
    """Return the share of each class, by its name, in sorted order; of each label in its own; none of a regression."""
    if spec.is_regression:
        return {}
    if spec.labels:
        return {name: float(frame[name].mean()) for name in spec.labels}
    classes, counts = np.unique(read_target(frame, spec), return_counts=True)
    return {str(name): float(count) / len(frame) for name, count in zip(classes.tolist(), counts, strict=True)}


def find_centre(frame: pd.DataFrame, spec: ProjectSpec) -> float | None:
    """Return the value that is best for all rows alike: the median of the target where mae decides, else its mean.

    The median has the least mean absolute error of all constants, the mean the least mean squared error (Gneiting 2011,
    J. Am. Stat. Assoc. 106:746-762, section 1). None for a classification.
    """
    if not spec.is_regression:
        return None
    target = read_target(frame, spec)
    return float(np.median(target) if spec.evaluation.metric == "mae" else target.mean())


def library_versions(*, networks: bool, tuned: bool = False) -> dict[str, str]:
    """Return the versions of what fitted the model, without importing any of it."""
    found = {"python": platform.python_version()}
    for name in (*LIBRARIES, *(NETWORK_LIBRARIES if networks else ()), *(TUNING_LIBRARIES if tuned else ())):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # tensorflow has other names for other devices
            continue
    return found


def describe_hardware(spec: ProjectSpec, model: FittedModel, rows: int, gpu: str) -> Hardware:
    """Return what trained the model: as far as it can change the last digits, or the time.

    Parameters
    ----------
    model
        The chosen one; its backend says which threads count.
    gpu
        Name of the GPU that any of the candidates was trained on; empty: none was.
    """
    threads = threads_for(spec, rows)
    if model.backend == "keras":
        threads = threads_in_use() or (os.cpu_count() or 1)
    return Hardware(
        machine=platform.machine(),
        processor=_processor(),
        cpu_count=os.cpu_count() or 1,
        threads=threads,
        device="gpu" if gpu else "cpu",
        device_name=gpu,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        worker=describe_worker().name,
        note=_explain_missing_gpu(spec) if not gpu else "",
    )


def _explain_missing_gpu(spec: ProjectSpec) -> str:
    if spec.compute.device == "cpu" or not any(one.network for one in spec.candidates.values()):
        return ""
    return f"A GPU was asked for; trained on the CPU: {allow_cpu(spec.compute)}."


def _peak_memory_mb() -> float:
    """Return the highest resident memory of this process so far, in MB (10^6 bytes)."""
    return highest_bytes() / 1e6


def _fit(
    name: str,
    *,
    spec: ProjectSpec,
    frame: Table,
    load: Load,
    on_progress: Progress,
    shelf: CheckpointShelf | None,
) -> FittedCandidate:
    started, tell = time.perf_counter(), partial(on_progress, f"fit: {name}, epoch")
    model = fit_candidate(name, spec, frame, load=load, on_epoch=tell, shelf=shelf)
    if pace := getattr(model, "pace", None):
        split = (
            f"{pace.input_seconds:.2f} s input, {pace.compute_seconds:.2f} s compute, {pace.other_seconds:.2f} s other"
        )
        logger.info("%s: %.0f rows a second; an epoch: %s", name, pace.rows_a_second, split)
    return FittedCandidate(name, model, time.perf_counter() - started)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()

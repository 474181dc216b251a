"""From training rows to fitted models: select, fit the chosen one, fit those that are shown beside it."""

import os
import platform
import time
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pandas as pd
import psutil

from tasks.contracts.models import CandidateScore, Hardware
from tasks.contracts.project import ProjectSpec
from tasks.models.inputs import read_target
from tasks.models.model import FittedModel, Load
from tasks.models.recipes import fit_candidate, threads_for
from tasks.training.selection import Progress, select_candidate

LIBRARIES = ("scikit-learn", "numpy", "scipy", "pandas", "skops")
NETWORK_LIBRARIES = ("tensorflow", "keras")


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
    hardware: Hardware
    libraries: dict[str, str]
    seconds: float
    cpu_seconds: float
    history: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """candidate: metric: value per epoch; for networks."""


def fit_project(spec: ProjectSpec, frame: pd.DataFrame, load: Load, on_progress: Progress) -> FitResult:
    """Return the chosen candidate fitted on all training rows, with those of `selection.also_test` beside it.

    Parameters
    ----------
    frame
        The training rows: features, target and the split's column. Nothing else enters the models.
    load
        Resolves `module:function` in the project's folder.
    on_progress
        Told of folds and epochs.

    Raises
    ------
    InsufficientData, SpecError, TrainingFailed
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    selection = select_candidate(spec, frame, load, on_progress)
    choice = next(score.candidate for score in selection if score.chosen)
    chosen = _fit(choice, spec, frame, load, on_progress)
    beside = tuple(_fit(name, spec, frame, load, on_progress) for name in spec.selection.also_test if name != choice)
    fitted = (chosen, *beside)
    return FitResult(
        chosen=chosen,
        beside=beside,
        selection=tuple(selection),
        class_prior=class_shares(frame, spec),
        hardware=describe_hardware(spec, chosen.model, len(frame)),
        libraries=library_versions(networks=any(one.model.backend == "keras" for one in fitted)),
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
        history={one.name: one.model.history for one in fitted if one.model.history},
    )


def class_shares(frame: pd.DataFrame, spec: ProjectSpec) -> dict[str, float]:
    """Return the share of each class, by its name, in sorted order."""
    classes, counts = np.unique(read_target(frame, spec), return_counts=True)
    return {str(name): float(count) / len(frame) for name, count in zip(classes.tolist(), counts, strict=True)}


def library_versions(*, networks: bool) -> dict[str, str]:
    """Return the versions of what fitted the model, without importing any of it."""
    found = {"python": platform.python_version()}
    for name in (*LIBRARIES, *(NETWORK_LIBRARIES if networks else ())):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # tensorflow has other names for other devices
            continue
    return found


def describe_hardware(spec: ProjectSpec, model: FittedModel, rows: int) -> Hardware:
    """Return what trained the model: as far as it can change the last digits, or the time."""
    device, threads = "cpu", threads_for(spec, rows)
    if model.backend == "keras":
        from tasks.models.tensorflow_runtime import threads_in_use  # noqa: PLC0415  brings TensorFlow

        device = "gpu" if getattr(model, "device", "").startswith("GPU") else "cpu"
        threads = threads_in_use() or (os.cpu_count() or 1)
    return Hardware(
        machine=platform.machine(),
        processor=_processor(),
        cpu_count=os.cpu_count() or 1,
        threads=threads,
        device=device,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
    )


def _fit(name: str, spec: ProjectSpec, frame: pd.DataFrame, load: Load, on_progress: Progress) -> FittedCandidate:
    started = time.perf_counter()
    model = fit_candidate(name, spec, frame, load=load, on_epoch=partial(on_progress, f"fit: {name}, epoch"))
    return FittedCandidate(name, model, time.perf_counter() - started)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()

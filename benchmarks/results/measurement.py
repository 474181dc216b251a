"""One candidate fitted on the project's training rows and judged on its test rows, by keepfit's own code throughout."""

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.results.rows import Machine, Row, name_code
from benchmarks.results.subjects import FOLDER, Subject
from infra.errors import UsageError
from infra.frames import digest_frame
from tasks.contracts.evaluation import MetricValue
from tasks.contracts.project import ProjectSpec
from tasks.metrics.answers import Answers, Codes, Floats, Label
from tasks.metrics.intervals import measure_with_interval
from tasks.metrics.registry import find_metric, find_positive
from tasks.models.inputs import read_target
from tasks.models.model import FittedModel
from tasks.models.recipes import fit_candidate
from tasks.models.tensorflow_runtime import gpu_use
from tasks.preparation.splitting import split_rows
from tasks.training.fitting import describe_hardware, library_versions


@dataclass(frozen=True)
class Parts:
    """The rows of a project, parted once: the same for every candidate and seed."""

    train: pd.DataFrame
    test: pd.DataFrame
    digest: str

    @classmethod
    def of(cls, subject: Subject) -> "Parts":
        """Return the project's rows as its source gives them, parted as its project.yaml says."""
        function = subject.spec.source.function
        if function is None:
            raise UsageError(
                f"{subject.name}: expected a project whose rows come from a function of its own (source.function).",
                remedy="Projects that read files or a database are not measured here.",
            )
        frame: pd.DataFrame = subject.project.load(function)()
        train, test = (frame.iloc[part].reset_index(drop=True) for part in split_rows(frame, subject.spec))
        return cls(train, test, f"{digest_frame(train)[:12]} {digest_frame(test)[:12]}")


@dataclass(frozen=True)
class Judged:
    """The test rows with their truth, as intervals are measured on them."""

    truth: Codes | Floats
    classes: tuple[Label, ...]
    positive: int
    groups: Codes | None = None

    @property
    def n(self) -> int:
        return len(self.truth)


@dataclass
class Clock:
    """When each epoch ended, in seconds of the wall's clock and of this process' CPU."""

    ends: list[tuple[float, float]] = field(default_factory=list)

    def tick(self, epoch: int, of: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002  told so by training
        self.ends.append((time.perf_counter(), time.process_time()))

    def between(self, which: int) -> float | None:
        """Return the median time from the end of one epoch to that of the next: the first, which compiles, is left out."""
        gaps = [after[which] - before[which] for before, after in zip(self.ends, self.ends[1:], strict=False)]
        return median(gaps) if gaps else None


def find_obstacle(subject: Subject, candidate: str) -> str:
    """Return why this candidate cannot be fitted on this machine; empty: it can."""
    package = subject.file.needs.get(candidate)
    return f"needs the package {package}" if package and find_spec(package) is None else ""


def measure(subject: Subject, candidate: str, seed: int, parts: Parts) -> Row:
    """Return the row of one fit: `seed` draws the network's weights and the order of its rows; the split stays."""
    spec = subject.spec.model_copy(update={"seed": seed})
    clock, started = Clock(), time.perf_counter()
    model = fit_candidate(candidate, spec, parts.train, load=subject.project.load, on_epoch=clock.tick)
    seconds, load = time.perf_counter() - started, os.getloadavg()[0]
    gpu = gpu_use().name
    hardware = describe_hardware(spec, model, len(parts.train), gpu)
    return Row(
        project=subject.name,
        candidate=candidate,
        seed=seed,
        key=name_code(subject, candidate),
        data=parts.digest,
        train_rows=len(parts.train),
        test_rows=len(parts.test),
        figures=judge(model, parts.test, spec, subject.file.metrics),
        parameters=count_parameters(model),
        fit_seconds=seconds,
        epochs=len(clock.ends),
        epoch_seconds=clock.between(0),
        epoch_cpu_seconds=clock.between(1),
        machine=Machine(
            processor=hardware.processor,
            cpu_count=hardware.cpu_count,
            threads=hardware.threads,
            device=gpu if gpu and model.backend == "keras" else "cpu",
            load=load,
        ),
        versions=library_versions(networks=model.backend == "keras"),
        commit=name_commit(),
        measured=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
    )


def judge(model: FittedModel, test: pd.DataFrame, spec: ProjectSpec, names: list[str]) -> tuple[MetricValue, ...]:
    """Return the metrics on the test rows, each with the interval that a version of the project would have."""
    truth, classes = read_target(test, spec), model.classes
    metrics = [find_metric(name, len(classes)) for name in names]
    predicted: Any = model.predict(test)
    proba = model.predict_proba(test) if any(metric.uses == "scores" for metric in metrics) else None
    if classes:
        known = pd.Index(list(classes), dtype=object)
        truth, predicted = (
            np.asarray(known.get_indexer(pd.Index(values, dtype=object)), np.int64) for values in (truth, predicted)
        )
    groups = pd.factorize(test[spec.evaluation.group])[0] if spec.evaluation.group else None
    judged = Judged(truth, classes, find_positive(spec.evaluation.positive, classes) if classes else 1, groups)
    answers = Answers("candidate", "measured", predicted, proba)
    return tuple(
        measure_with_interval(metric, judged, answers, draws=spec.evaluation.bootstrap_draws) for metric in metrics
    )


def count_parameters(model: Any) -> int | None:
    """Return how many numbers were learnt: a network's weights, a linear model's coefficients; None for what has no such."""
    if model.backend == "keras":
        return int(model.network.count_params())
    estimator: Any = dict(getattr(model.pipeline, "steps", [])).get("model")
    if not hasattr(estimator, "coef_"):
        return None
    return int(np.size(estimator.coef_) + np.size(estimator.intercept_))


@lru_cache(maxsize=1)
def name_commit() -> str:
    """Return the commit that this process began with, with a `+` where tasks, infra or projects differ from it; empty outside a repository."""

    def git(*words: str) -> str:
        told = subprocess.run(["git", *words], cwd=FOLDER, capture_output=True, text=True, check=False)
        return told.stdout.strip()

    return git("rev-parse", "--short=12", "HEAD") + (
        "+" if git("status", "--porcelain", "--", ":/tasks", ":/infra", ":/projects") else ""
    )

"""The step of training: candidates compared, the chosen one fitted and stored."""

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from infra.artifacts.reference import ArtifactRef
from tasks.contracts.data import SplitRef
from tasks.contracts.models import FitReport, ModelRef
from tasks.contracts.runs import RunContext
from tasks.policies import step
from tasks.workbench import JSON, Workbench, opened

if TYPE_CHECKING:
    from tasks.training.fitting import FitResult, FittedCandidate

logger = logging.getLogger(__name__)

MODEL = "application/vnd.keepfit.model+zip"
EVENTS = "application/vnd.tensorboard.events"


@step
def train(run: RunContext, parts: SplitRef) -> FitReport:
    """Return the chosen candidate and those tested beside it, fitted on the training rows alone."""
    from tasks.training.fitting import fit_project

    with opened(run) as bench:
        result = fit_project(bench.spec, bench.read_frame(parts.train), bench.plugin_loader(), tell_progress)
        report = FitReport(
            chosen=_store(bench, result.chosen),
            beside=tuple(_store(bench, one) for one in result.beside),
            selection=result.selection,
            class_prior=result.class_prior,
            history=_store_history(bench, result),
            events=_store_events(bench, result),
            seed=bench.spec.seed,
            libraries=result.libraries,
            hardware=result.hardware,
            seconds=result.seconds,
            cpu_seconds=result.cpu_seconds,
            gpu_seconds=result.gpu.seconds,
            peak_memory_mb=result.peak_memory_mb,
            gpu_peak_memory_mb=result.gpu.peak_memory_mb,
        )
    best = next(score for score in report.selection if score.chosen)
    logger.info("%s of %d: %s %.3f ± %.3f", best.candidate, len(report.selection), best.metric, best.mean, best.std)
    return report


def tell_progress(what: str, done: int, of: int, metrics: Mapping[str, float]) -> None:
    """Say how far training is; the command line shows it beside the spinner, the UI as a bar and a log line."""
    figures = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
    told = {"what": what, "done": done, "of": of, "figures": figures}
    logger.info("%s %d of %d%s", what, done, of, f": {figures}" if figures else "", extra={"training": told})


def _store(bench: Workbench, fitted: "FittedCandidate") -> ModelRef:
    from tasks.models.saving import save_model

    network = bench.spec.candidates[fitted.name].network
    path = bench.scratch / f"{fitted.name}.model"
    content = save_model(fitted.model, path)
    return ModelRef(
        candidate=fitted.name,
        backend=fitted.model.backend,
        artifact=bench.store.put_file(path, MODEL),
        content=content,
        classes=fitted.model.classes,
        fit_seconds=fitted.fit_seconds,
        borrowed=network.borrowed if network else (),
    )


def _store_history(bench: Workbench, result: "FitResult") -> ArtifactRef | None:
    if not result.history:
        return None
    return bench.store.put_bytes(json.dumps(result.history, sort_keys=True).encode(), JSON)


def _store_events(bench: Workbench, result: "FitResult") -> dict[str, ArtifactRef]:
    from tasks.training.event_files import write_events

    return {name: bench.store.put_bytes(write_events(told), EVENTS) for name, told in sorted(result.history.items())}

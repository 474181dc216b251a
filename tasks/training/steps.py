"""The steps of training: candidates compared, the chosen one fitted and stored; and candidates studied, with nothing kept but what was seen."""

import json
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from infra.artifacts.reference import ArtifactRef
from tasks.contracts.data import SplitRef
from tasks.contracts.export import OnnxExport
from tasks.contracts.models import FitReport, ModelRef
from tasks.contracts.runs import RunContext
from tasks.contracts.study_report import CandidateStudy
from tasks.policies import POLICIES, source_digest, step
from tasks.workbench import HTML, JSON, PNG, Workbench, opened

if TYPE_CHECKING:
    from tasks.models.model import Load
    from tasks.training.checkpoints import StoredCheckpoints
    from tasks.training.fitting import FitResult, FittedCandidate
    from tasks.training.studies import Study
    from tasks.training.study.nesting import Tune
    from tasks.training.tuning import TrialDesk

logger = logging.getLogger(__name__)

MODEL = "application/vnd.keepfit.model+zip"
ONNX_FILE = "application/vnd.onnx"
EVENTS = "application/vnd.tensorboard.events"


@step
def train(run: RunContext, parts: SplitRef) -> FitReport:
    """Return the chosen candidate and those tested beside it, fitted on the training rows alone."""
    from tasks.training.fitting import fit_project
    from tasks.training.rows import open_table

    with opened(run) as bench:
        desk = _open_desk(bench, parts)
        table = open_table(bench.fetch(parts.train), bench.spec, bench.scratch)
        result = fit_project(bench.spec, table, bench.plugin_loader(), tell_progress, desk)
        chosen = _store(bench, result.chosen)
        report = FitReport(
            chosen=chosen,
            beside=tuple(_store(bench, one) for one in result.beside),
            selection=result.selection,
            tuned=result.tuned.candidates,
            studies=_store_studies(bench, result),
            class_prior=result.class_prior,
            centre=result.centre,
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
            export=_export(bench, parts, chosen) if bench.spec.export.onnx else None,
        )
    best = next(score for score in report.selection if score.chosen)
    logger.info("%s of %d: %s %.3f ± %.3f", best.candidate, len(report.selection), best.metric, best.mean, best.std)
    return report


@step
def study(run: RunContext, parts: SplitRef, candidates: tuple[str, ...]) -> CandidateStudy:
    """Return what the candidates suffer from, measured on the training rows alone, with its pictures and its page."""
    from tasks.training.rows import open_table
    from tasks.training.study.measurement import study_candidates
    from tasks.training.study.page import render_page
    from tasks.training.study.pictures import draw_study

    with opened(run) as bench:
        rows, load = open_table(bench.fetch(parts.train), bench.spec, bench.scratch), bench.plugin_loader()
        report = study_candidates(bench.spec, rows, load, tell_progress, candidates, tune=_tuner(bench, load))
        drawn = draw_study(report)
        pictures = {title: bench.store.put_bytes(data, PNG) for title, data in drawn.items()}
        page = bench.store.put_bytes(render_page(report, drawn).encode(), HTML)
    logger.info("%s", "; ".join(f"{each.candidate}: {', '.join(each.findings)}" for each in report.diagnoses))
    return report.model_copy(update={"pictures": pictures, "page": page})


def _open_desk(bench: Workbench, parts: SplitRef) -> "TrialDesk":
    """Return where the trials of this step are kept: in the registry, under what they compute."""
    from tasks.training.tuning import TrialDesk
    from tasks.training.workers import Request, local_workers

    def helped(study: "Study") -> AbstractContextManager[object]:
        request = Request(run=bench.run, rows=parts.train, candidate=study.candidate, study=study.key)
        tuning = bench.spec.tuning
        return local_workers(request, tuning.workers - 1 if tuning.workers_on == "machine" else 0)

    return TrialDesk(bench.registry, _name_code(bench), helped, _open_shelf(bench))


def _open_shelf(bench: Workbench) -> "StoredCheckpoints":
    """Return where the checkpoints of this step are kept: in the store, under what they compute."""
    from tasks.training.checkpoints import StoredCheckpoints

    return StoredCheckpoints(bench.registry, bench.store, bench.spec.name, _name_code(bench))


def _name_code(bench: Workbench) -> str:
    """Return what makes the trials: keepfit's own code with its lock, and the project's."""
    return f"{source_digest(POLICIES['train'].stage)} {bench.run.code}"


def _tuner(bench: Workbench, load: "Load") -> "Tune":
    """Return what a run does to its candidates before it selects: on the same rows it finds the trials of a run, or a run finds its.

    Nobody helps: helpers read the training rows, and a nested estimate tunes on parts of them.
    """
    from tasks.training.tuning import TrialDesk, tune_candidates

    desk = TrialDesk(bench.registry, _name_code(bench))
    return lambda spec, rows: tune_candidates(spec, rows, load, tell_progress, desk).spec


def assist(run: RunContext, parts: SplitRef) -> None:
    """Work on the trials of this training until all have ended, for a run that trains at the same time elsewhere."""
    from tasks.training.rows import open_table
    from tasks.training.tuning import TrialDesk, tune_candidates

    with opened(run) as bench:
        desk = TrialDesk(bench.registry, _name_code(bench), shelf=_open_shelf(bench))
        table = open_table(bench.fetch(parts.train), bench.spec, bench.scratch)
        tune_candidates(bench.spec, table, bench.plugin_loader(), tell_progress, desk)


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
        pace=getattr(fitted.model, "pace", None),
        borrowed=network.borrowed if network else (),
        network=fitted.model.trained,
    )


def _export(bench: Workbench, parts: SplitRef, chosen: ModelRef) -> OnnxExport:
    """Return what came of the model's export as ONNX, its files stored; a converter that fails costs no more than the file."""
    from tasks.training.exporting import INT8, ONNX, export_stored

    folder = bench.scratch / "export"
    folder.mkdir()
    made = export_stored(bench.store, chosen, parts.test, bench.spec, folder)
    if made.status != "exported":
        logger.warning("%s is not exported as ONNX: %s", chosen.candidate, made.reason)
        return made
    logger.info("%s as ONNX, %s of it", chosen.candidate, made.covers)
    file = bench.store.put_file(folder / ONNX, ONNX_FILE)
    int8 = made.int8
    if int8 is not None and int8.status == "kept":
        int8 = int8.model_copy(update={"file": bench.store.put_file(folder / INT8, ONNX_FILE)})
    return made.model_copy(update={"file": file, "int8": int8})


def _store_history(bench: Workbench, result: "FitResult") -> ArtifactRef | None:
    if not result.history:
        return None
    return bench.store.put_bytes(json.dumps(result.history, sort_keys=True).encode(), JSON)


def _store_studies(bench: Workbench, result: "FitResult") -> ArtifactRef | None:
    if not result.tuned.studies:
        return None
    plain = [json.loads(study.model_dump_json()) for study in result.tuned.studies]
    return bench.store.put_bytes(json.dumps(plain, sort_keys=True).encode(), JSON)


def _store_events(bench: Workbench, result: "FitResult") -> dict[str, ArtifactRef]:
    from tasks.training.event_files import write_events

    return {name: bench.store.put_bytes(write_events(told), EVENTS) for name, told in sorted(result.history.items())}

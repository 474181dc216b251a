"""The step of scoring: all models answer the frozen test rows, in one fresh process."""

import logging
from typing import TYPE_CHECKING

from infra.errors import SpecError, name_values
from tasks.contracts.champions import ChampionRef
from tasks.contracts.data import SplitRef
from tasks.contracts.evaluation import ScoredRows
from tasks.contracts.models import FitReport
from tasks.contracts.project import ProjectSpec
from tasks.contracts.release import Manifest
from tasks.contracts.runs import RunContext
from tasks.policies import step
from tasks.scoring.answers import seen_by_champion
from tasks.scoring.fresh import Contender, Request, ask_fresh_process
from tasks.workbench import Workbench, opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)


@step
def score(run: RunContext, parts: SplitRef, fit: FitReport, champion: ChampionRef) -> ScoredRows:
    """Return the answers of candidate, champion and the models beside, on the same test rows."""
    from infra.frames import read_parquet

    with opened(run) as bench:
        manifest = _read_manifest(bench, champion)
        contenders = [Contender(role="candidate", label=fit.chosen.candidate, model=fit.chosen)]
        if manifest and champion.label:
            _require_same_task(bench.spec, fit, manifest, champion.label)
            features = _find_features(bench, manifest, champion.label)
            contenders.append(Contender(role="champion", label=champion.label, model=manifest.model, features=features))
        contenders += [Contender(role="beside", label=model.candidate, model=model) for model in fit.beside]
        output = bench.scratch / "answers.parquet"
        reply = ask_fresh_process(
            Request(spec=run.spec, rows=parts.test, contenders=tuple(contenders), output=str(output))
        )
        table = read_parquet(output)
        table["comparable"] = ~_seen(bench, parts, manifest)
        logger.info("%d test rows answered by %s", len(table), ", ".join(model.label for model in reply.models))
        return ScoredRows(
            test_digest=parts.test_digest,
            answers=bench.save_frame(table),
            models=reply.models,
            classes=fit.chosen.classes,
            rows=len(table),
            excluded_rows=int((~table["comparable"]).sum()),
        )


def _read_manifest(bench: Workbench, champion: ChampionRef) -> Manifest | None:
    return Manifest.model_validate_json(bench.store.read(champion.manifest)) if champion.manifest else None


def _require_same_task(spec: ProjectSpec, fit: FitReport, manifest: Manifest, label: str) -> None:
    """Refuse to hold values against classes, and sets of some labels against those of others."""
    if spec.labels and tuple(manifest.model.classes) != tuple(spec.labels):
        raise SpecError(
            f"{spec.name}: answers with the labels {name_values(spec.labels)} now, and the champion {label} with "
            f"{name_values(manifest.model.classes)}: they cannot be held against each other.",
            remedy="What is predicted makes a project: give other `labels` a project of their own.",
        )
    if bool(manifest.model.classes) == bool(fit.chosen.classes):
        return
    now, then = ("values", "classes") if manifest.model.classes else ("classes", "values")
    raise SpecError(
        f"{spec.name}: answers with {now} now, and the champion {label} with {then}: they cannot be held against each other.",
        remedy="What is predicted makes a project: give the other target or `task` a project of its own.",
    )


def _find_features(bench: Workbench, manifest: Manifest, label: str) -> tuple[str, ...]:
    """Return what the champion was trained with: the project may have other features by now, but needs its columns."""
    trained = ProjectSpec.model_validate_json(bench.store.read(manifest.spec))
    missing = [name for name in trained.features if name not in bench.spec.columns]
    if missing:
        raise SpecError(
            f"{bench.spec.name}: {label} was trained with {name_values(missing)}, which project.yaml has no more: without "
            "it the champion cannot answer, and nothing can be held against it.",
            remedy="Keep the column with `feature: false` until another model is champion.",
        )
    return tuple(trained.features)


def _seen(bench: Workbench, parts: SplitRef, manifest: Manifest | None) -> "NDArray[np.bool_]":
    import numpy as np

    if manifest is None or manifest.split.train == parts.train:
        return np.zeros(parts.test_rows, dtype=np.bool_)
    trained_on = bench.read_frame(manifest.split.train)
    seen = seen_by_champion(bench.read_frame(parts.test), trained_on, bench.spec)
    return seen.to_numpy(dtype=np.bool_)

"""`keepfit check` and `keepfit new`: is a project sound, and a sound one to begin with."""

import json
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.text import Text

from flows.cli.progress import showing_progress
from flows.cli.render import console
from flows.cli.server import prepare_environment
from infra.errors import KeepfitError, UsageError
from infra.settings import load_settings
from tasks.contracts.project import ProjectSpec
from tasks.project import LoadedProject, create_project, load_project

SAMPLE_ROWS = 200
PROBE_EPOCHS = 1


class Sound(NamedTuple):
    """One thing that was tried and worked."""

    what: str
    detail: str


def check_project(name: str, *, as_json: bool) -> None:
    """Print what was tried, one line each; the first thing that does not work ends with its error."""
    prepare_environment(load_settings())
    done: list[Sound] = []
    with showing_progress(quiet=as_json):
        for sound in _examine(load_project(load_settings().projects, name)):
            done.append(sound)
            if not as_json:
                console.print(Text.assemble(("✓ ", "green"), f"{sound.what:<12} {sound.detail}"), soft_wrap=True)
    if as_json:
        print(json.dumps({"project": name, "sound": True, "checks": [sound._asdict() for sound in done]}, indent=2))
    else:
        console.print(f"{name} is sound. `keepfit run {name}` makes a version.")


def _examine(project: LoadedProject) -> Iterator[Sound]:
    spec = project.spec
    yield Sound("project.yaml", f"{len(spec.features)} features, {len(spec.candidates)} candidates")
    yield _check_metrics(project)
    from tasks.ingestion.reading import read_source
    from tasks.ingestion.windows import read_as_scored

    raw_rows, source = read_source(spec, project.folder.path, datetime.now(UTC), project.load)
    yield Sound("source", f"{len(raw_rows):,} rows of {raw_rows.shape[1]} columns from {source}")
    from tasks.validation.contract import validate_frame

    outcome = validate_frame(raw_rows, spec, read_as_scored(project, raw_rows))
    yield Sound("contract", f"{len(outcome.checks)} checks, {len(outcome.accepted):,} rows accepted")
    from tasks.preparation.splitting import split_rows

    train, test = split_rows(outcome.accepted, spec)
    yield Sound("split", f"{len(train):,} rows to train, {len(test):,} to test")
    sample = _sample(outcome.accepted.iloc[train], spec)
    from tasks.models.searched import give_first_values, require_known_parameters

    tried = _quick(give_first_values(spec))
    for candidate in spec.candidates:
        require_known_parameters(spec, candidate)
        yield _round_trip(candidate, tried, sample, project.load)


def _check_metrics(project: LoadedProject) -> Sound:
    from tasks.metrics.own import load_own
    from tasks.metrics.registry import find_metric

    spec = project.spec
    own = load_own(spec.evaluation.metrics, project.load)
    names = [spec.evaluation.metric, *spec.evaluation.also, *spec.gate.floors, *spec.gate.guards]
    for name in names:
        find_metric(name, own=own)
    return Sound("metrics", ", ".join(dict.fromkeys(names)))


def _sample(rows: pd.DataFrame, spec: ProjectSpec) -> pd.DataFrame:
    if spec.is_regression or spec.labels:
        return rows.sample(min(SAMPLE_ROWS, len(rows)), random_state=0).reset_index(drop=True)
    share = min(1.0, SAMPLE_ROWS / len(rows))
    parts = [
        part.sample(n=max(2, round(len(part) * share)), replace=len(part) < 2, random_state=0)
        for _, part in rows.groupby(spec.target, observed=True)
    ]
    return pd.concat(parts).reset_index(drop=True)


def _quick(spec: ProjectSpec) -> ProjectSpec:
    candidates = {
        name: candidate.model_copy(update={"network": candidate.network.model_copy(update={"epochs": PROBE_EPOCHS})})
        if candidate.network
        else candidate
        for name, candidate in spec.candidates.items()
    }
    return spec.model_copy(update={"candidates": candidates})


def _round_trip(
    name: str, spec: ProjectSpec, rows: pd.DataFrame, load: Callable[[str], Callable[..., object]]
) -> Sound:
    from tasks.models.loading import load_model
    from tasks.models.recipes import fit_candidate
    from tasks.models.saving import save_model

    model = fit_candidate(name, spec, rows, load=load)
    features = rows[list(spec.features)]
    with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
        path = Path(scratch) / "model"
        content = save_model(model, path)
        again = load_model(path, content, load)
    if not (again.predict(features) == model.predict(features)).all():
        raise KeepfitError(
            f"candidate {name}: after saving and loading it answers differently.",
            remedy="Something of the model is not in its artifact; look at what its build function keeps outside.",
        )
    return Sound(name, f"fits {len(rows)} rows, saves, loads and answers the same")


def new_project(name: str) -> None:
    """Make the folder and say what to do with it."""
    if not name:
        raise UsageError("Expected a name for the project, received nothing.")
    path = create_project(load_settings().projects, name)
    console.print(f"Made {path}/. It works as it is:", soft_wrap=True)
    console.print(f"  keepfit check {name}\n  keepfit run {name}")
    console.print(
        "Then put your own source, columns and candidates into project.yaml; docs/projects.md explains each key."
    )

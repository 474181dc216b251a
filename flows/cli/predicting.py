"""`keepfit predict`: the champion answers the rows of a file."""

import json
import os
import tempfile
from pathlib import Path

import pandas as pd

from flows.cli.progress import showing_progress
from flows.cli.render import console
from flows.cli.server import prepare_environment
from infra.errors import DataError, SourceError, UsageError
from infra.frames import write_parquet
from infra.settings import load_settings
from infra.workspace import open_workspace
from tasks.contracts.project import ProjectSpec
from tasks.ingestion.reading import PARQUET_ENDINGS, read_file
from tasks.project import functions_of, load_project
from tasks.release.stored import StoredVersion, find_champion_version
from tasks.validation.serving import conform_features

ENDINGS = (".csv", *PARQUET_ENDINGS)


def predict_file(project: str, file: Path, output: Path | None, *, as_json: bool) -> None:
    """Write the champion's answers for the rows of a file, beside it or where `output` says.

    Raises
    ------
    UsageError
        The file's kind is unknown, the project has no champion, or nothing can be written where `output` says.
    DataError
        The file lacks columns, holds no rows, or values that the model cannot take.
    """
    prepare_environment(load_settings())
    load_project(load_settings().projects, project)
    _require_file(file)
    target = output or file.with_name(f"{file.stem}.predictions.csv")
    _require_place(target, file)
    version = find_champion_version(project)
    with showing_progress(quiet=as_json):
        answers = _answer(version, file)
    _write(answers, target)
    if as_json:
        print(json.dumps({"version": version.label, "rows": len(answers), "output": str(target)}))
        return
    shares = answers["prediction"].value_counts(normalize=True).head(5)
    console.print(f"{len(answers):,} rows answered by {version.label}: {target}", soft_wrap=True)
    console.print("  " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()))


def _require_file(file: Path) -> None:
    if not file.is_file():
        raise UsageError(
            f"Expected a file, found none at {file}.", remedy="A CSV or Parquet file with the feature columns."
        )
    if file.suffix.lower() not in ENDINGS:
        raise UsageError(f"{file.name}: expected {' or '.join(ENDINGS)}, received {file.suffix or 'no ending'}.")


def _require_place(target: Path, file: Path) -> None:
    if not target.parent.is_dir() or target.is_dir():
        found = "a folder" if target.is_dir() else "no folder to write it in"
        raise UsageError(f"--output: expected the path of a file, found {found} at {target}.")
    if target.exists() and target.samefile(file):
        raise UsageError(f"--output: {target} is the file that is asked.", remedy="Name another: it would be lost.")


def _write(answers: pd.DataFrame, target: Path) -> None:
    partial = target.with_name(f".{target.name}.partial")
    try:
        if target.suffix.lower() in PARQUET_ENDINGS:
            write_parquet(answers, partial)
        else:
            answers.to_csv(partial, index=False)
        os.replace(partial, target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(
            f"{target}: the answers cannot be written: {error.strerror}.", remedy="Name another place with --output."
        ) from error


def _answer(version: StoredVersion, file: Path) -> pd.DataFrame:
    from tasks.models.loading import load_model
    from tasks.scoring.predicting import predict_rows, select_features

    store = open_workspace().store
    spec = ProjectSpec.model_validate_json(store.read(version.manifest.spec))
    try:
        rows = read_file(file, spec)
    except SourceError as error:  # its remedy speaks of project.yaml
        raise DataError(
            f"{file.name} cannot be read: {error.message}",
            remedy="Give a whole CSV or Parquet file with the feature columns.",
        ) from error
    features = conform_features(select_features(rows, spec), spec)
    model_ref = version.manifest.model
    with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
        path = store.fetch(model_ref.artifact, Path(scratch) / "model")
        model = load_model(path, model_ref.content, functions_of(load_settings().projects, version.row.project))
        return predict_rows(model, rows, features, spec, version.label)

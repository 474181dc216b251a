"""`keepfit predict`: the champion answers the rows of a file."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from flows.cli.progress import showing_progress
from flows.cli.render import console
from flows.cli.versions import StoredVersion, find_champion_version
from infra.errors import DataError, UsageError
from infra.frames import read_parquet
from infra.settings import load_settings
from infra.workspace import open_workspace
from tasks.contracts.project import ProjectSpec
from tasks.project import load_project
from tasks.validation.serving import conform_features

READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": pd.read_csv,
    ".parquet": read_parquet,
    ".pq": read_parquet,
}


def predict_file(project: str, file: Path, output: Path | None, *, as_json: bool) -> None:
    """Write the champion's answers for the rows of a file, beside it or where `output` says.

    Raises
    ------
    UsageError
        The file's kind is unknown, or the project has no champion.
    DataError
        The file lacks columns, holds no rows, or values that the model cannot take.
    """
    load_project(load_settings().projects, project)
    rows = read_rows(file)
    version = find_champion_version(project)
    target = output or file.with_name(f"{file.stem}.predictions.csv")
    with showing_progress(quiet=as_json):
        answers = _answer(version, rows)
    partial = target.with_name(f".{target.name}.partial")
    answers.to_csv(partial, index=False)
    os.replace(partial, target)
    if as_json:
        print(json.dumps({"version": version.label, "rows": len(answers), "output": str(target)}))
        return
    shares = answers["prediction"].value_counts(normalize=True).head(5)
    console.print(f"{len(answers):,} rows answered by [bold]{version.label}[/]: {target}", soft_wrap=True)
    console.print("  " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()))


def read_rows(file: Path) -> pd.DataFrame:
    """Return the rows of a CSV or Parquet file, by its ending."""
    if not file.is_file():
        raise UsageError(
            f"Expected a file, found none at {file}.", remedy="A CSV or Parquet file with the feature columns."
        )
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise UsageError(f"{file.name}: expected .csv or .parquet, received {file.suffix or 'no ending'}.")
    try:
        return reader(file)
    except (ValueError, OSError) as error:  # pandas and pyarrow raise both for files that are not what they say
        raise DataError(f"{file}: cannot be read as {file.suffix[1:]}: {str(error).splitlines()[0]}") from error


def _answer(version: StoredVersion, rows: pd.DataFrame) -> pd.DataFrame:
    import tempfile

    from tasks.models.loading import load_model
    from tasks.scoring.predicting import predict_rows, select_features

    store = open_workspace().store
    spec = ProjectSpec.model_validate_json(store.read(version.manifest.spec))
    features = conform_features(select_features(rows, spec), spec)
    model_ref = version.manifest.model
    with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
        path = store.fetch(model_ref.artifact, Path(scratch) / "model")
        model = load_model(path, expected_content=model_ref.content)
        return predict_rows(model, rows, features, spec, version.label)

"""`keepfit rerun`: train a version again from what was recorded, and compare."""

import json
import logging
import platform
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.text import Text

from flows.cli.progress import showing_progress
from flows.cli.render import console, fail_after_answer, rows_table
from flows.cli.server import prepare_environment
from infra.errors import KeepfitError, name_values
from infra.frames import read_parquet
from infra.settings import load_settings
from infra.workspace import open_workspace
from tasks.contracts.project import ProjectSpec
from tasks.project import load_project
from tasks.release.stored import StoredVersion, find_version
from tasks.release.versions import describe_code

logger = logging.getLogger(__name__)


def rerun_version(label: str, *, as_json: bool) -> None:
    """Train again and print both digests; say what differs where they differ.

    The models that were tested beside the chosen one are trained again as well.

    Raises
    ------
    KeepfitError
        A model that came out is another one.
    """
    prepare_environment(load_settings())
    version = find_version(label)
    fit = version.manifest.fit
    recorded = {model.candidate: model.content for model in (fit.chosen, *fit.beside)}
    with showing_progress(quiet=as_json):
        again = train_again(version, list(recorded))
    differences = find_differences(version)
    if as_json:
        facts = {"version": label, "recorded": recorded, "again": again, "equal": again == recorded}
        print(json.dumps({**facts, "differences": differences}, indent=2))
    else:
        _print(recorded, again, differences)
    other = [name for name, content in recorded.items() if again[name] != content]
    if other:
        named = ", ".join(differences) or "nothing that is recorded: a source of randomness is not under control"
        error = KeepfitError(f"{label}: training again gave another {name_values(other)}. What differs: {named}.")
        fail_after_answer(error, as_json=as_json)


def _print(recorded: dict[str, str], again: dict[str, str], differences: dict[str, tuple[Any, Any]]) -> None:
    for name, content in recorded.items():
        mark = ("✓ the same model", "green") if again[name] == content else ("✗ another model", "red")
        console.print(Text.assemble(mark, f"  {name}\n  recorded  {content}\n  again     {again[name]}"))
    if differences:
        rows = [(name, then, now) for name, (then, now) in differences.items()]
        console.print(rows_table(("what differs", "then", "now"), rows))


def train_again(version: StoredVersion, candidates: list[str]) -> dict[str, str]:
    """Return the content digests of the models that the recorded rows, spec and seeds give now."""
    from tasks.models.recipes import fit_candidate
    from tasks.models.saving import save_model
    from tasks.models.searched import give_tuned

    store = open_workspace().store
    recorded = ProjectSpec.model_validate_json(store.read(version.manifest.spec))
    spec = give_tuned(recorded, version.manifest.fit.tuned)
    project = load_project(load_settings().projects, version.row.project)
    with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
        rows = read_parquet(store.fetch(version.manifest.split.train, Path(scratch) / "train.parquet"))
        return {
            name: save_model(
                fit_candidate(name, spec, rows, load=project.load, on_epoch=_tell_epoch), Path(scratch) / "model"
            )
            for name in candidates
        }


def _tell_epoch(epoch: int, of: int, metrics: Mapping[str, float]) -> None:
    figures = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
    logger.info("epoch %d of %d: %s", epoch, of, figures)


def find_differences(version: StoredVersion) -> dict[str, tuple[Any, Any]]:
    """Return what is not as it was when the version was made: name, then, now."""
    then, now = version.manifest, load_project(load_settings().projects, version.row.project)
    code = describe_code(now.code)
    pairs: dict[str, tuple[Any, Any]] = {
        "commit": (then.code.commit, code.commit),
        "uncommitted changes": (_digest(then.code.dirty_diff), _digest(code.dirty_diff)),
        "lock": (then.code.lock, code.lock),
        "project code": (then.code.project_code, now.code),
        "machine": (then.fit.hardware.machine, platform.machine()),
    }
    for name, version_then in then.fit.libraries.items():
        version_now = platform.python_version() if name == "python" else metadata.version(name)
        pairs[name] = (version_then, version_now)
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _digest(ref: Any) -> str | None:
    return ref.digest if ref else None

"""`keepfit rerun`: train a version again from what was recorded, and compare."""

import json
import platform
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from flows.cli.progress import showing_progress
from flows.cli.render import console, rows_table
from flows.cli.versions import StoredVersion, find_version
from infra.errors import KeepfitError
from infra.frames import read_parquet
from infra.settings import load_settings
from infra.workspace import open_workspace
from tasks.contracts.project import ProjectSpec
from tasks.project import load_project
from tasks.release.versions import describe_code


def rerun_version(label: str, *, as_json: bool) -> None:
    """Train again and print both digests; say what differs where they differ.

    Raises
    ------
    KeepfitError
        The model that came out is another one.
    """
    version = find_version(label)
    with showing_progress(quiet=as_json):
        content = train_again(version)
    recorded = version.manifest.model.content
    differences = find_differences(version)
    if as_json:
        facts = {"version": label, "recorded": recorded, "again": content, "equal": content == recorded}
        print(json.dumps({**facts, "differences": differences}, indent=2))
    else:
        mark = "[green]✓ the same model[/]" if content == recorded else "[red]✗ another model[/]"
        console.print(f"{mark}\n  recorded  {recorded}\n  again     {content}")
        if differences:
            rows = [(name, then, now) for name, (then, now) in differences.items()]
            console.print(rows_table(("what differs", "then", "now"), rows))
    if content != recorded:
        named = ", ".join(differences) or "nothing that is recorded: a source of randomness is not under control"
        raise KeepfitError(f"{label}: training again gave another model. What differs: {named}.")


def train_again(version: StoredVersion) -> str:
    """Return the content digest of the model that the recorded rows, spec and seeds give now."""
    from tasks.models.recipes import fit_candidate
    from tasks.models.saving import save_model

    store = open_workspace().store
    spec = ProjectSpec.model_validate_json(store.read(version.manifest.spec))
    project = load_project(load_settings().projects, version.row.project)
    with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
        rows = read_parquet(store.fetch(version.manifest.split.train, Path(scratch) / "train.parquet"))
        model = fit_candidate(version.manifest.model.candidate, spec, rows, load=project.load)
        return save_model(model, Path(scratch) / "model")


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

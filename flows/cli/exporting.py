"""`keepfit export`: the ONNX file of a version, its bytes verified, or made now where none was made with it."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from flows.cli.progress import showing_progress
from flows.cli.render import console
from infra.errors import UsageError
from infra.settings import load_settings
from infra.workspace import open_workspace
from tasks.contracts.export import OnnxExport
from tasks.contracts.project import ProjectSpec
from tasks.project import load_project
from tasks.release.exports import describe_export
from tasks.release.stored import StoredVersion, find_champion_version, find_version


class Found(NamedTuple):
    """An ONNX file, what came of its making, and whether that was when the version was made."""

    content: bytes
    export: OnnxExport
    recorded: bool


def export_version(name: str, output: Path, *, int8: bool, as_json: bool) -> None:
    """Write the ONNX file of a version, or of a project's champion.

    Raises
    ------
    UsageError
        It cannot be exported, with the reason; or nothing can be written where `output` says.
    IntegrityError, BlobNotFound
        The store does not have the bytes that were checked.
    """
    version = _find(name)
    with showing_progress(quiet=as_json):
        found = _find_file(version, int8=int8) or _make_now(version, int8=int8)
    _write(output, found.content)
    digest = hashlib.sha256(found.content).hexdigest()
    if as_json:
        facts = {"version": version.label, "output": str(output), "digest": digest, "size_bytes": len(found.content)}
        made = json.loads(found.export.model_dump_json())
        print(json.dumps({**facts, "recorded": found.recorded, "export": made}, indent=2))
        return
    console.print(f"{version.label}: {len(found.content):,} bytes of ONNX, sha256 {digest}: {output}", soft_wrap=True)
    for line in describe_export(found.export):
        console.print(f"  {line}", soft_wrap=True)
    if not found.recorded:
        console.print("  made now and not recorded on the version: it was trained without `export`.", soft_wrap=True)


def _find(name: str) -> StoredVersion:
    if "@" in name:
        return find_version(name)
    load_project(load_settings().projects, name)
    return find_champion_version(name)


def _find_file(version: StoredVersion, *, int8: bool) -> Found | None:
    """Return the file that was made when the version was; None where there is none."""
    made = version.manifest.fit.export
    if made is None:
        return None
    ref = made.file if not int8 else made.int8.file if made.int8 else None
    return None if ref is None else Found(open_workspace().store.read(ref), made, recorded=True)  # reading verifies


def _make_now(version: StoredVersion, *, int8: bool) -> Found:
    from tasks.training.exporting import INT8, ONNX, export_stored

    store, manifest = open_workspace().store, version.manifest
    spec = ProjectSpec.model_validate_json(store.read(manifest.spec))
    asked = spec.model_copy(update={"export": spec.export.model_copy(update={"onnx": True, "int8": int8})})
    with tempfile.TemporaryDirectory(prefix="keepfit-") as scratch:
        folder = Path(scratch)
        made = export_stored(store, manifest.model, manifest.split.test, asked, folder)
        file = folder / (INT8 if int8 else ONNX)
        if made.status != "exported" or not file.is_file():
            reason = made.int8.reason if made.int8 and made.int8.reason else made.reason
            raise UsageError(
                f"{version.label} cannot be exported as ONNX{' with 8-bit weights' if int8 else ''}: {reason}."
            )
        return Found(file.read_bytes(), made, recorded=False)


def _write(output: Path, content: bytes) -> None:
    partial = output.with_name(f".{output.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, output)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(
            f"--output: {output} cannot be written: {error.strerror}.", remedy="Name another path."
        ) from error

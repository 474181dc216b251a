"""`keepfit doctor`: is everything that a run needs there and consistent; each fault with its remedy."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import NamedTuple
from urllib.parse import urlsplit

from flows.cli.render import console, fail_after_answer, rows_table
from infra.artifacts.reference import ArtifactRef, references_in
from infra.errors import KeepfitError, name_values
from infra.projects import list_projects
from infra.settings import load_settings
from infra.stack.gpus import find_gpus
from infra.workspace import open_workspace
from tasks.project import load_project
from tasks.release.stored import find_version

FLOORS = {"keras": (3, 15, 1), "skops": (0, 13), "prefect": (3, 6, 25)}
"""Earlier versions have known holes (docs/security.md)."""

MANY = 100_000
RESTORE = "Restore the store to the time of the database, or later."


class Finding(NamedTuple):
    """One thing looked at."""

    what: str
    ok: bool
    detail: str
    remedy: str = ""


def examine(*, as_json: bool) -> None:
    """Print what was found; fail where something is broken."""
    findings = [finding for probe in PROBES for finding in _guarded(probe)]
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings], indent=2))
    else:
        rows = [("✓" if f.ok else "✗", f.what, f.detail, "" if f.ok else f.remedy) for f in findings]
        console.print(rows_table(("", "what", "found", "remedy"), rows))
    broken = [finding for finding in findings if not finding.ok]
    if broken:
        error = KeepfitError(f"{len(broken)} of {len(findings)} checks failed: {', '.join(f.what for f in broken)}.")
        fail_after_answer(error, as_json=as_json)


def _guarded(probe: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from probe()
    except KeepfitError as error:
        yield Finding(probe.__name__.removeprefix("_probe_"), ok=False, detail=error.message, remedy=error.remedy)


def _probe_python() -> Iterator[Finding]:
    version = sys.version.split()[0]
    ok = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Finding("python", ok, version, "Use Python 3.11 to 3.13.")


def _probe_packages() -> Iterator[Finding]:
    for name, floor in FLOORS.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = "not installed"
        found = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
        yield Finding(name, found >= floor, version, f"Install at least {'.'.join(map(str, floor))}: `make install`.")


def _probe_settings() -> Iterator[Finding]:
    settings = load_settings()
    home = settings.home.resolve()
    nearest = next(place for place in (home, *home.parents) if place.exists())
    writable = nearest.is_dir() and os.access(nearest, os.W_OK)
    detail = str(home) if writable else f"{home}: {nearest} cannot be written to"
    yield Finding("home", writable, detail, "Set KEEPFIT_HOME to a folder of yours.")
    yield Finding("prefect", True, _name_server())


def _name_server() -> str:
    given = os.environ.get("PREFECT_API_URL")
    if not given:
        return "a temporary server for each run"
    url = urlsplit(given)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"  # without name and password


def _probe_devices() -> Iterator[Finding]:
    """Say what networks may be trained on; none is no fault."""
    seen = len(find_gpus())
    means = "compute.precision: auto trains in float32" if not seen else f"compute.devices: up to {seen}"
    yield Finding("gpus", True, f"{seen or 'none'} seen; {means}")


def _probe_store() -> Iterator[Finding]:
    workspace = open_workspace()
    workspace.store.probe()
    yield Finding("store", True, workspace.store.url)


def _probe_database() -> Iterator[Finding]:
    registry = open_workspace().registry
    registry.ping()
    yield Finding("database", True, f"{registry}, schema {registry.schema_version()}")


def _probe_projects() -> Iterator[Finding]:
    root = load_settings().projects
    for folder in list_projects(root):
        try:
            load_project(root, folder.name)
            yield Finding(f"project {folder.name}", True, "project.yaml is sound")
        except KeepfitError as error:
            yield Finding(f"project {folder.name}", False, error.message, error.remedy)


def _probe_champions() -> Iterator[Finding]:
    """Look whether each champion could be served: its manifest and artifact there, bytes equal to their digests."""
    workspace = open_workspace()
    for project in workspace.registry.projects():
        champion = workspace.registry.champion(project)
        if champion.version is None:
            continue
        label = f"{project}@{champion.version}"
        try:
            workspace.store.read(find_version(label).manifest.model.artifact)
            yield Finding(f"champion {label}", True, "artifact equals its digest")
        except KeepfitError as error:
            yield Finding(f"champion {label}", False, error.message, error.remedy)


def _probe_blobs() -> Iterator[Finding]:
    """Look for rows whose blob is gone; blobs without a row are only unswept."""
    workspace = open_workspace()
    stored = {blob.digest for blob in workspace.store.list_blobs()}
    known: list[ArtifactRef] = list(workspace.registry.known_blobs())
    missing = [ref.digest for ref in known if ref.digest not in stored]
    detail = f"{len(known)} known, {len(stored - {ref.digest for ref in known})} not known (swept later), {len(missing)} missing"
    yield Finding("blobs", not missing, detail, RESTORE)


def _probe_kept() -> Iterator[Finding]:
    """Look for what names bytes that are gone: it is named here, and refused wherever it is asked for."""
    stored = {blob.digest for blob in open_workspace().store.list_blobs()}
    for project in open_workspace().registry.projects():
        yield from _find_dangling("versions", "versions", list(_name_versions(project)), project, stored)
        kept = _name_kept(project)
        yield from _find_dangling("batches", "batches, deliveries of labels and reports", kept, project, stored)


def _find_dangling(
    short: str, what: str, named: list[tuple[str, set[str]]], project: str, stored: set[str]
) -> Iterator[Finding]:
    if not named:
        return
    gone = [name for name, digests in named if not digests <= stored]
    detail = f"{len(named)} {what}, {len(gone)} with bytes missing" + (f": {name_values(gone)}" if gone else "")
    yield Finding(f"{short} {project}", not gone, detail, RESTORE)


def _name_versions(project: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each version with the digests of all that its manifest names, or with none that can be there where it is lost."""
    workspace = open_workspace()
    for row in workspace.registry.versions(project):
        try:
            named = references_in((find_version(row.label).manifest, ArtifactRef.model_validate(row.payload["report"])))
            yield row.label, {row.manifest.digest, *(ref.digest for ref in named)}
        except KeepfitError:
            yield row.label, {"a manifest that can be read"}


def _name_kept(project: str) -> list[tuple[str, set[str]]]:
    """Return what monitoring kept of a project, each in words, with the digests of its blobs."""
    registry = open_workspace().registry
    named = []
    for batch in registry.batches(project):
        refs = (batch.rows_blob, batch.predictions_blob, batch.quarantine_blob)
        named.append((f"batch {batch.window}", {ref.digest for ref in refs if ref is not None}))
    for labels in registry.label_deliveries(project):
        named.append((f"labels known at {labels.known_at:%Y-%m-%d %H:%M}", {labels.blob.digest}))
    for report in registry.window_reports(project, limit=MANY):
        named.append((f"report on {report.window}", {report.page} if report.page else set()))
    return named


PROBES: tuple[Callable[[], Iterator[Finding]], ...] = (
    _probe_python,
    _probe_packages,
    _probe_settings,
    _probe_devices,
    _probe_store,
    _probe_database,
    _probe_projects,
    _probe_champions,
    _probe_blobs,
    _probe_kept,
)

"""`keepfit projects`, `show`, `history` and `lineage`: reading what the registry knows."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.cli.render import console, print_figures, print_verdict, rows_table
from infra.artifacts.reference import ArtifactRef
from infra.artifacts.store import BlobStore
from infra.errors import SpecError, UsageError
from infra.projects import list_projects
from infra.registry.records import BreakerRow, ReleaseRow, WindowReportRow
from infra.settings import load_settings
from infra.workspace import open_workspace
from tasks.contracts.models import FitReport, NetworkFit
from tasks.project import load_project
from tasks.release.approval import find_refusals, find_waiting
from tasks.release.exports import describe_export
from tasks.release.stored import StoredVersion, find_version

SHOWN_WINDOWS = 12
"""The newest of the windows that monitoring reported on."""

SHOWN_DIGITS = 8


def list_all(*, as_json: bool) -> None:
    """Print the projects, each with its champion and its last run."""
    rows = [_project_row(folder.name) for folder in list_projects(load_settings().projects)]
    if as_json:
        print(json.dumps(rows, indent=2, default=str))
        return
    columns = {"project": "project", "champion": "champion", "last_run": "last run", "description": "what it is"}
    console.print(rows_table(columns.values(), [[row[name] for name in columns] for row in rows]))
    for label in [label for row in rows for label in row["waiting"]]:
        console.print(f"{label} waits for approval: keepfit approve {label} [--refuse] --why …", soft_wrap=True)


def _project_row(name: str) -> dict[str, Any]:
    registry = open_workspace().registry
    champion = registry.champion(name)
    runs = registry.runs(name, limit=1)
    try:
        description = load_project(load_settings().projects, name).spec.description.strip()
    except SpecError as error:
        description = f"project.yaml is wrong: {error.message.splitlines()[0]}"
    return {
        "project": name,
        "champion": f"{name}@{champion.version}" if champion.version else None,
        "waiting": [proposal.label for proposal in find_waiting(name)],
        "last_run": f"{runs[0].state} {runs[0].started_at:%Y-%m-%d %H:%M}" if runs else None,
        "description": description,
    }


def show_version(label: str, page: Path | None, events: Path | None, *, as_json: bool) -> None:
    """Print one version with its gates and figures."""
    version = find_version(label)
    if page:
        report = ArtifactRef.model_validate(version.row.payload["report"])
        page.write_bytes(open_workspace().store.read(report))
    if events:
        write_event_files(version.manifest.fit, open_workspace().store, events)
    if as_json:
        print(json.dumps(_as_json(version), indent=2))
        return
    print_verdict(version.label, version.verdict)
    print_figures(version.manifest.evaluation, version.manifest.fit)
    console.print(
        f"  made      {version.row.created_at:%Y-%m-%d %H:%M} UTC, trained in {describe_cost(version.manifest.fit)}"
    )
    for line in describe_paces(version.manifest.fit):
        console.print(f"  epochs    {line}", soft_wrap=True)
    if note := version.manifest.fit.hardware.note:
        console.print(f"            {note}", soft_wrap=True)
    if trained := version.manifest.model.network:
        console.print(f"  network   {describe_training(trained)}", soft_wrap=True)
    for place, line in enumerate(describe_export(made) if (made := version.manifest.fit.export) else ()):
        console.print(f"  {'onnx' if place == 0 else '':<10}{line}", soft_wrap=True)
    _print_run(version.row.run_id)
    if version.verdict.decision != "PROMOTE":
        console.print(f"  next      {version.verdict.next_step}", soft_wrap=True)
    _print_approval(version)
    for release in _releases_of(version):
        until = f"{release.until:%Y-%m-%d %H:%M}" if release.until else "now"
        why = "" if release.why == version.verdict.summary else f": {release.why}"
        console.print(
            f"  champion  from {release.at:%Y-%m-%d %H:%M} to {until}, {release.kind} by {release.actor}{why}",
            soft_wrap=True,
        )
    console.print(f"  evidence  keepfit lineage {version.label}")


def write_event_files(fit: FitReport, store: BlobStore, folder: Path) -> None:
    """Write each network's epochs as TensorBoard reads them: a run for each candidate.

    Raises
    ------
    UsageError
        No network was trained.
    """
    from tasks.training.event_files import FILE_NAME

    if not fit.events:
        raise UsageError("--events: no network was trained for this version: it has no epochs.")
    for candidate, ref in fit.events.items():
        (folder / candidate).mkdir(parents=True, exist_ok=True)
        (folder / candidate / FILE_NAME).write_bytes(store.read(ref))


def describe_cost(fit: FitReport) -> str:
    """Return what training took, in words: time, processor, GPU, memory, and which worker it ran on."""
    hardware = fit.hardware
    parts = [f"{fit.seconds:.1f} s: {fit.cpu_seconds:.1f} s of CPU"]
    if fit.gpu_seconds:
        parts.append(f"{fit.gpu_seconds:.1f} s of GPU ({hardware.device_name}, {fit.gpu_peak_memory_mb:,.0f} MB)")
    if fit.peak_memory_mb:
        parts.append(f"{fit.peak_memory_mb:,.0f} MB of memory at most")
    return ", ".join(parts) + (f", by {hardware.worker}" if hardware.worker else "")


def describe_training(trained: NetworkFit) -> str:
    """Return how a network was trained, as far as the machine had a say in it, in words.

    >>> describe_training(NetworkFit(batch_size=16, batch_size_why="16 instead of 32: memory ran out"))
    'batches of 16 rows (16 instead of 32: memory ran out), float32'
    """
    why = f" ({trained.batch_size_why})" if trained.batch_size_why else ""
    shared = f", shared by {trained.devices} devices" if trained.devices > 1 else ""
    return f"batches of {trained.batch_size:,} rows{why}, {trained.precision}{shared}"


def describe_paces(fit: FitReport) -> list[str]:
    """Return where the time of an epoch of each network went, in words."""
    return [
        f"{model.candidate}: {pace.rows_a_second:,.0f} rows a second; an epoch took {pace.input_seconds:.2f} s of waiting for "
        f"rows, {pace.compute_seconds:.2f} s of steps and {pace.other_seconds:.2f} s of the rest"
        for model in (fit.chosen, *fit.beside)
        if (pace := model.pace)
    ]


def _print_run(run_id: str) -> None:
    run = open_workspace().registry.run(run_id)
    why = f": {run.why}" if run.why else ""
    console.print(f"  asked     by {run.trigger}{why}", soft_wrap=True)
    console.print(f"  run       {run_id}, {run.started_at:%Y-%m-%d %H:%M} UTC by {run.actor}", soft_wrap=True)


def _print_approval(version: StoredVersion) -> None:
    project, number, label = version.row.project, version.row.number, version.label
    if refusal := open_workspace().registry.refusal(project, number):
        why = refusal.detail["why"]
        console.print(f"  refused   {refusal.at:%Y-%m-%d %H:%M} by {refusal.actor}: {why}", soft_wrap=True)
    elif label in [proposal.label for proposal in find_waiting(project)]:
        console.print(f"  decide    keepfit approve {label} [--refuse] --why …", soft_wrap=True)


def _releases_of(version: StoredVersion) -> list[ReleaseRow]:
    """The verdict is the first one: by hand, or held against a later champion, a version may serve all the same."""
    releases = open_workspace().registry.history(version.row.project)
    return [row for row in releases if row.version == version.row.number]


def _as_json(version: StoredVersion) -> dict[str, Any]:
    return {
        "version": version.label,
        "created_at": version.row.created_at.isoformat(),
        "verdict": json.loads(version.verdict.model_dump_json()),
        "manifest": json.loads(version.manifest.model_dump_json()),  # model_dump(mode="json") lets NaN through
    }


def show_history(project: str, at: datetime | None = None, *, as_json: bool) -> None:
    """Print who was champion from when to when, and why; with `at`, who was at that time."""
    load_project(load_settings().projects, project)
    registry = open_workspace().registry
    if at is not None:
        _print_champion_at(project, at, registry.champion_at(project, at), as_json=as_json)
        return
    rows = registry.history(project)
    if as_json:
        print(json.dumps([_with_run(row) for row in rows], indent=2))
        return
    served = {row.version for row in rows}
    others = [f"{row.label} ({row.decision})" for row in registry.versions(project) if row.number not in served]
    _print_releases(project, rows)
    if others:
        console.print(f"Never champion: {', '.join(others)}.", soft_wrap=True)
    for number, row in find_refusals(project).items():
        console.print(
            f"Refused: {project}@{number}, {row.at:%Y-%m-%d %H:%M} by {row.actor}: {row.detail['why']}", soft_wrap=True
        )
    _print_breaker(registry.breaker(project))
    _print_windows(registry.window_reports(project, limit=SHOWN_WINDOWS))


def _with_run(row: ReleaseRow) -> dict[str, Any]:
    """Return the release with what started the run that made it, where a run did."""
    told = row.model_dump(mode="json")
    if row.run_id is None:
        return {**told, "run": None}
    run = open_workspace().registry.run(row.run_id)
    asked = {"trigger": run.trigger_kind, "window": run.window, "why": run.why, "parameters": run.parameters}
    return {**told, "run": {"run_id": run.run_id, "flow": run.flow, **asked, "started_at": run.started_at.isoformat()}}


def _print_breaker(row: BreakerRow | None) -> None:
    if row is not None:
        means = "no alarm retrains" if row.state == "open" else "alarms retrain"
        since = f"{row.at:%Y-%m-%d %H:%M}"
        console.print(f"Breaker: {row.state} since {since} by {row.actor}, {means}: {row.why}", soft_wrap=True)


def _print_windows(reports: Sequence[WindowReportRow]) -> None:
    if not reports:
        return
    rows = []
    for row in reports:
        alarm = {True: "alarm", False: "", None: "not to be told"}[row.alarm]
        version = f"{row.project}@{row.version}" if row.version else ""
        reasons = row.evidence.get("reasons")
        why = " ".join(map(str, reasons)) if isinstance(reasons, list) else ""
        rows.append((row.window, row.status, alarm, version, f"{row.as_of:%Y-%m-%d %H:%M}", why))
    console.print(rows_table(("window", "status", "", "champion", "as of (UTC)", "why"), rows))


def _print_champion_at(project: str, at: datetime, row: ReleaseRow | None, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(row.model_dump(mode="json") if row else None, indent=2))
    elif row is None:
        console.print(f"{project} had no champion at {at:%Y-%m-%d %H:%M:%S} UTC.")
    else:
        _print_releases(project, [row])


def _print_releases(project: str, rows: Sequence[ReleaseRow]) -> None:
    if not rows:
        console.print(f"{project} has had no champion yet. `keepfit run {project}` makes one.")
        return
    lines = [
        (
            row.seq,
            f"{project}@{row.version}",
            f"{row.at:%Y-%m-%d %H:%M:%S}",
            f"{row.until:%Y-%m-%d %H:%M:%S}" if row.until else "now",
            f"{row.kind} by {row.actor}",
            _name_run(row.run_id),
            row.why,
        )
        for row in rows
    ]
    console.print(rows_table(("#", "champion", "from (UTC)", "to", "moved by", "asked for by", "why"), lines))


def _name_run(run_id: str | None) -> str:
    """Return what asked for the run of a release, and the run; nothing where a person moved the champion."""
    if run_id is None:
        return ""
    return f"{open_workspace().registry.run(run_id).trigger}, run {run_id[:SHOWN_DIGITS]}"


def show_lineage(label: str, *, as_json: bool) -> None:
    """Print what produced a version, down to digests."""
    version = find_version(label)
    facts = _lineage(version)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    console.print(version.label, style="bold")
    for part, values in facts.items():
        for place, (name, value) in enumerate(values.items()):
            console.print(f"  {part if place == 0 else '':<10} {name:<16} {value}", soft_wrap=True)


def _lineage(version: StoredVersion) -> dict[str, dict[str, Any]]:
    made = version.manifest
    snapshot, fit, code = made.snapshot, made.fit, made.code
    return {
        "model": {
            "candidate": made.model.candidate,
            "content": made.model.content,
            "artifact": f"{made.model.artifact.digest} ({made.model.artifact.size_bytes:,} bytes)",
            "verdict": f"{version.verdict.decision}: {version.verdict.summary}",
        },
        "data": {
            "snapshot": snapshot.digest,
            "rows": f"{snapshot.rows:,} of {len(snapshot.columns)} columns from {snapshot.source}",
            "as of": snapshot.as_of.isoformat(timespec="seconds"),
            "quarantined": made.validation.quarantined_rows,
            "training rows": f"{made.split.train_rows:,}  {made.split.train.digest}",
            "test rows": f"{made.split.test_rows:,}  {made.split.test_digest}",
        },
        "code": {
            "commit": code.commit,
            "uncommitted": code.dirty_diff.digest if code.dirty_diff else "nothing",
            "lock": code.lock,
            "project code": code.project_code,
            "spec": made.spec.digest,
        },
        "training": {
            "seed": fit.seed,
            "cost": describe_cost(fit),
            **dict(sorted(fit.libraries.items())),
            "hardware": f"{fit.hardware.processor}, {fit.hardware.cpu_count} CPUs ({fit.hardware.threads} used), "
            f"{fit.hardware.memory_gb:.0f} GB, {fit.hardware.device_name or fit.hardware.device}",
            **({"note": fit.hardware.note} if fit.hardware.note else {}),
            **({"network": describe_training(made.model.network)} if made.model.network else {}),
            **{f"weights {one.digest[:12]}": f"{one.source} ({one.licence})" for one in made.model.borrowed},
        },
        "run": {"id": version.row.run_id, "at": version.row.created_at.isoformat(timespec="seconds")},
    }

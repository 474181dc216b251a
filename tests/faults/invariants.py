"""What must hold after every fault (FAULTS.md, I1 to I9), read from the database, the bucket and what was said.

The bytes and the rows are read past keepfit's own store and registry: what is checked must not check itself. Only the
champion is loaded as keepfit loads it.
"""

import hashlib
import io
import json
import re
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pyarrow.parquet
from psycopg.rows import dict_row

from infra.frames import read_parquet
from infra.registry.holder import is_dead
from infra.registry.records import Holder
from tasks.contracts.project import ProjectSpec
from tasks.contracts.release import Manifest
from tasks.models.loading import load_model
from tests.faults.places import FaultPlace

Row = dict[str, Any]

BLOB_NAME = re.compile(r"sha256/([0-9a-f]{2})/(\1[0-9a-f]{62})")
TABLES = ("run", "lease", "step", "blob", "model_version", "verdict", "test_use", "champion", "release", "audit")
TABLES += ("batch", "label_delivery", "window_report", "breaker", "study", "trial", "checkpoint")
BATCH_BLOBS = ("rows_blob", "predictions_blob", "quarantine_blob")
END_ACTION = {state: f"run.{state}" for state in ("completed", "failed", "cancelled")} | {"crashed": "run.crash"}


class World(NamedTuple):
    """All that is known and stored at one moment."""

    place: FaultPlace
    tables: dict[str, list[Row]]
    now: Any
    """By the database's clock."""
    objects: dict[str, bytes]
    """Key under the store's prefix: its bytes."""

    def blob(self, digest: str) -> bytes:
        return self.objects[f"sha256/{digest[:2]}/{digest}"]

    def manifests(self) -> Iterator[Manifest]:
        for version in self.tables["model_version"]:
            yield Manifest.model_validate_json(self.blob(version["manifest"]))


def check_invariants(place: FaultPlace) -> None:
    """Raise AssertionError, beginning with the invariant's name, unless all of them hold now."""
    world = look(place)
    for hold in (
        every_name_is_its_bytes,
        every_known_blob_is_there,
        the_champion_moved_by_releases_alone,
        every_champion_loads_and_has_its_evidence,
        one_effective_run_a_trigger,
        no_version_is_half_there,
        no_dead_run_counts_as_running,
        every_change_has_its_audit_row,
        no_row_is_lost,
        no_secret_is_anywhere,
    ):
        hold(world)


def look(place: FaultPlace) -> World:
    """Return what the database and the bucket hold."""
    with psycopg.connect(place.direct_database.replace("+psycopg", ""), row_factory=dict_row) as connection:
        tables = {
            name: [
                {column: _plain(value) for column, value in row.items()}
                for row in connection.execute(f'SELECT * FROM "{name}"'.encode())
            ]
            for name in TABLES
        }
        now = connection.execute("SELECT clock_timestamp() AS now").fetchone()
    assert now is not None
    return World(place, tables, now["now"], dict(_read_objects(place)))


def _plain(value: object) -> object:
    # JSON is kept as text.
    return json.loads(value) if isinstance(value, str) and value.startswith(("{", "[")) else value


def _read_objects(place: FaultPlace) -> Iterator[tuple[str, bytes]]:
    client, (bucket, prefix) = place.s3.client(), place.bucket
    with closing(client):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for found in page.get("Contents", []):
                with client.get_object(Bucket=bucket, Key=found["Key"])["Body"] as body:
                    yield found["Key"].removeprefix(f"{prefix}/"), body.read()


def every_name_is_its_bytes(world: World) -> None:
    for key, content in world.objects.items():
        if key.startswith("probe/"):
            continue
        name = BLOB_NAME.fullmatch(key)
        assert name is not None, f"I5: {key} is no name of a blob"
        found = hashlib.sha256(content).hexdigest()
        assert found == name[2], f"I5: {key} holds {len(content)} bytes of {found}"


def every_known_blob_is_there(world: World) -> None:
    known = {row["digest"]: row["size_bytes"] for row in world.tables["blob"]}
    known |= {row["digest"]: row["size_bytes"] for row in world.tables["checkpoint"]}
    for digest, size_bytes in known.items():
        content = world.objects.get(f"sha256/{digest[:2]}/{digest}")
        assert content is not None, f"I2: {digest} is known, but not in the store"
        assert len(content) == size_bytes, f"I2: {digest} is known with {size_bytes} bytes, there are {len(content)}"
    named = {digest for row in world.tables["step"] for digest in row["blobs"]}
    named |= {row["manifest"] for row in world.tables["model_version"]}
    named |= {row[name] for row in world.tables["batch"] for name in BATCH_BLOBS if row[name]}
    named |= {row["blob"] for row in world.tables["label_delivery"]}
    named |= {row["page"] for row in world.tables["window_report"] if row["page"]}
    assert named <= set(known), f"I2: {sorted(named - set(known))} are named, but not known"


def every_champion_loads_and_has_its_evidence(world: World) -> None:
    versions = {(row["project"], row["number"]): row for row in world.tables["model_version"]}
    verdicts = {(row["project"], row["number"]): row for row in world.tables["verdict"]}
    releases = {(row["project"], row["seq"]): row for row in world.tables["release"]}
    for champion in world.tables["champion"]:
        if champion["version"] is None:
            continue
        label = (champion["project"], champion["version"])
        assert label in versions, f"I1: the champion {label} is not registered"
        verdict = verdicts.get(label, {"evidence": {}, "decision": None})
        assert verdict["evidence"].get("checks"), f"I1: the champion {label} has no evidence of its gate"
        release = releases.get((champion["project"], champion["seq"]), {"evidence": None, "actor": None})
        assert release["evidence"], f"I1: the champion {label} was released without evidence"
        assert release["actor"] != "gate" or verdict["decision"] == "PROMOTE", f"I1: {label} was released by no gate"
        manifest = Manifest.model_validate_json(world.blob(versions[label]["manifest"]))
        _let_it_answer(world, manifest)


def _let_it_answer(world: World, manifest: Manifest) -> None:
    scratch = world.place.home / "checking"
    scratch.mkdir(exist_ok=True)
    files = {"model": manifest.model.artifact, "rows.parquet": manifest.split.test}
    for name, ref in files.items():
        (scratch / name).write_bytes(world.blob(ref.digest))
    spec = ProjectSpec.model_validate_json(world.blob(manifest.spec.digest))
    model = load_model(scratch / "model", expected_content=manifest.model.content)
    answers = model.predict(read_parquet(scratch / "rows.parquet")[list(spec.features)])
    assert len(answers) == manifest.split.test_rows, f"I1: the champion answered {len(answers)} rows"
    assert set(answers.tolist()) <= set(model.classes), "I1: the champion answered with unknown classes"


def one_effective_run_a_trigger(world: World) -> None:
    effective = [row for row in world.tables["run"] if row["effective_key"] is not None]
    wrong = [row["run_id"] for row in effective if row["effective_key"] != row["trigger_key"]]
    assert not wrong, f"I3: the runs {wrong} are effective under another key than their own"
    keyed = [row for row in world.tables["run"] if row["trigger_key"] and row["state"] in ("running", "completed")]
    times = Counter((row["project"], row["trigger_key"]) for row in keyed)
    assert not [key for key, count in times.items() if count > 1], f"I3: more than one effective run: {times}"
    unkeyed = [row["run_id"] for row in keyed if row["effective_key"] is None]
    assert not unkeyed, f"I3: the runs {unkeyed} are effective, and their key is free"


def every_change_has_its_audit_row(world: World) -> None:
    noted = Counter((row["action"], row["subject"]) for row in world.tables["audit"])
    made = Counter(("run.begin", row["run_id"]) for row in world.tables["run"])
    made += Counter((END_ACTION[row["state"]], row["run_id"]) for row in world.tables["run"] if row["ended_at"])
    made += Counter(("step.commit", row["key"]) for row in world.tables["step"])
    made += Counter(("version.register", f"{row['project']}@{row['number']}") for row in world.tables["model_version"])
    made += Counter((f"release.{row['kind']}", f"{row['project']}@{row['version']}") for row in world.tables["release"])
    # A batch that was set aside whole was added once and may have been replaced; what stands is one of these.
    batches = {f"{row['project']}/{row['window']}" for row in world.tables["batch"]}
    made += Counter(("batch.add", label) for label in batches)
    made += Counter(("labels.add", row["digest"]) for row in world.tables["label_delivery"])
    reports = (f"{row['project']}/{row['window']}" for row in world.tables["window_report"])
    made += Counter(("window.report", label) for label in reports)
    made += Counter(("study.open", row["key"]) for row in world.tables["study"])
    ended = (row for row in world.tables["trial"] if row["finished_at"])
    made += Counter(("trial.finish", f"{row['study']}/{row['number']}") for row in ended)
    moves = world.tables["breaker"]
    made += Counter((BREAKER_ACTION[row["state"]], f"{row['project']}#{row['seq']}") for row in moves)
    told = (
        {action for action, _ in made} | set(END_ACTION.values()) | NOTED_OF_MONITORING | {"study.open", "trial.finish"}
    )
    noted = Counter({what: count for what, count in noted.items() if what[0] in told})
    assert noted == made, f"I4: changed, but not noted: {made - noted}; noted, but not changed: {noted - made}"


NOTED_OF_MONITORING = {"batch.add", "labels.add", "window.report", "breaker.open", "breaker.close"}
BREAKER_ACTION = {"open": "breaker.open", "closed": "breaker.close"}


def no_version_is_half_there(world: World) -> None:
    known = {row["digest"] for row in world.tables["blob"]}
    verdicts = {(row["project"], row["number"]) for row in world.tables["verdict"]}
    versions = {(row["project"], row["number"]) for row in world.tables["model_version"]}
    assert verdicts == versions, f"I5: versions and verdicts differ: {verdicts ^ versions}"
    for project in {project for project, _ in versions}:
        numbers = sorted(number for name, number in versions if name == project)
        assert numbers == list(range(1, len(numbers) + 1)), f"I5: the versions of {project} are {numbers}"
    for manifest in world.manifests():
        text = manifest.model_dump_json()
        parts = set(re.findall(r'"digest":"([0-9a-f]{64})","size_bytes"', text))
        assert parts <= known, f"I5: a version of {manifest.project} names {sorted(parts - known)}, which is not known"


def no_dead_run_counts_as_running(world: World) -> None:
    leases = {row["run_id"]: row for row in world.tables["lease"] if row["run_id"]}
    for run in world.tables["run"]:
        lease = leases.get(run["run_id"])
        if run["state"] != "running":
            assert lease is None, f"I6: run {run['run_id']} is {run['state']} and holds a lease"
            assert run["ended_at"] is not None, f"I6: run {run['run_id']} is {run['state']} and has no end"
            continue
        assert lease is not None, f"I6: run {run['run_id']} is running without a lease"
        assert lease["expires_at"] > world.now, f"I6: run {run['run_id']} is running, its lease is over"
        holder = Holder.model_validate({name: lease[name] for name in Holder.model_fields})
        assert not is_dead(holder), f"I6: run {run['run_id']} is running, its process is gone"


def no_row_is_lost(world: World) -> None:
    for manifest in world.manifests():
        validation = manifest.validation
        rows = _count_rows(world, manifest.snapshot.data.digest)
        accepted = _count_rows(world, validation.accepted.digest)
        aside = 0 if validation.quarantined is None else _count_rows(world, validation.quarantined.digest)
        assert rows == accepted + aside, f"I7: {rows} rows in, {accepted} accepted, {aside} set aside"
        said = (validation.accepted_rows, validation.quarantined_rows)
        assert said == (accepted, aside), f"I7: {said} rows were said to be accepted and set aside"
        assert manifest.split.train_rows + manifest.split.test_rows == accepted, "I7: the split lost rows"
    for batch in world.tables["batch"]:
        said = (batch["rows"], batch["rows"], batch["quarantined_rows"])
        found = tuple(_count_rows(world, batch[name]) if batch[name] else 0 for name in BATCH_BLOBS)
        assert found == said, f"I7: {batch['window']}: {said} rows, predictions and rows set aside; found {found}"
    for labels in world.tables["label_delivery"]:
        assert _count_rows(world, labels["blob"]) == labels["rows"], "I7: a delivery of labels lost rows"


def _count_rows(world: World, digest: str) -> int:
    return int(pyarrow.parquet.read_metadata(io.BytesIO(world.blob(digest))).num_rows)


def the_champion_moved_by_releases_alone(world: World) -> None:
    champions = {row["project"]: row for row in world.tables["champion"]}
    for project in {row["project"] for row in world.tables["release"]} | set(champions):
        moves = sorted(
            (row for row in world.tables["release"] if row["project"] == project), key=lambda row: row["seq"]
        )
        champion = champions.get(project, {"seq": 0, "version": None})
        numbers = [row["seq"] for row in moves]
        assert champion["seq"] == len(moves), f"I8: {project} is at move {champion['seq']} after {len(moves)} releases"
        assert numbers == list(range(1, len(moves) + 1)), f"I8: the releases of {project} are {numbers}"
        path = [None, *(row["version"] for row in moves)]
        assert path[-1] == champion["version"], f"I8: the last release is not the champion of {project}"
        assert [row["previous"] for row in moves] == path[:-1], f"I8: a release of {project} is missing in between"


def no_secret_is_anywhere(world: World) -> None:
    place = world.place
    where: list[tuple[str, bytes]] = [("what was printed", "\n".join(place.everything_said).encode())]
    where += [(f"table {name}", repr(rows).encode()) for name, rows in world.tables.items()]
    where += [(f"the blob {key}", part) for key, content in world.objects.items() for part in _unpack(content)]
    where += [(str(path), path.read_bytes()) for path in _files(place.home)]
    where += [("the Prefect server's log", place.prefect.log.read_bytes())]
    for canary in place.canaries:
        for name, text in where:
            assert canary.encode() not in text, f"I9: {canary} is in {name}"
    for table, canary in find_in_prefect(place.prefect.database, place.canaries):
        raise AssertionError(f"I9: {canary} is in Prefect's table {table}")


def _unpack(content: bytes) -> Iterator[bytes]:
    yield content
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield from _unpack(archive.read(name))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def find_in_prefect(database: Path, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each table of Prefect's database that holds one of the texts: flow runs, logs, artifacts, events."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
            everything = " || ' ' || ".join(f"coalesce(CAST(\"{column}\" AS TEXT), '')" for column in columns)
            for text in texts:
                query = f'SELECT count(*) FROM "{table}" WHERE instr({everything}, ?) > 0'
                if connection.execute(query, (text,)).fetchone()[0]:
                    yield table, text

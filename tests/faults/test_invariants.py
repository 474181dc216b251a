"""The checker of the invariants itself: it passes what is sound, and each thing that is spoilt on a copy makes it fail."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.artifacts.reference import blob_key
from tests.faults.invariants import check_invariants, look
from tests.faults.places import FaultPlace
from tests.faults.roles import administer

pytestmark = [pytest.mark.engine, pytest.mark.servers, pytest.mark.xdist_group("faults")]


@pytest.fixture(scope="module")
def released(make_place: Callable[[Path], FaultPlace], tmp_path_factory: pytest.TempPathFactory) -> FaultPlace:
    place = make_place(tmp_path_factory.mktemp("released") / "home")
    code, said = place.keepfit("run", "iris")
    assert code == 0, said
    return place


@pytest.fixture
def copied_rows(released: FaultPlace, tmp_path: Path) -> FaultPlace:
    """The same rows in a database of its own, and the same words, for a test to spoil."""
    database, original = released.postgres.create_database(), released.database.rpartition("/")[2]
    administer(released.postgres, f"DROP DATABASE {database}", f"CREATE DATABASE {database} TEMPLATE {original}")
    return replace(
        released,
        home=tmp_path / "home",
        database=released.database.replace(original, database),
        everything_said=list(released.everything_said),
    )


@pytest.fixture
def copy(copied_rows: FaultPlace) -> FaultPlace:
    """The same rows, and the same bytes in a bucket of its own."""
    objects, bucket = look(copied_rows).objects, copied_rows.s3.make_bucket()
    client = copied_rows.s3.client()
    for key, content in objects.items():
        client.put_object(Bucket=bucket, Key=f"keepfit/{key}", Body=content)
    client.close()
    return replace(copied_rows, home=copied_rows.home / "copy", store=f"s3://{bucket}/keepfit")


def spoil_rows(place: FaultPlace, *statements: str) -> None:
    """Change rows past the tables' own rules: foreign keys, and that history is only appended to."""
    rules_off = "SET session_replication_role = replica"
    administer(place.postgres, rules_off, *statements, database=place.database.rpartition("/")[2])


def put(place: FaultPlace, key: str, content: bytes) -> None:
    bucket, prefix = place.bucket
    place.s3.client().put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=content)


def change_manifest(place: FaultPlace, change: Callable[[dict[str, Any]], None]) -> None:
    """Let the version have another manifest, known and whole, which says something else."""
    world = look(place)
    (version,) = world.tables["model_version"]
    manifest = json.loads(world.blob(version["manifest"]))
    change(manifest)
    content = json.dumps(manifest, separators=(",", ":")).encode()
    digest = hashlib.sha256(content).hexdigest()
    put(place, blob_key(digest), content)
    spoil_rows(
        place,
        f"INSERT INTO blob VALUES ('{digest}', {len(content)}, 'application/json', now())",
        f"UPDATE model_version SET manifest = '{digest}'",
    )


def test_what_a_good_run_leaves_is_sound(released: FaultPlace, copy: FaultPlace) -> None:
    check_invariants(released)
    check_invariants(copy)


RUN_AGAIN = (
    "INSERT INTO run SELECT md5(run_id), project, flow, trigger_kind, trigger_key, {key}, why, parameters, actor, state,"
    " fence + 1, host, pid, started_at, ended_at, outcome, error FROM run"
)
TAKE_LEASE = "UPDATE lease SET run_id = (SELECT run_id FROM run), expires_at = now() + interval '{seconds} seconds'"
RUNNING = "UPDATE run SET state = 'running', ended_at = NULL"
BATCH = (
    "INSERT INTO batch SELECT project, 'w', now(), now() + interval '1 day', number, content, content, {blob}, {blob}, NULL,"
    " {rows}, 0, '{{}}', now(), now(), 'x' FROM model_version"
)
BATCH_NOTED = "INSERT INTO audit SELECT max(id) + 1, now(), 'x', 'batch.add', 'iris', 'iris/w', '{}' FROM audit"
SNAPSHOT = "(SELECT digest FROM blob WHERE media_type LIKE '%parquet' ORDER BY size_bytes DESC LIMIT 1)"
LABELS_NOTED = "INSERT INTO audit SELECT max(id) + 1, now(), 'x', 'labels.add', 'iris', 'w', '{}' FROM audit"
REPORT = "INSERT INTO window_report SELECT 1, project, 'w', now(), number, 'FINE', false, '{}', NULL, now() FROM model_version"
ROWS = {
    "no evidence of the gate": ("I1", "UPDATE verdict SET evidence = '{}'"),
    "no evidence of the release": ("I1", "UPDATE release SET evidence = '{}'"),
    "the gate said HOLD": ("I1", "UPDATE verdict SET decision = 'HOLD'"),
    "another size": ("I2", "UPDATE blob SET size_bytes = size_bytes + 1"),
    "a blob that a step names is unknown": (
        "I2",
        "DELETE FROM blob WHERE digest IN (SELECT manifest FROM model_version)",
    ),
    "two runs of one trigger": (
        "I3",
        "UPDATE run SET trigger_key = 'w', effective_key = 'w'",
        RUN_AGAIN.format(key="NULL"),
    ),
    "the key of an effective run is free": ("I3", "UPDATE run SET trigger_key = 'w'"),
    "a run is effective under another key": ("I3", "UPDATE run SET trigger_key = 'w', effective_key = 'x'"),
    "no audit row of a run": ("I4", "DELETE FROM audit WHERE action = 'run.begin'"),
    "no audit row of an end": ("I4", "DELETE FROM audit WHERE action = 'run.completed'"),
    "no audit row of a step": ("I4", "DELETE FROM audit WHERE action = 'step.commit'"),
    "no audit row of a version": ("I4", "DELETE FROM audit WHERE action = 'version.register'"),
    "no audit row of a release": ("I4", "DELETE FROM audit WHERE action = 'release.promote'"),
    "an audit row of nothing": ("I4", "UPDATE audit SET subject = 'iris@2' WHERE action = 'release.promote'"),
    "no audit row of a batch": ("I4", BATCH.format(blob=SNAPSHOT, rows=1)),
    "no audit row of labels": (
        "I4",
        f"INSERT INTO label_delivery SELECT 1, 'iris', 'w', {SNAPSHOT}, 1, now(), now(), 'x'",
    ),
    "no audit row of a report": ("I4", REPORT),
    "no audit row of the breaker": ("I4", "INSERT INTO breaker VALUES ('iris', 1, 'r', 'open', 'w', 'x', '{}', now())"),
    "a checkpoint that is not in the store": (
        "I2",
        f"INSERT INTO checkpoint VALUES ('k', 'iris', '{'0' * 64}', 1, 'application/zip', now())",
    ),
    "a batch of unknown blobs": ("I2", BATCH.format(blob=f"'{'0' * 64}'", rows=1)),
    "labels of an unknown blob": (
        "I2",
        f"INSERT INTO label_delivery SELECT 1, 'iris', 'w', '{'0' * 64}', 1, now(), now(), 'x'",
    ),
    "rows of a batch are lost": ("I7", BATCH.format(blob=SNAPSHOT, rows=1_000_000), BATCH_NOTED),
    "labels are lost": (
        "I7",
        f"INSERT INTO label_delivery SELECT 1, 'iris', 'w', {SNAPSHOT}, 1000000, now(), now(), 'x'",
        LABELS_NOTED,
    ),
    "a version without a verdict": (
        "I5",
        "INSERT INTO model_version SELECT project, 2, 'k', manifest, content, payload, run_id, created_at FROM model_version",
    ),
    "a run without a lease": ("I6", RUNNING),
    "a lease that is over": ("I6", RUNNING, TAKE_LEASE.format(seconds=-1)),
    "a process that is gone": ("I6", RUNNING, TAKE_LEASE.format(seconds=600)),
    "a lease of a run that has ended": ("I6", TAKE_LEASE.format(seconds=600)),
    "a move without a release": ("I8", "UPDATE champion SET seq = 2"),
    "a release without a move": ("I8", "UPDATE champion SET seq = 0, version = NULL"),
    "a champion that nobody released": ("I8", "DELETE FROM release"),
}


@pytest.mark.parametrize("name", ROWS)
def test_spoilt_rows_are_found(name: str, copied_rows: FaultPlace) -> None:
    invariant, *statements = ROWS[name]
    spoil_rows(copied_rows, *statements)
    with pytest.raises(AssertionError, match=rf"^{invariant}: "):
        check_invariants(copied_rows)


def delete_a_known_blob(place: FaultPlace) -> None:
    bucket, prefix = place.bucket
    digest = look(place).tables["blob"][0]["digest"]
    place.s3.client().delete_object(Bucket=bucket, Key=f"{prefix}/{blob_key(digest)}")


def cut_a_blob(place: FaultPlace) -> None:
    world = look(place)
    digest = world.tables["blob"][0]["digest"]
    put(place, blob_key(digest), world.blob(digest)[:-1])


def name_another_model(manifest: dict[str, Any]) -> None:
    manifest["model"]["content"] = "0" * 64


def lose_rows(manifest: dict[str, Any]) -> None:
    manifest["validation"]["accepted"] = manifest["split"]["train"]


def name_an_unknown_blob(manifest: dict[str, Any]) -> None:
    manifest["fit"]["history"] = {"digest": "0" * 64, "size_bytes": 1, "media_type": "application/json"}


SPOILS: dict[str, tuple[str, Callable[[FaultPlace], object]]] = {
    "a model that is another one": (
        "I1: |Expected the model",
        lambda place: change_manifest(place, name_another_model),
    ),
    "a known blob is gone": ("I2", delete_a_known_blob),
    "half a blob": ("I5", cut_a_blob),
    "a blob under no name": ("I5", lambda place: put(place, "sha256/ab/half", b"half")),
    "a version names what is not known": ("I5", lambda place: change_manifest(place, name_an_unknown_blob)),
    "rows are lost": ("I7", lambda place: change_manifest(place, lose_rows)),
}


@pytest.mark.parametrize("name", SPOILS)
def test_spoilt_bytes_are_found(name: str, copy: FaultPlace) -> None:
    message, spoil = SPOILS[name]
    spoil(copy)
    with pytest.raises(Exception, match=rf"^({message})"):
        check_invariants(copy)


def put_blob(place: FaultPlace, content: bytes) -> None:
    put(place, blob_key(hashlib.sha256(content).hexdigest()), content)


TELLING: dict[str, Callable[[FaultPlace, str], object]] = {
    "what was printed": lambda place, secret: place.everything_said.append(f"see {secret}."),
    "table run": lambda place, secret: spoil_rows(place, f"UPDATE run SET error = 'no {secret}'"),
    "the blob": lambda place, secret: put_blob(place, f"<{secret}>".encode()),
    "home": lambda place, secret: (place.home / "notes").write_text(secret),
}


@pytest.mark.parametrize("where", TELLING)
def test_a_secret_is_found(where: str, copy: FaultPlace) -> None:
    TELLING[where](copy, copy.canaries[0])
    with pytest.raises(AssertionError, match=rf"^I9: {copy.canaries[0]} is in .*{where}"):
        check_invariants(copy)


@pytest.mark.parametrize("words", [("iris:", "operator"), ("knn-3", "of", "2")], ids=["name of a run", "line of a log"])
def test_a_secret_that_only_prefect_holds_is_found(words: tuple[str, ...], released: FaultPlace) -> None:
    said = " ".join(words)  # not in one piece here: a version records uncommitted changes
    told = replace(released, everything_said=[], canaries=[said], home=released.home.parent / re.sub(r"\W", "-", said))
    with pytest.raises(AssertionError, match=f"^I9: {said} is in Prefect's table (flow_run|log)"):
        check_invariants(told)

"""Whole runs through a store that fails (FAULTS.md rows 3 to 6): done in spite of it, or ended with nothing half."""

import time

import pytest

from infra.artifacts.reference import blob_key
from tests.faults.invariants import check_invariants, look
from tests.faults.places import FaultPlace
from tests.infra.artifacts.test_refusals import CarelessServer, careless_endpoint  # noqa: F401 - a fixture
from tests.servers.faulty_proxy import (
    Answer,
    CutBody,
    Fault,
    FaultyProxy,
    FlipBit,
    LoseFirstReply,
    LoseReply,
    Silence,
    Trickle,
    Weather,
)

pytestmark = [pytest.mark.engine, pytest.mark.servers, pytest.mark.xdist_group("faults")]

PUT, GET = "^PUT .*sha256", "^GET .*sha256"
FOR_EVER = 100_000
DEADLINE_S = 2


def test_a_run_through_bad_weather_is_as_good_as_any(place: FaultPlace, proxy: FaultyProxy) -> None:
    faults = [
        Answer(PUT, status="500 Internal Error", code="InternalError"),
        FlipBit(GET),
        Silence(PUT),
        CutBody(GET, after_bytes=800),
        Answer(GET, status="503 Slow Down"),
        LoseReply(PUT),
        Trickle(GET),
        Silence(GET),
        LoseReply(GET),
    ]
    with proxy.breaking(Weather(faults=faults)):
        code, said = place.keepfit("run", "iris", KEEPFIT_STORE_DEADLINE_S="8")
    assert code == 0, said
    assert "asking once more, the damage may have happened on the way" in said
    check_invariants(place)
    with place.registry() as registry:
        assert registry.champion("iris").version == 1


def test_every_put_whose_reply_is_lost_leaves_one_object(place: FaultPlace, proxy: FaultyProxy) -> None:
    with proxy.breaking(LoseFirstReply(PUT, times=FOR_EVER)) as fault:
        code, said = place.keepfit("run", "iris")
    assert code == 0, said
    check_invariants(place)
    blobs = sorted(key for key in look(place).objects if key.startswith("sha256/"))
    puts = [line.rpartition("/sha256/")[2] for line in proxy.requests if line.startswith("PUT") and "/sha256/" in line]
    assert fault.fired == len(set(puts)) == len(blobs) > 10
    assert all(puts.count(key.removeprefix("sha256/")) > 1 for key in blobs), "each was tried again, and was there"


LASTING: dict[str, Fault] = {
    "busy": Answer("sha256", times=FOR_EVER),
    "silent": Silence("sha256", times=FOR_EVER),
    "slow": Trickle("sha256", times=FOR_EVER),
}


def test_a_store_that_fails_for_good_in_mid_run_ends_it_in_time_and_the_next_goes_on(
    place: FaultPlace, proxy: FaultyProxy
) -> None:
    for fault in LASTING.values():
        with place.stopped_at("train.start", "run", "iris", KEEPFIT_STORE_DEADLINE_S=str(DEADLINE_S)) as ended:
            proxy.fault = fault
        proxy.fault = None
        assert fault.fired > 1
        assert ended.code == 1, ended.said
        assert f"within {DEADLINE_S} s" in ended.said
        assert "KEEPFIT_STORE_DEADLINE_S" in ended.said
        assert "Traceback" not in ended.said
        assert ended.seconds < 30, "two attempts, each until its deadline"
        check_invariants(place)
    code, said = place.keepfit("run", "iris")
    assert code == 0, said
    check_invariants(place)
    with place.registry() as registry:
        assert [run.state for run in registry.runs("iris")] == ["completed", *["failed"] * len(LASTING)]
        assert [row.step for row in registry.steps(registry.runs("iris")[-1].run_id)] == ["validate", "split"]
        assert "validate" not in {row.step for row in registry.steps(registry.runs("iris")[0].run_id)}
        assert [version.number for version in registry.versions("iris")] == [1]


def test_a_blob_that_changes_in_the_store_is_refused_with_its_digest(place: FaultPlace) -> None:
    with place.stopped_at("score.start", "run", "iris") as ended:
        world = look(place)
        (train,) = [row["result"] for row in world.tables["step"] if row["step"] == "train"]
        digest = train["chosen"]["artifact"]["digest"]
        whole = world.blob(digest)
        flip(place, digest, whole)
    assert ended.code == 1, ended.said
    assert digest in ended.said
    assert "Traceback" not in ended.said
    with pytest.raises(AssertionError, match=f"^I5: .*{digest}"):
        check_invariants(place)
    with place.registry() as registry:
        assert registry.versions("iris") == []
        assert registry.runs("iris")[0].state == "failed"

    put(place, digest, whole)
    assert place.keepfit("run", "iris")[0] == 0
    check_invariants(place)


def test_a_byte_that_flips_on_the_servers_disk_is_never_used(place: FaultPlace) -> None:
    with place.stopped_at("score.start", "run", "iris", KEEPFIT_STORE_DEADLINE_S=str(DEADLINE_S)) as ended:
        world = look(place)
        (train,) = [row["result"] for row in world.tables["step"] if row["step"] == "train"]
        digest = train["chosen"]["artifact"]["digest"]
        flip_on_disk(place, world.blob(digest))
    assert ended.code == 1, ended.said
    # The server sees it first and gives it to nobody: to us it is a blob that cannot be read.
    assert f"{digest} at {place.s3.endpoint}: cannot read within {DEADLINE_S} s" in ended.said
    with place.registry() as registry:
        assert registry.versions("iris") == []

    put(place, digest, world.blob(digest))
    assert place.keepfit("run", "iris")[0] == 0
    check_invariants(place)


def flip_on_disk(place: FaultPlace, whole: bytes) -> None:
    folder, own = place.s3.log.parent / "data", f"{place.bucket[0]}_*.dat"
    volumes = [path for path in folder.glob(own) if whole in path.read_bytes()]
    assert len(volumes) == 1, "the blob lies on the disk as it is"
    middle = volumes[0].read_bytes().index(whole) + len(whole) // 2
    with volumes[0].open("r+b") as volume:
        volume.seek(middle)
        volume.write(bytes([whole[len(whole) // 2] ^ 1]))


def flip(place: FaultPlace, digest: str, whole: bytes) -> None:
    changed = bytearray(whole)
    changed[len(changed) // 2] ^= 1
    put(place, digest, bytes(changed))


def put(place: FaultPlace, digest: str, content: bytes) -> None:
    bucket, prefix = place.bucket
    key = f"{prefix}/{blob_key(digest)}"
    place.s3.client().put_object(Bucket=bucket, Key=key, Body=content, Metadata={"sha256": digest})


def test_a_store_that_ignores_conditions_is_refused_before_a_run_is_made(
    place: FaultPlace,
    careless_endpoint: str,  # noqa: F811
) -> None:
    began = time.monotonic()
    code, said = place.keepfit("run", "iris", AWS_ENDPOINT_URL_S3=careless_endpoint)
    assert CarelessServer.conditions == ["*", "*"], "it said yes twice"
    assert code == 1
    assert "ignores conditions" in said
    assert "Traceback" not in said
    assert time.monotonic() - began < 20
    with place.registry() as registry:
        assert registry.runs() == []
    check_invariants(place)

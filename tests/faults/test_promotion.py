"""SIGTERM at each fault point of a promotion, over the real servers: all or nothing, and the lease is free (row 20)."""

import signal

import pytest

from infra.faults import POINTS
from tests.faults.invariants import check_invariants, look
from tests.faults.places import FaultPlace

pytestmark = [pytest.mark.engine, pytest.mark.servers, pytest.mark.xdist_group("faults")]

BEFORE = (
    "register.start",
    "register.before_commit",
    "register.after_commit",
    "release.start",
    "release.in_transaction",
)
AFTER = ("release.before_commit", "release.after_commit")
"""The release is its own commit: at these points the champion has moved."""


def test_every_point_of_a_promotion_is_tried() -> None:
    assert sorted(BEFORE + AFTER) == sorted(point for point in POINTS if point.startswith(("register.", "release.")))


def terminate_at(point: str, place: FaultPlace) -> None:
    code, said = place.keepfit("run", "iris", KEEPFIT_FAULT_POINT=point, KEEPFIT_FAULT_SIGNAL="TERM")
    assert code == 128 + signal.SIGTERM, f"{point}: {said}"
    assert "Stopped by SIGTERM" in said
    assert "goes on after the last finished step" in said
    assert "Traceback" not in said
    check_invariants(place)
    world = look(place)
    assert {row["state"] for row in world.tables["run"]} == {"cancelled"}, point
    assert [row["run_id"] for row in world.tables["lease"]] == [None], "the lease is free"


def test_a_promotion_that_is_cancelled_before_its_commit_did_not_happen_and_then_happens_once(
    place: FaultPlace,
) -> None:
    for point in BEFORE:
        terminate_at(point, place)
        with place.registry() as registry:
            assert registry.champion("iris").version is None, point
            assert registry.history("iris") == []
    assert_happened_at(AFTER[0], place)


def test_a_promotion_that_is_cancelled_after_its_commit_has_happened(place: FaultPlace) -> None:
    assert_happened_at(AFTER[1], place)


def assert_happened_at(point: str, place: FaultPlace) -> None:
    terminate_at(point, place)
    with place.registry() as registry:
        assert registry.champion("iris").version == 1
    code, said = place.keepfit("run", "iris")
    assert code == 0, said
    assert "Nothing new" in said
    check_invariants(place)
    with place.registry() as registry:
        assert [(row.seq, row.version) for row in registry.history("iris")] == [(1, 1)]
        assert [row.number for row in registry.versions("iris")] == [1]

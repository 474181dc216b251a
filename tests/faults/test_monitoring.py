"""Windows scored and labels taken in on real servers that fail: all or nothing, and every row counted (FAULTS.md 1 to 5)."""

import signal
from pathlib import Path

import pandas as pd
import pytest

from tests.faults.invariants import check_invariants, look
from tests.faults.places import FaultPlace
from tests.flows.watched import make_watched
from tests.servers.faulty_proxy import Answer, FaultyProxy, FlipBit, LoseReply, Silence, Weather

pytestmark = [pytest.mark.engine, pytest.mark.servers, pytest.mark.xdist_group("faults")]

DAY = "2013-07-01"
SCORE = ("score", "visits", "--window", DAY)
LABELS = ("labels", "visits", "--window", DAY, "--as-of", "2013-07-03")


@pytest.fixture
def visits(place: FaultPlace, tmp_path: Path) -> FaultPlace:
    """A champion of the project `visits`, and July's rows, one of the first day's broken."""
    folder = make_watched(place, tmp_path / "watched")
    stream = pd.read_csv(folder / "stream.csv").astype({"signal": object})
    stream.loc[0, "signal"] = "many"
    stream.to_csv(folder / "stream.csv", index=False)
    code, said = place.keepfit("run", "visits")
    assert code == 0, said
    return place


def check_kept(place: FaultPlace) -> None:
    """One batch and one delivery, with what they say in the tables and in the bucket."""
    check_invariants(place)
    (batch,), (labels,) = look(place).tables["batch"], look(place).tables["label_delivery"]
    assert (batch["rows"], batch["quarantined_rows"], labels["rows"]) == (39, 1, 40)


def test_after_kill_9_at_each_point_the_invariants_hold_and_the_command_finishes(visits: FaultPlace) -> None:
    for command in (SCORE, LABELS):
        name = "batch" if command is SCORE else "labels"
        for point in ("store.before_publish", f"{name}.before_commit", f"{name}.after_commit"):
            code, said = visits.keepfit(*command, KEEPFIT_FAULT_POINT=point)
            assert code == -signal.SIGKILL, f"the fault did not fire: {said}"
            check_invariants(visits)
        code, said = visits.keepfit(*command)
        assert code == 0, said
    check_kept(visits)


def test_scoring_and_labels_through_bad_weather_are_as_good_as_any(visits: FaultPlace, proxy: FaultyProxy) -> None:
    put, get = "^PUT .*sha256", "^GET .*sha256"
    faults = [
        Answer(put, status="500 Internal Error", code="InternalError"),
        FlipBit(get),
        Silence(put),
        LoseReply(put),
    ]
    with proxy.breaking(Weather(faults=faults)):
        for command in (SCORE, LABELS):
            code, said = visits.keepfit(*command, KEEPFIT_STORE_DEADLINE_S="8")
            assert code == 0, said
    assert sum(fault.fired for fault in faults) >= 2, "the weather was fine"
    check_kept(visits)

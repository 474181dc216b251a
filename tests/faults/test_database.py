"""Whole runs over a PostgreSQL that stops, comes back, or never says what became of a COMMIT (FAULTS.md row 7)."""

import signal
import threading
from collections.abc import Iterator
from textwrap import dedent

import pytest

from tests.faults.invariants import check_invariants, look
from tests.faults.places import FaultPlace
from tests.flows.tables import SPEC, make_table, write_rows
from tests.infra.registry.reply_eater import ReplyEater

pytestmark = [pytest.mark.engine, pytest.mark.servers, pytest.mark.xdist_group("faults")]

AWAY_S = 4.0


@pytest.fixture
def running_again(place: FaultPlace) -> Iterator[None]:
    """Whatever the test does to PostgreSQL, it runs when the next one begins."""
    yield
    if place.postgres.process is None:
        place.postgres.start()


def test_a_result_waits_for_a_database_that_comes_back(place: FaultPlace, running_again: None) -> None:
    with place.stopped_at("train.before_commit", "run", "iris") as command:
        place.postgres.stop(signal.SIGQUIT)  # as after a crash
        back = threading.Timer(AWAY_S, place.postgres.start)
        back.start()
    back.join()
    assert command.code == 0, command.said
    assert "waits for the database" in command.said
    check_invariants(place)
    assert command.stops == 1, "it trained once"
    assert [row["state"] for row in look(place).tables["run"]] == ["completed"]


def test_a_database_that_stays_away_ends_the_run_in_time_and_the_next_goes_on(
    place: FaultPlace, running_again: None
) -> None:
    with place.stopped_at("train.start", "run", "iris") as command:
        place.postgres.stop()
    assert command.code == 1
    assert "Check that the database runs and can be reached" in command.said
    assert f"postgresql://{place.database.split('//')[1].split(':')[0]}@127.0.0.1:{place.postgres.port}" in command.said
    assert "could not be written" in command.said, "nobody could be told how the run ended"
    assert "Traceback" not in command.said
    assert command.seconds < 30

    place.postgres.start()
    with place.registry() as registry:
        assert registry.champion("iris").version is None
        (dead,) = registry.end_dead_runs("tester")
        assert dead.state == "crashed"
    check_invariants(place)
    code, said = place.keepfit("run", "iris")
    assert code == 0, said
    check_invariants(place)
    with place.registry() as registry:
        assert registry.champion("iris").version == 1
        assert "validate" not in {row.step for row in registry.steps(registry.runs("iris")[0].run_id)}


class EveryThird:
    """Armed for each third COMMIT."""

    def __init__(self) -> None:
        self.commits = 0

    def is_set(self) -> bool:
        self.commits += 1
        return self.commits % 3 == 0

    def clear(self) -> None:
        """Stay armed."""


@pytest.fixture
def eater(place: FaultPlace) -> Iterator[ReplyEater]:
    """A proxy before PostgreSQL; the commands of the place go through it."""
    with ReplyEater(place.postgres.port) as between:
        place.database = place.database.replace(f":{place.postgres.port}/", f":{between.port}/")
        yield between


def test_a_run_that_never_hears_of_each_third_commit_does_everything_once(place: FaultPlace, eater: ReplyEater) -> None:
    eater._armed = EveryThird()  # type: ignore[assignment]
    code, said = place.keepfit("run", "iris")
    assert code == 0, said
    assert eater.fired > 5
    check_invariants(place)
    with place.registry() as registry:
        assert [(row.seq, row.version) for row in registry.history("iris")] == [(1, 1)]
        assert [run.state for run in registry.runs("iris")] == ["completed"]


def test_a_release_whose_commit_was_not_acknowledged_is_made_once(place: FaultPlace, eater: ReplyEater) -> None:
    table = make_table(place, place.home / "projects")
    (table / "project.yaml").write_text(dedent(SPEC).replace("superiority", "non_inferiority, margin: 0.3"))
    assert place.keepfit("run", "table")[0] == 0
    write_rows(table, sharpness=2.0, seed=1)
    with place.stopped_at("release.in_transaction", "run", "table") as command:
        eater.arm()
    assert eater.fired == 1
    assert command.code == 0, command.said
    check_invariants(place)
    with place.registry() as registry:
        assert [(row.seq, row.version, row.previous) for row in registry.history("table")] == [(1, 1, None), (2, 2, 1)]
        assert registry.runs("table")[0].outcome["status"] == "released"  # type: ignore[index]

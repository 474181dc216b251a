"""After a release that an alarm led to: the version before comes back where it would have been better in use."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.monitoring import monitor
from flows.retraining import retrain
from infra.registry.registry import Registry
from infra.workspace import open_workspace
from tasks.contracts.runs import Trigger
from tests.flows import crowd
from tests.flows.conftest import Place, Zygote
from tests.flows.watched import copy_place, make_visits, make_watched
from tests.tasks.release.waiting import own_workspace

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("watching")]

RULES = """\
  drift: {min_rows: 100}
  performance: {min_rows: 100}
"""
DAY, LATER = "2013-07-03", datetime(2013, 7, 5, tzinfo=UTC)
POINTS = ("rollback.after_commit",)


def release_first(history: str) -> None:
    retrain(project="visits", as_of=datetime(2013, 7, 1, tzinfo=UTC))
    make_visits(1_500, "2013-06-01", 29, seed=1, sharpness=-2.0).to_csv(history, index=False)


def release_second(kind: str) -> None:
    trigger = Trigger(kind=kind, window="June")
    outcome = retrain(project="visits", as_of=datetime(2013, 7, 2, tzinfo=UTC), trigger=trigger)
    assert outcome.status == "released"


@pytest.fixture(scope="module")
def once(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A project in which visits@1 is champion, and what comes next is trained on labels that were turned round."""
    base = tmp_path_factory.mktemp("once")
    place = Place(zygote, base / "home")
    place.home.mkdir()
    folder = make_watched(place, base / "projects")
    (folder / "project.yaml").write_text((folder / "project.yaml").read_text() + RULES)
    make_visits(3_000, "2013-07-01", 10, seed=7).to_csv(folder / "stream.csv", index=False)
    make_visits(1_500, "2013-06-01", 29).to_csv(folder / "history.csv", index=False)
    crowd.call(place, release_first, (str(folder / "history.csv"),))
    return place


@pytest.fixture(scope="module")
def twice(once: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The same where visits@2 follows visits@1, because of an alarm; July is as June was."""
    place = copy_place(once, tmp_path_factory.mktemp("twice"))
    crowd.call(place, release_second, ("drift",))
    return place


@contextmanager
def entered(place: Place, prefect_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with own_workspace(place.home, monkeypatch), temporary_settings({PREFECT_API_URL: prefect_url}):
        monkeypatch.setenv("KEEPFIT_PROJECTS", place.environment["KEEPFIT_PROJECTS"])
        yield open_workspace().registry


@pytest.fixture
def place(twice: Place, tmp_path: Path) -> Place:
    return copy_place(twice, tmp_path)


@pytest.fixture
def registry(
    place: Place, prefect_url: str, forked_answers: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Registry]:
    """The registry of a workspace of this process, where visits@2 is champion."""
    with entered(place, prefect_url, monkeypatch) as registry:
        yield registry


def test_a_release_that_does_worse_in_use_is_taken_back_and_a_person_is_asked(registry: Registry) -> None:
    state = monitor(project="visits", window=DAY, as_of=LATER, return_state=True)
    assert "visits@2 is taken back" in str(state.message)
    champion, last = registry.champion("visits"), registry.history("visits")[-1]
    assert (champion.version, last.kind, last.actor) == (1, "rollback", "keepfit's loop")
    assert DAY in last.why
    assert last.evidence["difference"] < -0.2  # type: ignore[operator]
    move = registry.breaker("visits")
    assert move is not None
    assert move.state == "open"
    held = retrain(project="visits", as_of=LATER, trigger=Trigger(kind="drift", window=DAY), return_state=True)
    assert held.name == "HeldBack"


def test_labels_that_are_not_due_take_nothing_back(registry: Registry) -> None:
    monitor(project="visits", window=DAY, as_of=datetime(2013, 7, 4, tzinfo=UTC))
    assert registry.champion("visits").version == 2


def test_what_a_person_released_stays(
    once: Place, prefect_url: str, forked_answers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with entered(copy_place(once, tmp_path), prefect_url, monkeypatch) as registry:
        release_second("operator")
        monitor(project="visits", window=DAY, as_of=LATER)
        assert registry.champion("visits").version == 2


@pytest.mark.parametrize("point", POINTS)
def test_a_process_killed_between_the_rollback_and_the_breaker_leaves_it_to_the_next_alarm_to_open_it(
    place: Place, registry: Registry, point: str
) -> None:
    told = ("monitor", "visits", "--window", DAY, "--as-of", LATER.isoformat())
    code, said = place.keepfit(*told, KEEPFIT_FAULT_POINT=point)
    assert code == -9, f"the fault did not fire: {said}"
    assert (registry.champion("visits").version, registry.breaker("visits")) == (1, None)
    held = retrain(project="visits", as_of=LATER, trigger=Trigger(kind="drift", window=DAY), return_state=True)
    assert held.name == "HeldBack"
    assert "a release was taken back" in str(held.message)
    move = registry.breaker("visits")
    assert move is not None
    assert (move.state, move.evidence["n"]) == ("open", registry.history("visits")[-1].evidence["n"])


def test_windows_whose_labels_are_not_due_do_not_end_the_time_in_which_a_release_is_watched(registry: Registry) -> None:
    for window, as_of in ((DAY, datetime(2013, 7, 4, tzinfo=UTC)), ("2013-07-04", LATER)):
        monitor(project="visits", window=window, as_of=as_of)
    assert registry.champion("visits").version == 2
    monitor(project="visits", window=DAY, as_of=LATER)
    assert registry.champion("visits").version == 1

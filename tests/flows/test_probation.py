"""After a release that an alarm led to: the version before comes back where it would have been better in use."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.monitoring import monitor
from flows.retraining import retrain
from infra.registry.registry import Registry
from infra.workspace import open_workspace
from tasks.contracts.runs import Trigger
from tests.flows.conftest import Place
from tests.flows.watched import make_visits, make_watched
from tests.tasks.release.waiting import own_workspace

pytestmark = [pytest.mark.engine, pytest.mark.slow]

RULES = """\
  drift: {min_rows: 100}
  performance: {min_rows: 100}
"""
DAY, LATER = "2013-07-03", datetime(2013, 7, 5, tzinfo=UTC)


@pytest.fixture
def folder(prefect_url: str, forked_answers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project in which visits@2, trained on labels that were turned round, follows visits@1; July is as June was."""
    place = Place(None, tmp_path)  # type: ignore[arg-type]
    folder = make_watched(place, tmp_path / "projects")
    (folder / "project.yaml").write_text((folder / "project.yaml").read_text() + RULES)
    make_visits(3_000, "2013-07-01", 10, seed=7).to_csv(folder / "stream.csv", index=False)
    with own_workspace(tmp_path / "home", monkeypatch), temporary_settings({PREFECT_API_URL: prefect_url}):
        monkeypatch.setenv("KEEPFIT_PROJECTS", str(folder.parent))
        make_visits(1_500, "2013-06-01", 29).to_csv(folder / "history.csv", index=False)
        retrain(project="visits", as_of=datetime(2013, 7, 1, tzinfo=UTC))
        make_visits(1_500, "2013-06-01", 29, seed=1, sharpness=-2.0).to_csv(folder / "history.csv", index=False)
        yield folder


def release_second(kind: str) -> Registry:
    outcome = retrain(
        project="visits", as_of=datetime(2013, 7, 2, tzinfo=UTC), trigger=Trigger(kind=kind, window="June")
    )
    assert outcome.status == "released"
    return open_workspace().registry


def test_a_release_that_does_worse_in_use_is_taken_back_and_a_person_is_asked(folder: Path) -> None:
    registry = release_second("drift")
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


def test_labels_that_are_not_due_take_nothing_back(folder: Path) -> None:
    registry = release_second("drift")
    monitor(project="visits", window=DAY, as_of=datetime(2013, 7, 4, tzinfo=UTC))
    assert registry.champion("visits").version == 2


def test_what_a_person_released_stays(folder: Path) -> None:
    registry = release_second("operator")
    monitor(project="visits", window=DAY, as_of=LATER)
    assert registry.champion("visits").version == 2

"""A model in use, watched: real change told from noise, from broken data and from labels that are not due (FAULTS.md 13, 17)."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from infra.registry.registry import open_registry
from tests.flows.conftest import Place, Zygote
from tests.flows.watched import copy_place, train_watched

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("watching")]

DAY, LATER = "2013-07-03", "2013-07-05"
RULES = """\
  drift: {min_rows: 100}
  performance: {min_rows: 100}
"""


@pytest.fixture(scope="module")
def trained(watching_zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place where visits@1 is champion, and 300 visits a day come in; a test takes a copy."""
    return train_watched(watching_zygote, tmp_path_factory.mktemp("trained"), rules=RULES, history=1_500, stream=3_000)


@pytest.fixture
def visits(trained: Place, tmp_path: Path) -> Place:
    return copy_place(trained, tmp_path)


def change(place: Place, name: str, how: Any) -> None:
    """Change a column of the visits of one day."""
    path = Path(place.environment["KEEPFIT_PROJECTS"]) / "visits" / "stream.csv"
    frame = pd.read_csv(path)
    that_day = frame["at"].str.startswith(DAY)
    frame[name] = frame[name].astype(object).where(~that_day, frame[name].map(how))
    frame.to_csv(path, index=False)


def watch(place: Place, as_of: str = LATER, window: str = DAY) -> dict[str, Any]:
    told = place.answer("monitor", "visits", "--window", window, "--as-of", as_of)
    assert isinstance(told, dict)
    return told


def test_a_day_like_any_other_is_fine_and_what_was_said_of_it_stands(visits: Place) -> None:
    told = watch(visits)
    assert told["status"] == "FINE", told["reasons"]
    assert told["drift"]["alarm"] is False
    assert told["performance"]["matured"] == told["performance"]["due"] == told["scored_rows"] == 300
    change(visits, "signal", lambda value: value + 3)
    assert watch(visits) == told
    with open_registry(visits.database) as registry:
        assert len(registry.window_reports("visits")) == 1


def test_a_moved_feature_asks_for_a_retraining_and_is_named_first(visits: Place) -> None:
    change(visits, "signal", lambda value: value + 1)
    told = watch(visits)
    assert told["status"] == "RETRAIN"
    assert told["drift"]["drifted"][0] == "signal"
    moved = {each["name"]: each for each in told["drift"]["changes"]}
    assert moved["signal"]["effect"] > moved["signal"]["threshold"]
    assert moved["signal"]["importance"] > moved["noise"]["importance"]
    assert not moved["noise"]["drifted"]
    assert told["page"] is not None


def test_flipped_labels_are_an_alarm_once_they_are_due_and_not_before(visits: Place) -> None:
    change(visits, "label", {"left": "right", "right": "left"}.get)
    early = watch(visits, as_of="2013-07-04T00:00")
    assert early["performance"]["due"] == 1, "that of the first minute: it is a day old"
    assert early["performance"]["fell"] is None
    assert early["status"] == "FINE", early["reasons"]
    due = watch(visits)
    assert due["status"] == "RETRAIN"
    assert due["performance"]["fell"] is True


def test_broken_data_are_set_aside_whole_and_retrain_nothing(visits: Place) -> None:
    change(visits, "signal", lambda value: "n/a")
    told = watch(visits)
    assert told["status"] == "BROKEN DATA"
    assert (told["scored_rows"], told["quarantined_rows"], told["drift"]) == (0, 300, None)
    code, said = visits.keepfit("monitor", "visits", "--window", DAY, "--as-of", LATER)
    assert code == 0, said
    assert "BROKEN DATA" in said
    assert "Mend the source" in said


POINTS = ("monitor.before_commit", "monitor.after_commit")


@pytest.mark.parametrize("point", POINTS)
def test_after_kill_9_the_same_question_is_answered_once(visits: Place, point: str) -> None:
    code, said = visits.keepfit("monitor", "visits", "--window", DAY, "--as-of", LATER, KEEPFIT_FAULT_POINT=point)
    assert code == -9, f"the fault did not fire: {said}"
    told = watch(visits)
    with open_registry(visits.database) as registry:
        (row,) = registry.window_reports("visits")
        assert row.evidence == told
        assert [row.action for row in registry.audit("visits", limit=1000)].count("batch.add") == 1


def test_the_newest_window_that_has_ended_is_watched_where_none_is_named(visits: Place) -> None:
    told = visits.answer("monitor", "visits", "--as-of", "2013-07-05T10:00")
    assert isinstance(told, dict)
    assert told["window"]["name"] == "2013-07-04"


def test_a_project_that_is_not_watched_says_how_it_would_be(visits: Place) -> None:
    spec = Path(visits.environment["KEEPFIT_PROJECTS"]) / "visits" / "project.yaml"
    spec.write_text(spec.read_text().partition("monitoring:")[0])
    code, said = visits.keepfit("monitor", "visits")
    assert code == 2
    assert "is not watched, its project.yaml has no section `monitoring`" in said

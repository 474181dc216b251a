"""Labels that come 14 days late: no alarm while they are not due, and a fall is found as soon as they are."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from infra.registry.registry import open_registry
from tests.flows import crowd
from tests.flows.conftest import Place, Zygote
from tests.flows.watched import make_visits, make_watched

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("watching")]

DELAY = timedelta(days=14)
FALL = datetime(2013, 7, 8, tzinfo=UTC)
"""The second of the watched weeks, 2013-W28, begins."""
MONDAYS = [datetime(2013, 7, 8, tzinfo=UTC) + week * timedelta(days=7) for week in range(4)]
RULES = """\
  drift: {min_rows: 100}
  performance: {min_rows: 100, margin: 0.1}
"""


@pytest.fixture(scope="session")
def zygote(watching_zygote: Zygote) -> Zygote:
    return watching_zygote


def watch_mondays(project: str) -> list[str]:
    """Train as of July, then watch as a weekly schedule does; return what each flow run said at its end."""
    from flows.monitoring import monitor
    from flows.retraining import retrain

    retrain(project=project, as_of=datetime(2013, 7, 1, tzinfo=UTC))
    return [str(monitor(project=project, as_of=monday, return_state=True).message) for monday in MONDAYS]


def make_weekly(folder: Path, name: str, *, falls: bool) -> None:
    """Give the folder of `visits` another name, weeks, the long delay and, where wanted, labels that turn round."""
    spec = (folder / "project.yaml").read_text().replace("name: visits", f"name: {name}")
    (folder / "project.yaml").write_text(
        spec.replace("delay_days: 1,", "delay_days: 14,").replace("window: day", "window: week") + RULES
    )
    data = (folder / "data.py").read_text()
    (folder / "data.py").write_text(data.replace("pd.Timedelta(days=1)", "pd.Timedelta(days=14)"))
    every = pd.concat(
        [make_visits(900, "2013-06-01", 30), make_visits(700, "2013-07-01", 28, seed=7)], ignore_index=True
    )
    if falls:
        turned = every["label"].map({"left": "right", "right": "left"})
        every["label"] = np.where(pd.to_datetime(every["at"]) < FALL, every["label"], turned)
    for file in ("history.csv", "stream.csv"):
        every.to_csv(folder / file, index=False)
    folder.rename(folder.with_name(name))


def figures(place: Place, project: str) -> dict[tuple[str, str], dict[str, Any]]:
    with open_registry(place.database) as registry:
        rows = registry.window_reports(project)
        return {
            (row.window, f"{row.as_of:%m-%d}"): {"status": row.status, **row.evidence["performance"]} for row in rows
        }  # type: ignore[dict-item]


def test_no_alarm_while_labels_are_not_due_and_a_fall_is_found_one_delay_after_its_first_week_ended(
    place: Place, tmp_path: Path
) -> None:
    for name in ("steady", "falling"):
        make_weekly(make_watched(place, tmp_path / "projects"), name, falls=name == "falling")
    said = dict(zip(("steady", "falling"), crowd.call(place, watch_mondays, ("steady",), ("falling",)), strict=True))
    assert all(each.startswith("FINE") for each in said["steady"]), said

    for project in ("steady", "falling"):
        seen = figures(place, project)
        weeks = ["2013-W27", "2013-W28", "2013-W29", "2013-W30"]
        newest = [seen[week, f"{monday:%m-%d}"] for week, monday in zip(weeks, MONDAYS, strict=True)]
        assert [(one["due"], one["fell"], one["value"]) for one in newest] == [(0, None, None)] * 4
        assert {one["status"] for one in newest} == {"FINE"}, "what is not due is no alarm"
        first = seen["2013-W27", "07-22"]
        assert (first["status"], first["fell"], first["due"], first["matured"]) == ("FINE", False, 175, 175)
        assert len(seen) == 6, "each week is judged once, on the Monday on which its labels are due"

    found = figures(place, "falling")["2013-W28", "07-29"]
    assert (found["status"], found["fell"]) == ("RETRAIN", True)
    assert MONDAYS[-1] == FALL + timedelta(days=7) + DELAY
    assert "RETRAIN: falling/2013-W28." in said["falling"][-1]
    assert figures(place, "steady")["2013-W28", "07-29"]["fell"] is False
    assert not any("RETRAIN" in each for each in said["steady"])

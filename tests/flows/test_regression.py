"""Values instead of classes, from the data to the verdict, and watched in use."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.monitoring import monitor
from flows.retraining import retrain
from infra.workspace import open_workspace
from tasks.contracts.runs import Trigger
from tests.flows.conftest import Place, Zygote
from tests.flows.rides import train_rides
from tests.flows.watched import copy_place
from tests.tasks.release.waiting import own_workspace

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("watching")]

DAY, LATER = "2013-07-03", "2013-07-05"


def test_diabetes_goes_all_the_way_and_its_answers_are_values(place: Place, tmp_path: Path) -> None:
    outcome = place.answer("run", "diabetes")
    assert isinstance(outcome, dict)
    assert outcome["status"] == "released"
    checks = {check["name"]: check["status"] for check in outcome["verdict"]["checks"]}
    assert {"better than the dummy", "floor rmse", "floor r2"} <= set(checks)
    assert set(checks.values()) == {"pass"}
    seen = {metric["metric"]: metric for metric in outcome["evaluation"]["metrics"]}
    assert set(seen) == {"rmse", "mae", "r2"}
    assert 45 < seen["rmse"]["low"] < seen["rmse"]["value"] < seen["rmse"]["high"] < 65
    assert {"Predicted and true", "Residuals"} <= set(outcome["evaluation"]["pictures"])
    assert outcome["evaluation"]["confusion"] == []
    assert 140 < outcome["fit"]["centre"] < 165
    page = place.home / "page.html"
    code, said = place.keepfit("show", "diabetes@1", "--page", str(page))
    assert code == 0, said
    assert "Distribution of residuals" in page.read_text()
    from projects.diabetes.data import read

    rows = tmp_path / "rows.csv"
    read().head(20).to_csv(rows, index=False)
    answers = tmp_path / "answers.csv"
    code, said = place.keepfit("predict", "diabetes", str(rows), "--output", str(answers))
    assert code == 0, said
    given = pd.read_csv(answers)
    assert list(given.columns) == ["prediction", "version"]
    assert given["prediction"].between(0, 400).all()
    again = place.answer("run", "diabetes")
    assert isinstance(again, dict)
    assert again["status"] == "unchanged"


@pytest.fixture(scope="module")
def trained(watching_zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return train_rides(watching_zygote, tmp_path_factory.mktemp("rides"))


@pytest.fixture
def rides(trained: Place, tmp_path: Path) -> Place:
    return copy_place(trained, tmp_path)


def change(place: Place, name: str, how: Any) -> None:
    """Change a column of the rides of one day."""
    path = Path(place.environment["KEEPFIT_PROJECTS"]) / "rides" / "stream.csv"
    frame = pd.read_csv(path)
    that_day = frame["at"].str.startswith(DAY)
    frame[name] = frame[name].where(~that_day, how(frame[name]))
    frame.to_csv(path, index=False)


def watch(place: Place, as_of: str = LATER) -> dict[str, Any]:
    told = place.answer("monitor", "rides", "--window", DAY, "--as-of", as_of)
    assert isinstance(told, dict)
    return told


def changes_of(told: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(each["aspect"], each["name"]): each for each in told["drift"]["changes"] if each["test"] != "nulls"}


def test_a_day_like_any_other_is_silent_and_its_figure_has_an_interval(rides: Place) -> None:
    told = watch(rides)
    assert told["status"] == "FINE", told["reasons"]
    seen = changes_of(told)
    assert seen["prediction", "prediction"]["test"] == seen["target", "label"]["test"] == "ks"
    assert seen["feature", "signal"]["importance"] > 0.9
    figure = told["performance"]
    assert figure["metric"] == "root_error"
    assert figure["low"] < figure["value"] < figure["high"]
    assert figure["low"] < 5 < figure["high"]
    assert figure["fell"] is False
    assert figure["matured"] == figure["due"] == 300


def test_a_shift_of_what_is_predicted_is_caught_and_named(rides: Place) -> None:
    change(rides, "signal", lambda signal: signal + 1)
    told = watch(rides, as_of="2013-07-04T00:00")
    assert told["status"] == "RETRAIN"
    shifted = changes_of(told)["prediction", "prediction"]
    assert shifted["drifted"]
    assert shifted["type"] == "number"
    assert "to higher values" in shifted["note"]
    assert "prediction" in told["drift"]["drifted"]


def test_values_that_change_under_the_same_features_are_an_alarm_once_they_are_due(rides: Place) -> None:
    change(rides, "label", lambda label: label + 12)
    early = watch(rides, as_of="2013-07-04T00:00")
    assert early["status"] == "FINE", early["reasons"]
    due = watch(rides)
    assert due["status"] == "RETRAIN"
    assert due["performance"]["fell"] is True
    assert changes_of(due)["target", "label"]["drifted"]


def test_labels_come_as_files_and_a_text_among_them_is_refused(rides: Place, tmp_path: Path) -> None:
    stream = pd.read_csv(Path(rides.environment["KEEPFIT_PROJECTS"]) / "rides" / "stream.csv")
    assert rides.keepfit("score", "rides", "--window", DAY, "--as-of", LATER)[0] == 0
    labels = stream.loc[stream["at"].str.startswith(DAY), ["visit", "label"]]
    path = tmp_path / "labels.csv"
    labels.to_csv(path, index=False)
    told = rides.answer("labels", "rides", str(path))
    assert isinstance(told, dict)
    assert told["kept"] == 300
    labels.assign(label=labels["label"].astype(object).where(labels.index != labels.index[4], "long")).to_csv(path)
    code, said = rides.keepfit("labels", "rides", str(path))
    assert code == 3
    assert "label: expected" in said
    assert "row 5" in said


def test_a_release_that_does_worse_in_use_is_taken_back(
    rides: Place, prefect_url: str, forked_answers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rides@2 learns from minutes that somebody turned round; on the next days the version before was better."""
    folder = Path(rides.environment["KEEPFIT_PROJECTS"]) / "rides"
    history = pd.read_csv(folder / "history.csv")
    history.assign(label=120 - history["label"]).to_csv(folder / "history.csv", index=False)
    with own_workspace(rides.home, monkeypatch), temporary_settings({PREFECT_API_URL: prefect_url}):
        monkeypatch.setenv("KEEPFIT_PROJECTS", str(folder.parent))
        second = retrain(
            project="rides", as_of=datetime(2013, 7, 2, tzinfo=UTC), trigger=Trigger(kind="drift", window="June")
        )
        assert second.status == "released"
        state = monitor(
            project="rides", window=DAY, as_of=datetime.fromisoformat(LATER + "T00:00+00:00"), return_state=True
        )
        assert "rides@2 is taken back" in str(state.message)
        registry = open_workspace().registry
        last = registry.history("rides")[-1]
        assert (registry.champion("rides").version, last.kind) == (1, "rollback")
        assert last.evidence["difference"] < -10

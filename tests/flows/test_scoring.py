"""Windows scored, labels taken in and predictions traced, as users do it: real commands, on both stores and databases."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.scoring import find_newest, score
from infra.artifacts.store import open_store
from infra.errors import SpecError
from infra.registry.registry import Registry, open_registry
from tests.flows.conftest import Place, Zygote
from tests.flows.desk import open_desk
from tests.flows.watched import copy_place, make_visits, make_watched, train_watched
from tests.tasks.release.waiting import own_workspace

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("scoring")]

DAY, NEXT_DAY = "2013-07-01", "2013-07-02"


def open_place(place: Place) -> Registry:
    return open_registry(place.database)


@pytest.fixture(scope="module")
def trained(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place where visits@1 is champion; a test takes a copy."""
    return train_watched(zygote, tmp_path_factory.mktemp("trained"))


@pytest.fixture
def visits(trained: Place, tmp_path: Path) -> Place:
    return copy_place(trained, tmp_path)


def folder_of(place: Place) -> Path:
    return Path(place.environment["KEEPFIT_PROJECTS"]) / "visits"


def change_stream(place: Place, name: str, value: object, rows: slice) -> None:
    path = folder_of(place) / "stream.csv"
    frame = pd.read_csv(path).astype({name: object})
    frame.loc[rows, name] = value
    frame.to_csv(path, index=False)


RECORDED: dict[str, Any] = {}


def test_a_window_is_scored_labelled_and_traced_the_same_everywhere(everywhere: Place, tmp_path: Path) -> None:
    place = everywhere
    make_watched(place, tmp_path / "projects")
    code, said = place.keepfit("score", "visits", "--window", DAY)
    assert code == 2
    assert "visits has no champion yet" in said
    place.answer("run", "visits")

    scored = place.answer("score", "visits", "--window", DAY)
    assert isinstance(scored, dict)
    assert (scored["status"], scored["version"], scored["rows"], scored["quarantined_rows"]) == (
        "scored",
        "visits@1",
        40,
        0,
    )
    again = place.answer("score", "visits", "--window", DAY)
    assert again == {**scored, "status": "known"}

    taken = place.answer("labels", "visits", "--window", DAY, "--as-of", f"{NEXT_DAY}T12:00")
    assert isinstance(taken, dict)
    assert taken["windows"] == [{"window": DAY, "scored": 40, "due": 21, "matured": 21, "arrived": 21}]

    traced = place.answer("trace", f"visits/{DAY}/v7-3")
    assert isinstance(traced, dict)
    assert traced["prediction"]["row"] == "v7-3"
    assert sum(traced["prediction"]["probabilities"].values()) == pytest.approx(1)
    assert (traced["version"]["name"], traced["batch"]["snapshot"]) == ("visits@1", scored["snapshot"])
    assert traced["gate"]["verdict"].startswith("PROMOTE")
    assert traced["release"]["move"].startswith("#1 promote by gate")
    assert place.keepfit("doctor")[0] == 0
    # The first place to come here says what the other must give.
    assert RECORDED.setdefault("snapshot", scored["snapshot"]) == scored["snapshot"]
    assert RECORDED.setdefault("answer", traced["prediction"]) == traced["prediction"]


def test_every_trace_names_what_lineage_names(visits: Place) -> None:
    visits.answer("score", "visits", "--window", DAY)
    traced, lineage = visits.answer("trace", f"visits/{DAY}/v7-0"), visits.answer("lineage", "visits@1")
    assert isinstance(traced, dict)
    assert isinstance(lineage, dict)
    assert traced["code"] == lineage["code"]
    assert traced["data"]["snapshot"] == lineage["data"]["snapshot"]
    assert traced["run"]["id"] == lineage["run"]["id"]


def test_the_rows_of_a_file_are_the_same_batch_as_those_of_the_function(visits: Place) -> None:
    visits.answer("score", "visits", "--window", DAY)
    rows = pd.read_csv(folder_of(visits) / "stream.csv").drop(columns="label")
    file = visits.home / "rows.csv"
    rows[rows["at"].str.startswith(DAY)].sample(frac=1, random_state=0).to_csv(file, index=False)
    again = visits.answer("score", "visits", str(file), "--window", DAY)
    assert isinstance(again, dict)
    assert again["status"] == "known"

    rows.to_csv(file, index=False)
    code, said = visits.keepfit("score", "visits", str(file), "--window", DAY)
    assert code == 3
    assert "360 of 400 are of another time" in said
    rows[rows["at"].str.startswith(DAY)].iloc[1:].to_csv(file, index=False)
    code, said = visits.keepfit("score", "visits", str(file), "--window", DAY)
    assert code == 2, said
    assert "40 rows scored by visits@1" in said


def test_a_scored_window_stays_its_batch_under_a_champion_with_other_features(visits: Place) -> None:
    first = visits.answer("score", "visits", "--window", DAY)
    spec = folder_of(visits) / "project.yaml"
    spec.write_text(spec.read_text().replace("  label: {type", "  more: {type: number}\n  label: {type"))
    for name in ("history.csv", "stream.csv"):
        rows = pd.read_csv(folder_of(visits) / name)
        rows.assign(more=rows["signal"] ** 2).to_csv(folder_of(visits) / name, index=False)
    second = visits.answer("run", "visits")
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    if second["status"] != "released":
        assert visits.keepfit("promote", "visits@2", "--why", "more features")[0] == 0
    assert visits.answer("score", "visits", "--window", DAY) == {**first, "status": "known"}
    later = visits.answer("score", "visits", "--window", NEXT_DAY)
    assert isinstance(later, dict)
    assert later["version"] == "visits@2"


def test_bad_rows_are_set_aside_with_their_reasons_and_told_when_traced(visits: Place) -> None:
    change_stream(visits, "signal", "many", slice(0, 0))
    scored = visits.answer("score", "visits", "--window", DAY)
    assert isinstance(scored, dict)
    assert (scored["rows"], scored["quarantined_rows"]) == (39, 1)
    assert scored["reasons"] == {"signal: not a number": 1}
    code, said = visits.keepfit("trace", f"visits/{DAY}/v7-0")
    assert code == 2
    assert "was set aside and has no prediction: signal: not a number" in said


def test_an_expectation_of_the_project_s_own_is_put_to_the_rows_of_a_window(visits: Place) -> None:
    spec = folder_of(visits) / "project.yaml"
    asked = "{expectation: expect_column_values_to_be_between, arguments: {column: signal, max_value: 10}}"
    spec.write_text(
        spec.read_text().replace("quarantine_share: 0.05", f"quarantine_share: 0.05, expectations: [{asked}]")
    )
    change_stream(visits, "signal", 50.0, slice(0, 0))
    scored = visits.answer("score", "visits", "--window", DAY)
    assert isinstance(scored, dict)
    assert (scored["rows"], scored["quarantined_rows"]) == (39, 1)
    assert scored["reasons"] == {"breaks expect_column_values_to_be_between": 1}


def test_a_broken_column_sets_the_batch_aside_whole_and_the_mended_rows_take_its_place(visits: Place) -> None:
    path = folder_of(visits) / "stream.csv"
    sound = path.read_text()
    change_stream(visits, "signal", -999.0, slice(0, 39))
    for _ in range(2):
        code, said = visits.keepfit("score", "visits", "--window", DAY)
        assert code == 3, said
        assert "set aside whole, all 40 rows" in said
    with open_place(visits) as registry:
        batch = registry.batch("visits", DAY)
        assert batch is not None
        assert (batch.rows, batch.quarantined_rows) == (0, 40)
        assert batch.findings["reasons"] == {"signal: not at least -100 and at most 100": 40}
        assert [run.flow for run in registry.runs("visits")] == ["retrain"], "nothing is retrained"
    path.write_text(sound)
    scored = visits.answer("score", "visits", "--window", DAY)
    assert isinstance(scored, dict)
    assert (scored["status"], scored["rows"], scored["quarantined_rows"]) == ("scored", 40, 0)
    assert visits.keepfit("doctor")[0] == 0


def test_a_missing_column_is_kept_as_a_batch_that_was_set_aside(visits: Place) -> None:
    rows = make_visits(20, DAY, 1).drop(columns=["label", "signal"])
    file = visits.home / "rows.csv"
    rows.to_csv(file, index=False)
    code, said = visits.keepfit("score", "visits", str(file), "--window", DAY)
    assert code == 3
    assert "'signal' is missing" in said
    with open_place(visits) as registry:
        batch = registry.batch("visits", DAY)
        assert batch is not None
        assert (batch.rows, batch.quarantined_rows) == (0, 20)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("score", "visits"), 2, "expected the window whose rows are scored"),
        (("score", "visits", "--window", "2013-07"), 2, "expected a day (monitoring.window), received the month"),
        (("score", "visits", "--window", "July"), 2, "Expected the name of a window, received 'July'"),
        (("score", "visits", "rows.csv", "--window", DAY), 2, "found none at rows.csv"),
        (("score", "visits", "--window", "2014-01-01"), 3, "expected rows to score, received none"),
        (("score", "iris", "--window", DAY), 2, "No project 'iris'"),
        (("labels", "visits"), 2, "Expected a file of labels or --window, received neither"),
        (("labels", "visits", "--window", DAY, "--as-of", "2999-01-01"), 2, "expected a time that has come"),
        (("trace", "visits"), 2, "PROJECT/WINDOW/ROW"),
        (("trace", "visits/2013-07-09/v7-1"), 2, "the window '2013-07-09' was not scored"),
    ],
    ids=["no window", "month", "no name", "no file", "no rows", "project", "nothing", "future", "no id", "unknown"],
)
def test_what_cannot_be_meant_is_said_clearly(visits: Place, arguments: tuple[str, ...], code: int, said: str) -> None:
    found, printed = visits.keepfit(*arguments)
    assert (found, said in printed, "Traceback" in printed) == (code, True, False), printed


def take(place: Place, as_of: str, **labels: str) -> dict[str, Any]:
    file = place.home / "labels.csv"
    pd.DataFrame({"visit": [name.replace("_", "-") for name in labels], "label": list(labels.values())}).to_csv(
        file, index=False
    )
    answer = place.answer("labels", "visits", str(file), "--as-of", as_of)
    assert isinstance(answer, dict)
    return answer


def test_labels_come_late_out_of_order_and_again(visits: Place) -> None:
    visits.answer("score", "visits", "--window", DAY)
    late = take(visits, "2013-07-05", v7_1="left", nobody="right")
    assert (late["kept"], late["unknown"], late["unknown_ids"]) == (2, 1, ["nobody"])
    earlier = take(visits, "2013-07-04", v7_1="right", v7_2="left")
    assert (earlier["kept"], earlier["windows"][0]["matured"]) == (2, 2)
    again = take(visits, "2013-07-05", v7_1="left", v7_2="left")
    assert (again["kept"], again["known"], again["windows"][0]["matured"]) == (0, 2, 2)
    corrected = take(visits, "2013-07-06", v7_1="right")
    assert (corrected["kept"], corrected["corrections"]) == (1, 1)
    with open_place(visits) as registry:
        assert [row.rows for row in registry.label_deliveries("visits")] == [2, 2, 1]


def test_a_label_of_a_row_that_is_scored_later_counts_then(visits: Place) -> None:
    visits.answer("labels", "visits", "--window", DAY, "--as-of", "2013-07-03")
    visits.answer("score", "visits", "--window", DAY)
    answer = visits.answer("labels", "visits", "--window", DAY, "--as-of", "2013-07-03")
    assert isinstance(answer, dict)
    assert (answer["kept"], answer["windows"][0]["matured"]) == (0, 40)


def test_wrong_labels_are_refused_with_their_rows_and_nothing_is_kept(visits: Place) -> None:
    file = visits.home / "labels.csv"
    file.write_text("visit,label\nv7-1,left\nv7-2,up\n")
    code, said = visits.keepfit("labels", "visits", str(file))
    assert code == 3
    assert "1 of 2 labels are not, row 2: 'up'" in said
    with open_place(visits) as registry:
        assert registry.label_deliveries("visits") == []


@pytest.mark.parametrize("blob", ["predictions_blob", "rows_blob"])
def test_a_batch_whose_bytes_are_gone_is_listed_by_doctor_and_served_to_nobody(visits: Place, blob: str) -> None:
    visits.answer("score", "visits", "--window", DAY)
    visits.answer("labels", "visits", "--window", DAY, "--as-of", NEXT_DAY)
    with open_place(visits) as registry:
        batch = registry.batch("visits", DAY)
    assert batch is not None
    open_store(visits.store).delete(getattr(batch, blob).digest)
    code, said = visits.keepfit("doctor")
    assert code == 1
    assert f"'batch {DAY}'" in said
    asks = [("score", "visits", "--window", DAY)]
    if blob == "predictions_blob":
        asks += [("trace", f"visits/{DAY}/v7-1"), ("labels", "visits", "--window", DAY)]
    for arguments in asks:
        code, said = visits.keepfit(*arguments)
        assert code == 1, said
        assert "keepfit doctor" in said


def test_labels_whose_bytes_are_gone_are_listed_and_no_label_is_taken_for_missing(visits: Place) -> None:
    visits.answer("score", "visits", "--window", DAY)
    take(visits, "2013-07-04", v7_1="right")
    with open_place(visits) as registry:
        (delivery,) = registry.label_deliveries("visits")
    open_store(visits.store).delete(delivery.blob.digest)
    code, said = visits.keepfit("doctor")
    assert code == 1
    assert "labels known at 2013-07-04 00:00" in said
    code, said = visits.keepfit("labels", "visits", "--window", DAY)
    assert code == 1
    assert "cannot be served" in said


def test_history_tells_of_the_breaker_and_of_windows(visits: Place) -> None:
    from tests.infra.registry.builders import at, move_breaker, report_window

    with open_place(visits) as registry:
        move_breaker(registry, project="visits")
        evidence = {"reasons": ["signal moved by one sd"]}
        report_window(registry, DAY, at(2), project="visits", status="RETRAIN", alarm=True, evidence=evidence)
    code, said = visits.keepfit("history", "visits")
    assert code == 0, said
    assert "Breaker: open since" in said
    assert "by loop, no alarm retrains: three gates in a row" in said
    (line,) = [line for line in said.splitlines() if line.strip().startswith(DAY)]
    assert all(word in line for word in ("RETRAIN", "alarm", "visits@1", "signal moved by one sd"))


def test_the_flow_scores_the_newest_window_as_the_command_does_and_says_it_on_its_page(
    visits: Place, prefect_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_workspace(visits.home, monkeypatch), open_desk(prefect_url) as desk:
        monkeypatch.setenv("KEEPFIT_PROJECTS", visits.environment["KEEPFIT_PROJECTS"])
        run = desk.client.create_flow_run(score, parameters={"project": "visits", "as_of": f"{NEXT_DAY}T10:00:00Z"})
        state = desk.run(score, run)
    assert (state.name, state.message) == (
        "Completed",
        f"visits/{DAY}: 40 rows scored by visits@1, 0 set aside.",
    )
    again = visits.answer("score", "visits", "--window", DAY)
    assert isinstance(again, dict)
    assert again["status"] == "known"


def test_without_windows_there_is_no_newest_one() -> None:
    with pytest.raises(SpecError, match="iris: has no section `monitoring`"):
        find_newest("iris", None)


POINTS = ("batch.before_commit", "batch.after_commit", "labels.before_commit", "labels.after_commit")


@pytest.mark.parametrize("point", POINTS)
def test_after_kill_9_the_same_command_finishes_with_one_batch_and_one_delivery(visits: Place, point: str) -> None:
    commands = {
        "batch": ("score", "visits", "--window", DAY),
        "labels": ("labels", "visits", "--window", DAY, "--as-of", "2013-07-03"),
    }
    code, said = visits.keepfit(*commands[point.partition(".")[0]], KEEPFIT_FAULT_POINT=point)
    if point.startswith("labels"):
        assert code == -9, f"the fault did not fire: {said}"
        visits.answer(*commands["batch"])
    assert code == -9, f"the fault did not fire: {said}"
    for command in commands.values():
        assert visits.keepfit(*command)[0] == 0
    with open_place(visits) as registry:
        assert [(row.rows, row.quarantined_rows) for row in registry.batches("visits")] == [(40, 0)]
        assert [row.rows for row in registry.label_deliveries("visits")] == [40]
        actions = [row.action for row in registry.audit("visits", limit=1000)]
        assert (actions.count("batch.add"), actions.count("labels.add")) == (1, 1)
        store = open_store(visits.store)
        for ref in registry.known_blobs():
            store.read(ref)


def test_json_is_one_answer_on_standard_output(visits: Place) -> None:
    code, said = visits.keepfit("score", "visits", "--window", "2013-07", "--json")
    assert code == 2
    assert json.loads(said[said.index("{") : said.rindex("}") + 1])["exit_code"] == 2

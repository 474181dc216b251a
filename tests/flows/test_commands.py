"""The keepfit command as its users meet it: each command in a real process, against a real Prefect server."""

import json
from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd
import pytest

from infra.registry.holder import describe_process
from infra.registry.registry import open_registry
from tests.flows.conftest import Place
from tests.flows.tables import SPEC, write_rows

pytestmark = pytest.mark.engine


def test_iris_is_the_articles_example_with_what_an_honest_eye_adds(place: Place) -> None:
    place.environment["KEEPFIT_PROJECTS"] = "projects"
    place.forked_scoring = False
    outcome = place.answer("run", "iris")
    assert outcome["status"] == "released"
    assert outcome["fit"]["chosen"]["candidate"] == "knn-3"
    accuracy = outcome["evaluation"]["metrics"][0]
    assert (accuracy["metric"], accuracy["value"], accuracy["n"]) == ("accuracy", 1.0, 30)
    assert accuracy["low"] < 0.9
    (chosen,) = [score for score in outcome["fit"]["selection"] if score["chosen"]]
    assert len(chosen["scores"]) == 200
    assert 0.93 < chosen["mean"] < 0.98
    assert outcome["evaluation"]["smallest_detectable"] > 0.1
    assert outcome["evaluation"]["baseline"][0]["value"] < 0.5


def test_a_second_run_on_unchanged_data_changes_nothing(iris: Place) -> None:
    again = iris.answer("run", "iris")
    assert again["status"] == "unchanged"
    assert again["champion"] == "iris@1"
    assert len(iris.answer("history", "iris")) == 1
    code, said = iris.keepfit("run", "iris", "--strict")
    assert code == 0, said
    assert "as before" in said


def test_a_dry_run_judges_and_registers_nothing(place: Place) -> None:
    outcome = place.answer("run", "iris", "--dry-run")
    assert (outcome["status"], outcome["decision"], outcome["version"]) == ("dry_run", "PROMOTE", None)
    assert place.answer("history", "iris") == []


def test_a_better_candidate_is_promoted_and_a_worse_one_is_not(place: Place, table: Path) -> None:
    write_rows(table, sharpness=0.8)
    assert place.answer("run", "table")["status"] == "released"

    spec = (table / "project.yaml").read_text()
    worse = spec.replace("sklearn.linear_model.LogisticRegression", "sklearn.dummy.DummyClassifier")
    (table / "project.yaml").write_text(worse)
    code, said = place.keepfit("run", "table", "--strict")
    assert code == 4, said
    assert "table@1 stays champion" in said
    shown = place.answer("show", "table@2")
    assert shown["verdict"]["decision"] == "REJECT"
    assert place.answer("history", "table")[-1]["version"] == 1


def test_a_candidate_without_a_feature_is_held_against_the_champion_that_has_it(
    place: Place, released_table: Path
) -> None:
    table = released_table
    spec = (table / "project.yaml").read_text()
    column = "{type: number, null_share: 0.1}"
    (table / "project.yaml").write_text(spec.replace(column, "{type: number, null_share: 0.1, feature: false}"))
    outcome = place.answer("run", "table")
    assert isinstance(outcome, dict)
    assert outcome["verdict"]["champion"] == "table@1"
    (table / "project.yaml").write_text(spec.replace(f"  noise: {column}\n", ""))
    code, said = place.keepfit("run", "table")
    assert code == 2
    assert "table@1 was trained with 'noise', which project.yaml has no more" in said
    assert "`feature: false`" in said


def test_the_first_model_must_beat_the_dummy(place: Place, table: Path) -> None:
    write_rows(table, sharpness=0.0)
    code, said = place.keepfit("run", "table", "--strict")
    assert code == 4, said
    assert place.answer("history", "table") == []


def test_promote_and_rollback_by_hand_are_one_history(place: Place, released_table: Path) -> None:
    write_rows(released_table, sharpness=2.0, seed=1)
    assert place.answer("run", "table")["version"] == "table@2"
    code, said = place.keepfit("promote", "table@2", "--why", "the new survey counts")
    assert code == 0, said
    code, said = place.keepfit("rollback", "table", "--why", "complaints from the north")
    assert code == 0, said
    rows = place.answer("history", "table")
    assert [(row["version"], row["kind"], row["actor"]) for row in rows] == [
        (1, "promote", "gate"),
        (2, "promote", "tester"),
        (1, "rollback", "tester"),
    ]
    assert rows[2]["why"] == "complaints from the north"
    assert rows[0]["until"] == rows[1]["at"]
    assert place.answer("history", "table", "--at", rows[1]["at"])["version"] == 2
    assert place.keepfit("history", "table", "--at", "2001-01-01")[1].count("had no champion") == 1


def test_a_model_that_was_rolled_back_from_does_not_come_back_by_itself(place: Place, table: Path) -> None:
    (table / "project.yaml").write_text(dedent(SPEC).replace("superiority", "non_inferiority, margin: 0.2"))
    assert place.answer("run", "table")["status"] == "released"
    write_rows(table, sharpness=2.0, seed=1)
    assert place.answer("run", "table")["status"] == "released"
    assert place.keepfit("rollback", "table", "--why", "it was wrong about Mondays")[0] == 0
    outcome = place.answer("run", "table")
    assert (outcome["status"], outcome["decision"]) == ("held", "HOLD")
    assert "rolled back" in outcome["verdict"]["summary"]
    assert place.answer("history", "table")[-1]["version"] == 1


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_predictions_name_the_version_that_made_them(released: Place, tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame(
        {"petal_width": [0.2, 2.3], "petal_length": [1.4, 5.2], "sepal_width": [3.5, 3.0], "sepal_length": [5.1, 6.7]}
    )
    path = tmp_path / f"flowers.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    answer = released.answer("predict", "iris", str(path))
    written = pd.read_csv(answer["output"])
    assert written["prediction"].tolist() == ["setosa", "virginica"]
    assert written["version"].unique().tolist() == ["iris@1"]
    np.testing.assert_allclose(written.filter(like="p_").sum(axis=1), 1)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("sepal_length,sepal_width\n5,3\n", 3, "petal_length"),
        ("sepal_length,sepal_width,petal_length,petal_width\n5,3,1,wide\n", 3, "wide"),
        ("sepal_length,sepal_width,petal_length,petal_width\n", 3, "received none"),
        ("", 3, "cannot be read"),
    ],
    ids=["missing column", "a word for a number", "no rows", "empty file"],
)
def test_a_file_that_cannot_be_answered_is_refused_and_nothing_is_written(
    released: Place, tmp_path: Path, text: str, code: int, said: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    found, printed = released.keepfit("predict", "iris", str(path))
    assert found == code, printed
    assert said in printed
    assert "Traceback" not in printed
    assert not list(tmp_path.glob("*predictions*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "irsi"), "iris"),
        (("show", "iris7"), "iris@7"),
        (("show", "iris@99"), "iris@99"),
        (("run", "iris", "--as-of", "yesterday"), "2013-07-01"),
        (("predict", "iris", "nowhere.csv"), "nowhere.csv"),
        (("rollback", "iris", "--why", "x"), "iris"),
    ],
    ids=["project", "label", "version", "time", "file", "nothing to roll back"],
)
def test_what_cannot_be_meant_is_refused_with_code_2(place: Place, arguments: tuple[str, ...], said: str) -> None:
    code, printed = place.keepfit(*arguments)
    assert code == 2, printed
    assert said in printed
    assert "Traceback" not in printed
    with open_registry(f"sqlite:///{place.home / 'registry.db'}") as registry:
        assert registry.runs() == []


def test_a_misspelt_key_is_refused_with_line_path_and_nearest_match_before_any_run(place: Place, table: Path) -> None:
    spec = dedent(SPEC).replace("floors: {accuracy: 0.55}", "flors: {accuracy: 0.55}")
    (table / "project.yaml").write_text(spec)
    (place.home / "registry.db").unlink()
    code, said = place.keepfit("run", "table")
    assert code == 2, said
    assert "gate.flors" in said
    assert "floors" in said.replace("gate.flors", "")
    assert not (place.home / "registry.db").exists()


def test_broken_data_stops_the_run_and_keeps_champion_and_evidence(place: Place, released_table: Path) -> None:
    rows = pd.read_csv(released_table / "rows.csv")
    rows.loc[:99, "signal"] = 1e6
    rows.to_csv(released_table / "rows.csv", index=False)
    code, said = place.keepfit("run", "table")
    assert code == 3, said
    assert "signal" in said
    assert "Traceback" not in said
    assert place.answer("history", "table")[-1]["version"] == 1
    with open_registry(f"sqlite:///{place.home / 'registry.db'}") as registry:
        failed = registry.runs("table")[0]
        assert failed.state == "failed"
        (evidence,) = [row for row in registry.steps(failed.run_id) if row.step == "validate (refused)"]
        assert evidence.result["quarantined_rows"] == 100
    assert place.keepfit("doctor")[0] == 0


def test_a_few_bad_rows_are_set_aside_and_counted(place: Place, table: Path) -> None:
    rows = pd.read_csv(table / "rows.csv")
    rows.loc[:9, "signal"] = 1e6
    rows.to_csv(table / "rows.csv", index=False)
    outcome = place.answer("run", "table")
    shown = place.answer("show", outcome["version"])["manifest"]["validation"]
    assert (shown["accepted_rows"], shown["quarantined_rows"]) == (590, 10)


def test_a_file_that_was_cut_between_two_runs_is_another_snapshot(place: Place, table: Path) -> None:
    first = place.answer("run", "table")["snapshot"]["digest"]
    path = table / "rows.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    assert place.answer("run", "table", "--dry-run")["snapshot"]["digest"] != first
    path.write_text("".join(lines))
    assert place.answer("run", "table", "--dry-run")["snapshot"]["digest"] == first


def test_another_run_in_flight_is_named_and_not_disturbed(place: Place) -> None:
    with open_registry(f"sqlite:///{place.home / 'registry.db'}") as registry:
        grant = registry.begin_run(
            project="iris",
            flow="retrain",
            trigger_kind="operator",
            trigger_key=None,
            why="",
            parameters={},
            actor="tester",
            holder=describe_process(),
        )
        code, said = place.keepfit("run", "iris")
        assert code == 1, said
        assert grant.run_id in said
        registry.renew_lease(grant)


@pytest.mark.parametrize(
    "arguments",
    [("projects",), ("doctor",), ("history", "iris"), ("show", "iris@1"), ("lineage", "iris@1"), ("check", "iris")],
    ids=lambda arguments: arguments[0],
)
def test_every_look_answers_people_and_programs(released: Place, arguments: tuple[str, ...]) -> None:
    code, said = released.keepfit(*arguments)
    assert code == 0, said
    assert "iris" in said
    assert released.answer(*arguments)


def test_a_new_project_works_at_once(place: Place, tmp_path: Path) -> None:
    place.environment["KEEPFIT_PROJECTS"] = str(tmp_path / "projects")
    code, said = place.keepfit("new", "churn")
    assert code == 0, said
    code, said = place.keepfit("check", "churn")
    assert code == 0, said
    assert place.answer("run", "churn")["status"] == "released"
    code, said = place.keepfit("new", "churn")
    assert code == 2, said


def test_penguins_a_third_project_goes_the_same_way(place: Place) -> None:
    outcome = place.answer("run", "penguins")
    assert outcome["status"] == "released"
    shown = place.answer("show", "penguins@1")["manifest"]["validation"]
    assert (shown["accepted_rows"], shown["quarantined_rows"]) == (342, 2)


def test_rerun_gives_the_same_digest_in_fresh_processes(iris: Place) -> None:
    first, second = iris.answer("rerun", "iris@1"), iris.answer("rerun", "iris@1")
    assert first["equal"]
    assert first["again"] == second["again"] == first["recorded"]


def test_the_json_of_a_failure_is_json(place: Place) -> None:
    code, said = place.keepfit("run", "irsi", "--json")
    assert code == 2
    text = said[said.index("{") : said.rindex("}") + 1]
    assert json.loads(text)["exit_code"] == 2

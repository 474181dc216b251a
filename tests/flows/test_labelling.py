"""The queue and the list as people use them: commands, files filled in by hand, labels handed back."""

import io
from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd
import pytest

from tests.flows.conftest import Place, Zygote
from tests.flows.watched import copy_place, train_watched

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("labelling")]

DAYS = ("2013-07-01", "2013-07-02")


@pytest.fixture(scope="module")
def trained(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place where visits@1 is champion and two days of July are scored; a test takes a copy."""
    place = train_watched(zygote, tmp_path_factory.mktemp("labelling"))
    for day in DAYS:
        place.answer("score", "visits", "--window", day)
    return place


@pytest.fixture
def visits(trained: Place, tmp_path: Path) -> Place:
    return copy_place(trained, tmp_path)


def ask(place: Place, output: Path, *options: str) -> tuple[dict[str, object], pd.DataFrame]:
    told = place.answer("label-queue", "visits", "--output", str(output), *options)
    assert isinstance(told, dict)
    return told, pd.read_csv(output, dtype=str, keep_default_na=False)


def test_the_queue_is_filled_in_handed_back_and_asks_for_other_rows_then(visits: Place, tmp_path: Path) -> None:
    told, sheet = ask(visits, tmp_path / "queue.csv", "--rows", "10", "--seed", "1")
    assert (told["unlabelled"], told["labelled"], told["champion"]) == (80, 0, "visits@1")
    assert list(sheet.columns) == ["visit", "at", "signal", "noise", "label", "keepfit_notes", "keepfit_row"]
    assert len(sheet) == 10
    assert set(sheet["label"]) == {""}
    picked = [row["picked"] for row in told["rows"]]  # type: ignore[attr-defined]
    assert picked.count("random") == 2
    unsure = [row["uncertainty"] for row in told["rows"] if row["picked"] == "worth"]  # type: ignore[attr-defined]
    assert min(unsure) > 0.8, "eight of eighty: the least sure"
    assert "alone" in str(told["notes"]), "there is no second model"

    again, other = tmp_path / "again.csv", tmp_path / "other.csv"
    ask(visits, again, "--rows", "10", "--seed", "1")
    assert again.read_bytes() == (tmp_path / "queue.csv").read_bytes()
    ask(visits, other, "--rows", "10", "--seed", "2")
    assert other.read_bytes() != again.read_bytes()
    code, said = visits.keepfit("label-queue", "visits", "--output", str(again))
    assert code == 2
    assert "one that is there already" in said

    sheet.loc[:5, "label"] = "left"
    sheet.to_csv(tmp_path / "filled.csv", index=False)
    taken = visits.answer("labels", "visits", str(tmp_path / "filled.csv"))
    assert isinstance(taken, dict)
    assert (taken["received"], taken["kept"], taken["without_truth"], taken["unknown"]) == (10, 6, 4, 0)
    later, rest = ask(visits, tmp_path / "later.csv", "--rows", "80")
    assert (later["unlabelled"], later["labelled"]) == (74, 6)
    assert not set(rest["visit"]) & set(sheet["visit"][:6])

    sheet.loc[7, "label"] = "lefft"
    sheet.to_csv(tmp_path / "wrong.csv", index=False)
    code, said = visits.keepfit("labels", "visits", str(tmp_path / "wrong.csv"))
    assert code == 3
    assert "1 of 10 are not, row 8: 'lefft'. Did you mean 'left'?" in said


def test_rows_of_a_file_are_queued_and_those_with_a_label_are_not(visits: Place, tmp_path: Path) -> None:
    stream = pd.read_csv(Path(visits.environment["KEEPFIT_PROJECTS"]) / "visits" / "stream.csv")
    stream["label"] = stream["label"].where(stream.index < 390)
    file = tmp_path / "rows.csv"
    stream.to_csv(file, index=False)
    told, sheet = ask(
        visits,
        tmp_path / "queue.csv",
        "--file",
        str(file),
        "--columns",
        "signal",
        "--show-answers",
        "--random-share",
        "0",
    )
    assert told["unlabelled"] == len(sheet) == 10
    expected = ["visit", "signal", "keepfit_answer", "keepfit_probability", "label", "keepfit_notes", "keepfit_row"]
    assert list(sheet.columns) == expected
    assert sheet["keepfit_probability"].astype(float).between(0.5, 1).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--by", "uncertainity"), "Did you mean 'uncertainty'?"),
        (("--by", "disagreement"), "needs a second model"),
        (("--columns", "signl"), "Did you mean 'signal'?"),
        (("--window", "2013-07-09"), "was not scored"),
        (("--output", "/nowhere/at/all.csv"), "no folder to write it in"),
    ],
    ids=["misspelt", "one model", "no such column", "no such window", "no such folder"],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(
    trained: Place, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    where = () if "--output" in options else ("--output", str(tmp_path / "queue.csv"))
    code, text = trained.keepfit("label-queue", "visits", *options, *where)
    assert code == 2, text
    assert said in text
    assert not list(tmp_path.iterdir())


def test_models_tested_before_make_a_committee_and_disagreement_chooses(visits: Place, tmp_path: Path) -> None:
    folder = Path(visits.environment["KEEPFIT_PROJECTS"]) / "visits"
    spec = (folder / "project.yaml").read_text()
    tree = "  tree: {estimator: sklearn.tree.DecisionTreeClassifier, params: {max_depth: 3}}\nselection: {also_test: [tree], "
    softer = spec.replace("LogisticRegression}", "LogisticRegression, params: {C: 0.05}}")
    (folder / "project.yaml").write_text(softer.replace("selection: {", tree))
    told = visits.answer("run", "visits")
    assert isinstance(told, dict)
    if told["status"] != "released":
        assert visits.keepfit("promote", "visits@2", "--why", "a committee")[0] == 0
    outcome, _ = ask(visits, tmp_path / "queue.csv", "--by", "disagreement", "--rows", "8", "--random-share", "0")
    assert outcome["committee"] == ["visits@2", "visits@2 tree", "visits@1"]
    chosen = [row["disagreement"] for row in outcome["rows"]]  # type: ignore[attr-defined]
    every, _ = ask(visits, tmp_path / "every.csv", "--rows", "80", "--random-share", "1")
    others = sorted(row["disagreement"] for row in every["rows"])  # type: ignore[attr-defined]
    assert sorted(chosen) == others[-8:]


def test_windows_that_lack_a_feature_of_the_champion_are_left_out_and_said(visits: Place, tmp_path: Path) -> None:
    folder = Path(visits.environment["KEEPFIT_PROJECTS"]) / "visits"
    spec = (folder / "project.yaml").read_text()
    (folder / "project.yaml").write_text(spec.replace("  label: {type", "  more: {type: number}\n  label: {type"))
    for name in ("history.csv", "stream.csv"):
        rows = pd.read_csv(folder / name)
        rows.assign(more=rows["signal"] ** 2).to_csv(folder / name, index=False)
    told = visits.answer("run", "visits")
    assert isinstance(told, dict)
    if told["status"] != "released":
        assert visits.keepfit("promote", "visits@2", "--why", "more features")[0] == 0
    code, said = visits.keepfit("label-queue", "visits", "--output", str(tmp_path / "none.csv"))
    assert code == 2
    assert "no scored window has the features of visits@2" in said
    visits.answer("score", "visits", "--window", "2013-07-03")
    outcome, _ = ask(visits, tmp_path / "queue.csv")
    assert outcome["unlabelled"] == 40
    assert [str(note).split(" is left out")[0] for note in outcome["notes"]][:2] == [f"visits/{day}" for day in DAYS]  # type: ignore[attr-defined]
    assert outcome["committee"] == ["visits@2", "visits@1"]


TEXTS = """\
    name: mails
    source: {csv: rows.csv}
    columns:
      mail: {type: text}
      words: {type: text}
      kind: {type: category}
    target: kind
    row_id: mail
    candidates:
      logistic: {estimator: sklearn.linear_model.LogisticRegression}
    selection: {folds: 2}
    """


def test_texts_are_queued_once_each_safe_to_open_and_taken_back(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "projects" / "mails"
    folder.mkdir(parents=True)
    (folder / "project.yaml").write_text(dedent(TEXTS))
    random = np.random.default_rng(0)
    told = {"spam": ["win", "prize", "money", "now"], "ham": ["lunch", "report", "meeting", "monday"]}
    kinds = random.choice(list(told), 200)
    words = [" ".join(random.choice([*told[kind], "the", "hello", "you"], 6)) for kind in kinds]
    every = pd.DataFrame({"mail": [f"m{at}" for at in range(200)], "words": words, "kind": kinds})
    every.to_csv(folder / "rows.csv", index=False)
    place.environment["KEEPFIT_PROJECTS"] = str(folder.parent)
    place.answer("run", "mails")

    asked = pd.DataFrame(
        {
            "mail": ["=1+1", "-7", "c", "d"],
            "words": ["=cmd|' /C calc'!A0, the lunch prize", "@SUM(A1) hello you", "Win money, NOW", "win money now!"],
        }
    )
    asked.to_csv(tmp_path / "asked.csv", index=False)
    outcome = place.answer(
        "label-queue", "mails", "--file", str(tmp_path / "asked.csv"), "--output", str(tmp_path / "q.csv")
    )
    assert isinstance(outcome, dict)
    assert (outcome["unlabelled"], outcome["distinct"]) == (4, 3), "the last two say the same"
    sheet = pd.read_csv(tmp_path / "q.csv", dtype=str, keep_default_na=False)
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in sheet.itertuples(index=False) for cell in row)
    sheet["kind"] = "spam"
    sheet.to_csv(tmp_path / "filled.csv", index=False)
    taken = place.answer("labels", "mails", str(tmp_path / "filled.csv"))
    assert isinstance(taken, dict)
    assert (taken["kept"], sorted(taken["unknown_ids"])[:2]) == (3, ["-7", "=1+1"])
    sheet.assign(kind="spma").to_csv(tmp_path / "wrong.csv", index=False)
    code, said = place.keepfit("labels", "mails", str(tmp_path / "wrong.csv"))
    assert code == 3
    assert "expected one of 'ham', 'spam'" in said, "the contract names no classes: those of the champion count"


def test_likely_wrong_labels_are_listed_with_what_to_expect_and_nothing_is_changed(
    trained: Place, tmp_path: Path
) -> None:
    before = trained.answer("lineage", "visits@1")
    output = tmp_path / "issues.csv"
    told = trained.answer("label-issues", "visits", "--output", str(output))
    assert isinstance(told, dict)
    # Ordered by time: an expanding window of two folds leaves the first third unjudged.
    assert (told["training_rows"], told["judged_rows"]) == (360, 240)
    assert told["trial"]["flipped"] > 0
    assert "flipped on purpose" in told["expectation"]
    table = pd.read_csv(io.StringIO(output.read_text("utf-8-sig")), dtype=str)
    assert table["visit"].tolist() == [issue["row"] for issue in told["issues"]]
    assert (table["keepfit_given"] != table["keepfit_likely"]).all()
    assert trained.answer("lineage", "visits@1") == before
    code, said = trained.keepfit("label-issues", "visits", "--as-of", "2001-01-01", "--output", str(tmp_path / "x.csv"))
    assert code == 2
    assert "had no champion" in said


def test_without_a_champion_there_is_nothing_to_ask(place: Place, tmp_path: Path) -> None:
    for command in ("label-queue", "label-issues"):
        code, said = place.keepfit(command, "iris", "--output", str(tmp_path / "x.csv"))
        assert code == 2
        assert "iris has no champion yet" in said


def test_a_project_without_row_ids_is_told_that_labels_come_back_by_them(released: Place, tmp_path: Path) -> None:
    code, said = released.keepfit("label-queue", "iris", "--output", str(tmp_path / "x.csv"))
    assert code == 2
    assert "need `row_id`" in said

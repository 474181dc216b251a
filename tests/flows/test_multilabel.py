"""Several labels a row, from the data to the verdict, and watched in use."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.flows.conftest import Place, Zygote
from tests.flows.digits import train_digits
from tests.flows.watched import copy_place
from tests.tasks.models.label_rows import LABELS

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("watching")]

DAY, LATER = "2013-07-02", "2013-07-04"


@pytest.fixture(scope="module")
def trained(watching_zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, dict[str, Any]]:
    place = train_digits(watching_zygote, tmp_path_factory.mktemp("digits"))
    told = place.answer("run", "digits")
    assert isinstance(told, dict)
    return place, told


@pytest.fixture
def digits(trained: tuple[Place, dict[str, Any]], tmp_path: Path) -> Place:
    return copy_place(trained[0], tmp_path)


def stream_of(place: Place) -> Path:
    return Path(place.environment["KEEPFIT_PROJECTS"]) / "digits" / "stream.csv"


def watch(place: Place, as_of: str = LATER) -> dict[str, Any]:
    told = place.answer("monitor", "digits", "--window", DAY, "--as-of", as_of)
    assert isinstance(told, dict)
    return told


def changes_of(told: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(each["aspect"], each["name"]): each for each in told["drift"]["changes"] if each["test"] != "nulls"}


def test_the_first_model_of_several_labels_is_released_by_its_figures(trained: tuple[Place, dict[str, Any]]) -> None:
    place, told = trained
    assert told["status"] == "released", told["verdict"]
    checks = {check["name"]: check["status"] for check in told["verdict"]["checks"]}
    assert {"better than the dummy", "floor label_f1_micro", "floor hamming_loss"} <= set(checks)
    assert set(checks.values()) == {"pass"}
    seen = {metric["metric"]: metric for metric in told["evaluation"]["metrics"]}
    assert set(seen) == {"label_f1_micro", "label_f1_macro", "hamming_loss", "ranking_precision", "ranking_loss"}
    assert all(one["low"] < one["value"] < one["high"] for one in seen.values())
    baseline = {metric["metric"]: metric["value"] for metric in told["evaluation"]["baseline"]}
    assert baseline["label_f1_micro"] > 0.6, "the dummy does not answer the best constant set"
    assert set(told["fit"]["class_prior"]) == set(LABELS)
    assert "Labels" in told["evaluation"]["pictures"]
    assert "ROC curve" not in told["evaluation"]["pictures"]
    page = place.home / "page.html"
    code, said = place.keepfit("show", "digits@1", "--page", str(page))
    assert code == 0, said
    assert "label_f1_micro" in said
    assert "Labels" in page.read_text()
    assert place.keepfit("check", "digits")[0] == 0


def test_answers_name_the_set_and_each_label(digits: Place, tmp_path: Path) -> None:
    answers = tmp_path / "answers.csv"
    code, said = digits.keepfit("predict", "digits", str(stream_of(digits)), "--output", str(answers))
    assert code == 0, said
    given = pd.read_csv(answers)
    assert list(given.columns) == ["visit", "prediction", *(f"p_{name}" for name in LABELS), *LABELS, "version"]
    assert {"none", "even", "even+closed"} <= set(given["prediction"])
    for name in LABELS:
        assert (given[name] == (given[f"p_{name}"] > 0.5)).all()
        assert (given[name] == given["prediction"].str.contains(name)).all()
    truth = pd.read_csv(stream_of(digits))
    assert (given[LABELS].to_numpy() == truth[LABELS].to_numpy()).mean() > 0.7


def test_a_second_model_is_held_against_the_first_on_the_same_sets(digits: Place) -> None:
    assert digits.answer("run", "digits")["status"] == "unchanged"  # type: ignore[index, call-overload]
    spec = Path(digits.environment["KEEPFIT_PROJECTS"]) / "digits" / "project.yaml"
    spec.write_text(spec.read_text().replace("C: 0.1", "C: 0.0001"))
    told = digits.answer("run", "digits")
    assert isinstance(told, dict)
    assert told["status"] != "released"
    checks = {check["name"]: check for check in told["verdict"]["checks"]}
    assert checks["primary label_f1_micro"]["difference"] < 0
    assert checks["primary label_f1_micro"]["status"] == "fail"
    assert "guard ranking_loss" in checks


def test_a_day_like_any_other_is_silent_and_each_label_is_watched(digits: Place) -> None:
    told = watch(digits)
    assert told["status"] == "FINE", told["reasons"]
    seen = changes_of(told)
    assert {("prediction", name) for name in LABELS} <= set(seen)
    assert {("prediction", f"p_{name}") for name in LABELS} <= set(seen)
    assert {("target", name) for name in LABELS} <= set(seen)
    figure = told["performance"]
    assert figure["metric"] == "label_f1_micro"
    assert figure["low"] < figure["value"] < figure["high"]
    assert figure["fell"] is False
    assert figure["matured"] == figure["due"] > 250
    assert sum(each["importance"] or 0 for name, each in seen.items() if name[0] == "feature") == pytest.approx(
        1, abs=0.01
    )


def test_one_label_that_turns_round_is_named_and_lowers_the_figure(digits: Place) -> None:
    frame = pd.read_csv(stream_of(digits))
    that_day = frame["at"].str.startswith(DAY)
    frame.loc[that_day, "closed"] = True
    frame.to_csv(stream_of(digits), index=False)
    told = watch(digits)
    assert told["status"] == "RETRAIN"
    seen = changes_of(told)
    assert seen["target", "closed"]["drifted"]
    assert not seen["target", "even"]["drifted"]
    assert told["performance"]["fell"] is True


def test_labels_come_as_files_with_one_column_each_and_a_word_among_them_is_refused(
    digits: Place, tmp_path: Path
) -> None:
    stream = pd.read_csv(stream_of(digits))
    assert digits.keepfit("score", "digits", "--window", DAY, "--as-of", LATER)[0] == 0
    labels = stream.loc[stream["at"].str.startswith(DAY), ["visit", *LABELS]].reset_index(drop=True)
    path = tmp_path / "labels.csv"
    labels.astype({"even": object}).assign(even=lambda rows: rows["even"].where(rows.index != 3)).to_csv(
        path, index=False
    )
    told = digits.answer("labels", "digits", str(path))
    assert isinstance(told, dict)
    assert (told["kept"], told["without_truth"]) == (len(labels) - 1, 1)
    labels.astype({"even": object}).assign(even=lambda rows: rows["even"].where(rows.index != 4, "often")).to_csv(path)
    code, said = digits.keepfit("labels", "digits", str(path))
    assert code == 3
    assert "even: expected true or false" in said
    assert "row 5" in said
    labels[["visit", "even"]].to_csv(path)
    code, said = digits.keepfit("labels", "digits", str(path))
    assert (code, "missing: 'large', 'closed'" in said) == (3, True), said


@pytest.mark.parametrize("command", [["label-queue", "digits"], ["label-issues", "digits"]], ids=lambda one: one[0])
def test_what_needs_one_class_a_row_says_so(digits: Place, command: list[str]) -> None:
    code, said = digits.keepfit(*command)
    assert code == 2, said
    assert "one class" in said


def test_other_labels_are_not_held_against_those_of_the_champion(digits: Place) -> None:
    spec = Path(digits.environment["KEEPFIT_PROJECTS"]) / "digits" / "project.yaml"
    spec.write_text(spec.read_text().replace("- closed\n", "").replace("  closed:\n    type: boolean\n", ""))
    code, said = digits.keepfit("run", "digits")
    assert code == 2, said
    assert "they cannot be held against each other" in said

"""Rows with several labels, before anything is fitted: each label is looked at by itself."""

import pandas as pd
import pytest

from infra.errors import DataError, InsufficientData
from tasks.models.label_columns import with_sets
from tasks.preparation.splitting import split_rows
from tasks.validation.duplicates import find_rare_classes
from tasks.validation.labels import check_labels
from tasks.validation.leaks import find_leaks
from tests.tasks.models.label_rows import LABELS, label_rows, labels_spec, raw_spec


def test_a_feature_that_gives_one_of_the_labels_away_is_named_with_it() -> None:
    rows = label_rows()
    spec = labels_spec(columns={**raw_spec()["columns"], "hint": {"type": "number"}})
    assert find_leaks(rows.assign(hint=rows["pixel4"]), spec).certain == []
    (said,) = find_leaks(rows.assign(hint=rows["large"].astype(float)), spec).certain
    assert said.startswith("Column 'hint' predicts 'large' almost perfectly")


def test_rare_labels_are_named_and_rare_sets_are_not() -> None:
    rows, spec = label_rows(), labels_spec()
    assert find_rare_classes(rows, spec) == []
    few = with_sets(rows.assign(closed=[True] * 3 + [False] * 397), spec)
    assert find_rare_classes(few, spec) == ["Labels that fewer than 5 rows have: 'closed (3)'."]


def test_rows_are_parted_without_regard_to_sets_that_occur_once() -> None:
    rows, spec = label_rows(30), labels_spec()
    train, test = split_rows(rows, spec)
    assert sorted([*train, *test]) == list(range(30))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"closed": True}, r"training rows with and without the label 'closed', received 320 with it of 320"),
        ({"even": False}, r"with and without the label 'even', received 0 with it of 320"),
    ],
    ids=["all", "none"],
)
def test_a_label_that_all_training_rows_have_or_none_cannot_be_learnt(changed: dict[str, bool], message: str) -> None:
    rows = with_sets(label_rows().assign(**changed), labels_spec())
    with pytest.raises(InsufficientData, match=message):
        split_rows(rows, labels_spec())


def test_labels_are_delivered_as_one_column_each_and_kept_as_the_set() -> None:
    spec = labels_spec(columns={"id": {"type": "integer"}, **raw_spec()["columns"]}, row_id="id")
    raw = pd.DataFrame({"id": [3, 1, 2], "even": [True, "0", None], "large": [1, "false", 1], "closed": [False, 0, 1]})
    checked = check_labels(raw, spec)
    assert checked.labels["truth"].tolist() == ["none", "even+large"]
    assert checked.labels["row_id"].tolist() == ["1", "3"]
    assert checked.without_truth == 1
    with pytest.raises(DataError, match=r"even: expected true or false; 1 of 3 labels are not, row 2: 'perhaps'"):
        check_labels(raw.assign(even=[True, "perhaps", False]), spec)
    with pytest.raises(
        DataError, match=r"labels have the columns 'id' and 'even' and 'large' and 'closed'; missing: 'large'"
    ):
        check_labels(raw.drop(columns="large"), spec)
    with pytest.raises(DataError, match="two or more"):
        check_labels(pd.concat([raw, raw.assign(large=False)]), spec)


def test_the_same_labels_are_watched_in_answers_and_in_truth() -> None:
    from tasks.monitoring.watched import watch_predictions, watch_target

    spec = labels_spec()
    assert [each.column for each in watch_target(spec)] == LABELS
    answers = ["prediction", *(f"p_{name}" for name in LABELS), *LABELS, "version"]
    watched = {each.column: each.type for each in watch_predictions(answers, labels=LABELS)}
    assert watched == dict.fromkeys(LABELS, "boolean") | {f"p_{name}": "number" for name in LABELS}
    two = watch_predictions(["prediction", "p_even", "p_large", "even", "large"], labels=LABELS[:2])
    assert [each.column for each in two] == ["even", "large", "p_even", "p_large"]

import numpy as np
import pandas as pd
import pytest

from infra.errors import IntegrityError, SpecError
from tasks.contracts.project import Slice
from tasks.evaluation.answers import read_answers
from tests.tasks.evaluation.builders import make_scored, make_spec


def frame(rows=4, **columns):
    made = {
        "row": range(rows),
        "truth": ["no", "yes"] * (rows // 2),
        "comparable": True,
        "column:part": ["a", "a", "b", None][:rows],
        "column:film": ["x", "y", "x", None][:rows],
    }
    for role, label in (("candidate", "knn"), ("champion", "demo@1")):
        made |= {
            f"{role}:{label}:predicted": ["no"] * rows,
            f"{role}:{label}:p:no": [0.7] * rows,
            f"{role}:{label}:p:yes": [0.3] * rows,
        }
    return pd.DataFrame(made | columns)


def read(table, *, evaluation=None, **gate):
    return read_answers(table, make_scored(len(table)), make_spec(evaluation=evaluation, **gate))


def test_answers_are_read_as_codes_of_the_classes():
    table = read(frame())
    np.testing.assert_array_equal(table.truth, [0, 1, 0, 1])
    np.testing.assert_array_equal(table.of("candidate").predicted, [0, 0, 0, 0])
    np.testing.assert_array_equal(table.of("champion").proba[0], [0.7, 0.3])
    assert table.classes[table.positive] == "yes"


def test_the_positive_class_is_the_spec_s():
    assert read(frame(), evaluation={"positive": "no"}).positive == 0


def test_an_unknown_positive_class_is_refused():
    with pytest.raises(SpecError, match=r"evaluation\.positive: expected one of 'no', 'yes', received 'maybe'"):
        read(frame(), evaluation={"positive": "maybe"})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0, 1, 3, 2], "received another order"),
        ([0, 0, 1, 2], "received another order"),
        ([1, 2, 3, 4], "another order"),
    ],
    ids=["swapped", "repeated", "shifted"],
)
def test_rows_in_another_order_are_refused(rows, message):
    with pytest.raises(IntegrityError, match=message):
        read(frame(row=rows))


def test_another_number_of_rows_is_refused():
    with pytest.raises(IntegrityError, match="expected 5 rows, received 4"):
        read_answers(frame(), make_scored(5), make_spec())


def test_a_missing_answer_column_is_refused():
    with pytest.raises(IntegrityError, match="candidate:knn:predicted is missing"):
        read(frame().drop(columns="candidate:knn:predicted"))


def test_a_row_without_truth_is_refused():
    with pytest.raises(IntegrityError, match="1 are missing"):
        read(frame(truth=["no", "yes", None, "yes"]))


def test_a_missing_or_foreign_answer_is_a_gap():
    assert read(frame(**{"candidate:knn:predicted": ["no", None, "no", "no"]})).of("candidate").has_gaps()
    assert read(frame(**{"candidate:knn:predicted": ["no", "nope", "no", "no"]})).of("candidate").has_gaps()
    assert read(frame(**{"candidate:knn:p:yes": [0.3, np.inf, 0.3, 0.3]})).of("candidate").has_gaps()


def test_a_class_that_only_the_test_rows_have_is_never_answered_rightly():
    table = read(frame(truth=["no", "yes", "new", "yes"]))
    assert table.classes == ("no", "yes", "new")
    np.testing.assert_array_equal(table.of("candidate").proba[:, 2], 0.0)


def test_each_value_is_a_slice_and_missing_is_one_too():
    table = read(frame(), slices=[Slice(column="part")])
    assert {name: mask.tolist() for name, mask in table.slices.items()} == {
        "part=a": [True, True, False, False],
        "part=b": [False, False, True, False],
        "part missing": [False, False, False, True],
    }


def test_a_named_slice_without_rows_is_kept_and_empty():
    table = read(frame(), slices=[Slice(column="part", values=["b", "gone"])])
    assert {name: int(mask.sum()) for name, mask in table.slices.items()} == {"part=b": 1, "part=gone": 0}


def test_too_many_slices_of_a_column_are_refused():
    many = frame(100, **{"column:part": [str(i) for i in range(100)], "column:film": "x"})
    with pytest.raises(SpecError, match="'part' has 100 values, at most 50"):
        read(many, slices=[Slice(column="part")])


def test_a_missing_slice_column_is_refused():
    with pytest.raises(SpecError, match=r"gate\.slices: the column 'part' is not among"):
        read(frame().drop(columns="column:part"), slices=[Slice(column="part")])


def test_a_row_without_a_group_is_a_group_of_its_own():
    table = read(frame(), evaluation={"group": "film"})
    assert table.groups[0] == table.groups[2]
    assert len(np.unique(table.groups)) == 3


@pytest.mark.parametrize("classes", [(0, 1), (False, True), (0.0, 1.0)], ids=["integers", "booleans", "floats"])
def test_classes_that_are_no_text_are_matched_by_value(classes):
    renamed = frame(truth=[classes[0], classes[1]] * 2).rename(
        columns=lambda name: name.replace(":p:no", f":p:{classes[0]}").replace(":p:yes", f":p:{classes[1]}")
    )
    for role in ("candidate:knn", "champion:demo@1"):
        renamed[f"{role}:predicted"] = [classes[1]] * 4
    scored = make_scored(4).model_copy(update={"classes": classes})
    table = read_answers(renamed, scored, make_spec())
    np.testing.assert_array_equal(table.truth, [0, 1, 0, 1])
    np.testing.assert_array_equal(table.of("candidate").predicted, 1)
    np.testing.assert_array_equal(table.of("candidate").proba[:, 0], 0.7)


def test_a_regression_has_values_and_no_classes():
    values = frame(truth=[1.0, 2.0, 3.0, 4.0], **{"candidate:knn:predicted": 2.0, "champion:demo@1:predicted": 3.0})
    table = read_answers(values, make_scored(4).model_copy(update={"classes": ()}), make_spec())
    assert table.classes == ()
    np.testing.assert_array_equal(table.of("candidate").predicted, 2.0)

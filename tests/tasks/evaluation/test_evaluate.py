import numpy as np
import pytest

from infra.errors import InsufficientData
from tasks.contracts.evaluation import EvaluationReport
from tasks.contracts.models import CandidateScore
from tasks.evaluation.answers import AnswerTable
from tasks.evaluation.evaluate import evaluate_rows
from tasks.evaluation.pictures import draw_pictures
from tasks.metrics.answers import Answers
from tests.tasks.evaluation.builders import as_model, draw_pair, make_scored, make_spec, right_and_wrong, table_of

PRIOR = {"no": 0.6, "yes": 0.4}
ALSO = {"also": ["f1_macro", "roc_auc", "log_loss"], "bootstrap_draws": 200}


def evaluated(table, spec=None, roles=None):
    roles = roles or tuple(model.role for model in table.models)
    return evaluate_rows(spec or make_spec(), table, make_scored(table.n, roles), PRIOR)


def value(values, name):
    return next(each.value for each in values if each.metric == name)


def test_every_model_is_measured_beside_the_dummy():
    table = draw_pair(0, 200)
    more = AnswerTable(**{**vars(table), "models": (*table.models, as_model("beside", np.full(200, 0.9)))})
    numbers = evaluated(more, make_spec(evaluation=ALSO, floors={"mcc": 0.1}))
    names = ["accuracy", "f1_macro", "roc_auc", "log_loss", "mcc"]
    for values in (numbers.metrics, numbers.champion, numbers.baseline, numbers.beside["other"]):
        assert [each.metric for each in values] == names
    assert value(numbers.baseline, "accuracy") == pytest.approx(np.mean(table.truth == 0))
    assert value(numbers.baseline, "roc_auc") == 0.5


def test_the_confusion_matrix_counts_every_row_by_truth_then_answer():
    numbers = evaluated(table_of(np.array([0, 0, 0, 1, 1]), np.array([0, 1, 1, 1, 0])))
    assert numbers.confusion == ((1, 2), (1, 1))


def test_a_slice_is_measured_on_its_rows_and_an_empty_one_is_nan():
    table = right_and_wrong(8, 0, 0, 2)
    table.slices.update({"part=a": np.arange(10) < 4, "part=none": np.zeros(10, dtype=bool)})
    parts = {part.slice: part.value for part in evaluated(table).slices}
    assert (parts["part=a"].value, parts["part=a"].n) == (1.0, 4)
    assert np.isnan(parts["part=none"].value)
    assert parts["part=none"].n == 0


def test_thirty_right_of_thirty_could_show_a_quarter_at_best():
    numbers = evaluated(right_and_wrong(30, 0, 0), roles=("candidate",))
    # Six discordant rows in one direction are the least that is significant; Bin(30, 0.25) has them 4 times in 5.
    assert numbers.smallest_detectable == pytest.approx(0.25, abs=0.01)


def test_more_rows_show_smaller_differences():
    sizes = [evaluated(right_and_wrong(86 * k, 4 * k, 4 * k, 6 * k)).smallest_detectable for k in (1, 10, 100)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] == pytest.approx(0.008, abs=0.001)


@pytest.mark.parametrize(
    "table",
    [
        table_of(np.zeros(0), np.zeros(0, int)),
        table_of(np.zeros(1), np.zeros(1, int)),
        table_of(np.ones(9), np.ones(9, int)),
    ],
    ids=["empty", "one_row", "one_class"],
)
def test_rows_that_measure_nothing_are_refused(table):
    with pytest.raises(InsufficientData, match="Expected"):
        evaluated(table)


def test_a_report_with_undefined_figures_survives_json():
    table = right_and_wrong(3, 1, 1, 0)
    table.slices["part=none"] = np.zeros(5, dtype=bool)
    report = evaluated(table).with_pictures({})
    back = EvaluationReport.model_validate_json(report.model_dump_json())
    assert back.smallest_detectable == report.smallest_detectable == float("inf")
    assert np.isnan(back.slices[0].value.value)


def test_a_regression_is_evaluated_and_has_no_confusion():
    rng = np.random.default_rng(0)
    truth = rng.normal(10, 2, 50)
    table = AnswerTable(
        (), truth, (Answers("candidate", "knn", truth + rng.normal(size=50)),), np.ones(50, dtype=bool), positive=-1
    )
    numbers = evaluated(table, make_spec(evaluation={"metric": "rmse", "also": ["r2"], "bootstrap_draws": 200}))
    assert numbers.confusion == ()
    assert value(numbers.baseline, "r2") == pytest.approx(0.0)
    assert 0 < numbers.smallest_detectable < 1


SELECTION = [
    CandidateScore(
        candidate=name,
        metric="accuracy",
        mean=0.9,
        std=0.02,
        standard_error=0.01,
        scores=(0.88, 0.92),
        chosen=name == "knn",
    )
    for name in ("knn", "tree")
]
HISTORY = {"loss": [0.6, 0.4], "val_loss": [0.7, 0.6], "accuracy": [0.7, 0.8]}


@pytest.mark.slow
def test_all_pictures_are_drawn_and_alike_twice():
    spec, table = make_spec(evaluation=ALSO), draw_pair(0, 120)
    numbers = evaluated(table, spec)
    pictures = draw_pictures(spec, table, numbers, selection=SELECTION, history=HISTORY)
    assert list(pictures) == [
        "Metrics",
        "Confusion matrix",
        "ROC curve",
        "Precision and recall",
        "Calibration",
        "Selection",
        "Training history",
    ]
    assert all(png.startswith(b"\x89PNG") and len(png) > 5_000 for png in pictures.values())
    assert draw_pictures(spec, table, numbers, selection=SELECTION, history=HISTORY) == pictures


def test_labels_alone_have_no_curves():
    spec, table = make_spec(), right_and_wrong(20, 3, 3, 4)
    assert list(draw_pictures(spec, table, evaluated(table))) == ["Metrics", "Confusion matrix"]

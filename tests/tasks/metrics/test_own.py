"""Metrics that a project brings with it: usable like any other, and held to what project.yaml says of them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import SpecError
from tasks.contracts.candidates import Candidate
from tasks.contracts.columns import Column
from tasks.contracts.metrics import OwnMetric
from tasks.contracts.project import Evaluation, Gate, ProjectSpec, Source
from tasks.evaluation.answers import AnswerTable
from tasks.evaluation.comparison import compare
from tasks.evaluation.evaluate import evaluate_rows
from tasks.evaluation.gate import decide
from tasks.metrics.answers import Answers
from tasks.metrics.intervals import measure_with_interval
from tasks.metrics.own import load_own
from tasks.metrics.registry import METRICS, find_metric
from tasks.project import load_project
from tasks.training.fitting import fit_project
from tests.tasks.evaluation.builders import draw_pair, make_scored
from tests.tasks.evaluation.test_regression import draw_pair as draw_values

LABELS = {"name": "right", "direction": "higher", "range": [0, 1], "uses": "labels"}
SCORES = {"name": "quadratic", "direction": "lower", "range": [0, 1], "uses": "scores"}
VALUES = {"name": "worst_tenth", "direction": "lower", "range": [0, None], "uses": "values"}

FUNCTIONS = {
    "right": lambda truth, answers: np.mean(truth == answers),
    "quadratic": lambda truth, share: np.mean((share - truth) ** 2),
    "worst_tenth": lambda truth, answers: np.quantile(np.abs(truth - answers), 0.9),
    "rooted": lambda truth, answers: np.sqrt(np.mean((truth - answers) ** 2)),
    "nothing": lambda truth, answers: np.nan,
    "words": lambda truth, answers: "good",
    "raises": lambda truth, answers: 1 / 0,
    "beyond": lambda truth, answers: 7.0,
}


def own_of(described, function=None):
    one = OwnMetric(**described, function=f"metrics:{function or described['name']}")
    return load_own([one], lambda reference: FUNCTIONS[reference.partition(":")[2]])


def metric_of(described, function=None):
    return own_of(described, function)[described["name"]]


@settings(max_examples=10)
@given(st.integers(0, 1_000))
@pytest.mark.parametrize(("described", "twin"), [(LABELS, "accuracy"), (SCORES, "brier")], ids=["labels", "scores"])
def test_an_own_metric_of_classes_is_what_the_built_in_one_is(described, twin, seed):
    table = draw_pair(seed, 60)
    weights = np.random.default_rng(seed).multinomial(60, np.full(60, 1 / 60), size=5).astype(float)
    for model in table.models:
        mine, theirs = (one.measure(table.truth, model, weights, 2, 1) for one in (metric_of(described), METRICS[twin]))
        np.testing.assert_allclose(mine, theirs)


def test_of_two_classes_the_positive_one_is_1():
    table = draw_pair(0, 30)
    (seen,) = (metric_of(SCORES, "words"),)
    truth, share = seen._arrange(table.truth, table.models[0], 2, 0)
    assert np.array_equal(truth, (table.truth == 0).astype(int))
    assert np.array_equal(share, table.models[0].proba[:, 0])


def test_an_own_metric_of_values_has_the_interval_and_the_comparison_of_its_twin():
    table = draw_values(4, 300)
    mine, theirs = metric_of({**VALUES, "name": "rooted"}), METRICS["rmse"]
    value, twin = (measure_with_interval(one, table, table.models[0], draws=400) for one in (mine, theirs))
    assert value.value == pytest.approx(twin.value)
    assert (value.low, value.high) == pytest.approx((twin.low, twin.high), rel=0.05)
    seen, other = (compare(one, table, *table.models, draws=400) for one in (mine, theirs))
    assert seen.difference == pytest.approx(other.difference)
    assert (seen.low, seen.high) == pytest.approx((other.low, other.high), rel=0.3)


def spec_of(metric="worst_tenth", **gate):
    return ProjectSpec(
        name="demo",
        source=Source(function="demo:load"),
        columns={"x": Column(type="number"), "y": Column(type="number")},
        target="y",
        candidates={"ridge": Candidate(estimator="sklearn.linear_model.Ridge")},
        evaluation=Evaluation(metric=metric, also=["worst_tenth"], bootstrap_draws=200),
        gate=Gate(**gate),
    )


@pytest.mark.parametrize(("error", "decision"), [(0.7, "PROMOTE"), (1.4, "REJECT")], ids=["better", "worse"])
def test_an_own_metric_decides_and_stands_as_guard_and_floor(error, decision):
    table = draw_values(1, 300, error)
    table = AnswerTable((), table.truth, table.models, table.comparable, -1, own=own_of(VALUES))
    primary = decide(spec_of(), table, make_scored(300), champion_seq=1, champion_label="demo@1", test_uses=1)
    assert primary.decision == decision
    assert "worst_tenth" in primary.summary
    beside = spec_of("rmse", guards={"worst_tenth": 2.0}, floors={"worst_tenth": 20.0})
    checks = {
        each.name: each.status
        for each in decide(beside, table, make_scored(300), champion_seq=1, champion_label="demo@1", test_uses=1).checks
    }
    expected = "pass" if decision == "PROMOTE" else "fail"
    assert checks["guard worst_tenth"] == checks["floor worst_tenth"] == expected
    seen = {value.metric: value for value in evaluate_rows(beside, table, make_scored(300), {}, 100.0).metrics}
    assert seen["worst_tenth"].low < seen["worst_tenth"].value < seen["worst_tenth"].high


WRONG = [
    ("nothing", "expected a number on 50 rows, received NaN"),
    ("words", "expected a number, received ValueError"),
    ("raises", "expected a number, received ZeroDivisionError"),
    ("beyond", r"expected a number from 0 to 1 \(`range`\), received 7"),
]


@pytest.mark.parametrize(("function", "said"), WRONG, ids=[name for name, _ in WRONG])
def test_a_metric_that_is_not_what_it_says_is_a_clear_error(function, said):
    table = draw_values(0, 50)
    metric = metric_of({**VALUES, "range": [0, 1]}, function)
    with pytest.raises(SpecError, match=rf"evaluation\.metrics: worst_tenth \(metrics:{function}\): {said}"):
        metric.value(table.truth, table.models[0], 0, -1)


def test_a_missing_answer_is_no_fault_of_the_metric():
    gap = Answers("candidate", "knn", np.array([1.0, np.nan]))
    assert np.isnan(metric_of(VALUES).value(np.array([1.0, 2.0]), gap, 0, -1))


def test_own_names_are_among_those_that_are_suggested_and_go_with_their_task_alone():
    own = own_of(VALUES)
    assert find_metric("worst_tenth", 0, own=own).name == "worst_tenth"
    with pytest.raises(SpecError, match=r"'worst_tent' is no metric; .*worst_tenth") as caught:
        find_metric("worst_tent", own=own)
    assert "Did you mean 'worst_tenth'" in str(caught.value)
    with pytest.raises(SpecError, match="does not go with a classification"):
        find_metric("worst_tenth", 2, own=own)


def test_nothing_is_loaded_where_a_project_has_none_of_its_own():
    assert load_own([], lambda reference: pytest.fail("nothing was asked for")) == {}


def make_project(root, function="worst_tenth"):
    folder = root / "rides"
    folder.mkdir()
    (folder / "metrics.py").write_text(
        '"""What hurts."""\n\nimport numpy as np\n\n\ndef worst_tenth(truth, answers):\n'
        "    return np.quantile(np.abs(truth - answers), 0.9)\n"
    )
    (folder / "project.yaml").write_text(
        f"""\
name: rides
source: {{csv: rows.csv}}
columns: {{x: {{type: number}}, y: {{type: number}}}}
target: y
candidates:
  mean: {{estimator: sklearn.dummy.DummyRegressor}}
  line: {{estimator: sklearn.linear_model.LinearRegression}}
selection: {{folds: 3}}
evaluation:
  metric: worst_tenth
  metrics:
    - {{name: worst_tenth, function: "metrics:{function}", direction: lower, range: [0, null], uses: values}}
"""
    )
    return load_project(root, "rides")


def test_a_candidate_is_chosen_by_the_projects_own_metric(tmp_path):
    project = make_project(tmp_path)
    random = np.random.default_rng(0)
    x = random.normal(size=200)
    rows = pd.DataFrame({"x": x, "y": 3 * x + random.normal(size=200)})
    result = fit_project(project.spec, rows, project.load, lambda *news: None)
    assert result.chosen.name == "line"
    assert [score.metric for score in result.selection] == ["worst_tenth"] * 2
    assert result.selection[1].mean == pytest.approx(1.64, abs=0.4)  # the 90 % quantile of a standard normal's size
    assert result.centre == pytest.approx(rows["y"].mean())


def test_a_function_that_is_not_there_is_told_before_anything_runs(tmp_path):
    with pytest.raises(SpecError, match=r"evaluation\.metrics\[0\]\.function: .*Did you mean 'worst_tenth'"):
        make_project(tmp_path, "worst_tenht")


def test_of_more_classes_the_probabilities_come_a_column_a_class():
    truth, proba = (
        np.array([0, 1, 2, 2]),
        np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2]]),
    )
    model = Answers("candidate", "knn", proba.argmax(axis=1), proba)
    metric = load_own(
        [OwnMetric(**{**SCORES, "name": "sure", "direction": "higher"}, function="metrics:sure")],
        lambda reference: lambda truth, shares: shares[np.arange(len(truth)), truth].mean(),
    )["sure"]
    assert metric.value(truth, model, 3, -1) == pytest.approx((0.8 + 0.7 + 0.8 + 0.2) / 4)

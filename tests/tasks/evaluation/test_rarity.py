"""What is shown by itself where a class is rare, and what a decision means for each slice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.artifacts.verdict import render_figures
from tasks.contracts.evaluation import EvaluationReport
from tasks.evaluation.answers import AnswerTable
from tasks.evaluation.evaluate import evaluate_rows
from tasks.evaluation.gate import decide_first
from tasks.evaluation.groups import measure_groups
from tasks.evaluation.rarity import find_rarity
from tasks.metrics.answers import Answers
from tasks.release.page import render_report
from tests.tasks.evaluation.builders import as_model, make_scored, make_spec, table_of
from tests.tasks.release.builders import make_manifest, make_verdict

RARE, EVEN = {"no": 0.95, "yes": 0.05}, {"no": 0.6, "yes": 0.4}
FEW = {"bootstrap_draws": 100}


def some_rows(n=200):
    random = np.random.default_rng(0)
    truth = (np.arange(n) % 20 == 0).astype(int)
    return table_of(truth, np.clip(0.3 * truth + random.random(n) * 0.6, 0, 1))


def evaluated(prior, table=None, **evaluation):
    table = table or some_rows()
    spec = make_spec(evaluation={**FEW, **evaluation})
    return evaluate_rows(spec, table, make_scored(table.n, ("candidate",)), prior)


def names(numbers):
    return [metric.metric for metric in numbers.metrics]


@pytest.mark.parametrize(
    ("prior", "expected"),
    [(RARE, ["accuracy", "pr_auc", "balanced_accuracy"]), (EVEN, ["accuracy"])],
    ids=["rare", "even"],
)
def test_rare_classes_have_their_own_figures_beside_every_model(prior, expected):
    numbers = evaluated(prior)
    assert names(numbers) == [metric.metric for metric in numbers.baseline] == expected
    assert bool(numbers.notes) == (prior == RARE)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_the_border_is_ten_to_one_whichever_class_is_rare(rare, common):
    total = rare + common
    found = find_rarity({"a": rare / total, "b": common / total})
    assert (found is not None) == (max(rare, common) > 10 * min(rare, common))
    if found:
        assert found.rarest == ("a" if rare < common else "b")


def test_the_training_rows_say_how_rare_a_class_is_not_the_test_rows():
    assert names(evaluated(EVEN)) == ["accuracy"], "one in twenty test rows"


def test_many_classes_have_figures_of_labels():
    truth = np.arange(60) % 3
    table = AnswerTable(("a", "b", "c"), truth, (Answers("candidate", "knn", truth),), np.ones(60, dtype=bool), -1)
    assert names(evaluated({"a": 0.9, "b": 0.05, "c": 0.05}, table)) == ["accuracy", "balanced_accuracy", "f1_macro"]


def test_what_was_asked_for_stays_in_its_place_and_is_not_shown_twice():
    numbers = evaluated(RARE, metric="balanced_accuracy", also=["log_loss"])
    assert names(numbers) == ["balanced_accuracy", "log_loss", "pr_auc"]
    assert [note for note in numbers.notes if note.startswith("Look:")] == []
    assert "pr_auc is shown as well" in numbers.notes[0]
    assert evaluated(RARE, metric="pr_auc", also=["balanced_accuracy"]).notes == ()


def test_a_model_without_probabilities_has_no_figure_of_them():
    truth = some_rows().truth
    assert names(evaluated(RARE, table_of(truth, truth))) == ["accuracy", "balanced_accuracy"]


def test_accuracy_that_decides_over_a_rare_class_is_warned_of():
    warned = evaluated(RARE).notes[-1]
    assert warned.startswith("Look: accuracy decides")
    assert "always answering no is right in 95.0%" in warned
    assert "evaluation.metric: pr_auc or balanced_accuracy" in warned


def test_figures_that_are_shown_by_themselves_never_decide():
    table, scored = some_rows(), make_scored(200, ("candidate",))
    spec = make_spec(evaluation=FEW)
    verdicts = [
        decide_first(spec, table, scored, class_prior=prior, test_uses=1).checks
        for prior in (RARE, {**RARE, "no": 0.4})
    ]
    assert [check.metric for check in verdicts[0]] == [check.metric for check in verdicts[1]]
    assert "pr_auc" not in {check.metric for check in verdicts[0]}


def slices():
    """Return eight rows: of part a half are positive and all answered so, of part b one, answered wrongly."""
    truth = np.array([1, 1, 0, 0, 1, 0, 0, 0])
    table = table_of(truth, np.array([1, 1, 1, 1, 0, 0, 0, 1]))
    table.slices.update({"part=a": np.arange(8) < 4, "part=b": np.arange(8) >= 4, "part=none": np.zeros(8, dtype=bool)})
    return table


def test_the_rates_of_each_slice_are_counted_over_its_own_rows():
    groups = {group.slice: group for group in measure_groups(slices(), slices().models[0])}
    assert list(groups) == ["all rows", "part=a", "part=b", "part=none"]
    a, b = groups["part=a"], groups["part=b"]
    assert (a.selection.value, a.true_positive.value, a.false_positive.value) == (1, 1, 1)
    assert (b.selection.value, b.true_positive.value, b.false_positive.value) == (0.25, 0, pytest.approx(1 / 3))
    assert (b.n, b.positives, b.true_positive.n, b.false_positive.n) == (4, 1, 1, 3)
    assert a.true_positive.low < 1 == a.true_positive.high, "two of two prove little"
    assert np.isnan(groups["part=none"].selection.value)


def test_rows_that_are_not_independent_have_no_interval_that_says_they_are():
    table = AnswerTable(**{**vars(slices()), "groups": np.arange(8) // 2})
    rate = measure_groups(table, table.models[0])[0].selection
    assert np.isfinite(rate.value)
    assert np.isnan(rate.low)


def test_three_classes_and_no_slices_have_no_such_rates():
    table = AnswerTable(("a", "b", "c"), np.arange(6) % 3, (as_model("candidate", np.zeros(6, int)),), np.ones(6, bool))
    assert measure_groups(table, table.models[0]) == ()
    assert measure_groups(some_rows(), some_rows().models[0]) == ()


def shown():
    table = slices()
    spec = make_spec(evaluation=FEW)
    numbers = evaluate_rows(spec, table, make_scored(8, ("candidate",)), RARE)
    return EvaluationReport.model_validate_json(numbers.with_pictures({}).model_dump_json())


def test_the_page_and_the_run_say_the_notes_and_the_rates():
    report = shown()
    page = render_report("demo@1", make_spec(), make_manifest(evaluation=report), make_verdict(), read=lambda ref: b"")
    lines = "\n".join(render_figures(report))
    for text in (page, lines):
        assert "Look: accuracy decides" in text
        assert "part=b" in text
        assert "0.250" in text
    assert '<p class="inconclusive">Look: accuracy' in page
    assert "| part=none | 0 | 0 | – | – | – |" in lines

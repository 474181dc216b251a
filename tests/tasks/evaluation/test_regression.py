"""A regression judged: the gate's laws, the dummy, figures with intervals and pictures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import IntegrityError
from tasks.contracts.candidates import Candidate
from tasks.contracts.columns import Column
from tasks.contracts.evaluation import Verdict
from tasks.contracts.project import Evaluation, Gate, ProjectSpec, Source
from tasks.evaluation.answers import AnswerTable, read_answers
from tasks.evaluation.baseline import answer_by_shares
from tasks.evaluation.comparison import compare
from tasks.evaluation.evaluate import evaluate_rows
from tasks.evaluation.gate import decide, decide_first
from tasks.evaluation.pictures import draw_pictures
from tasks.evaluation.residuals import find_quartiles
from tasks.metrics.answers import Answers
from tasks.metrics.registry import METRICS
from tests.tasks.evaluation.builders import make_scored
from tests.tasks.evaluation.test_answers import frame

VALUES = ("rmse", "mae", "r2")
CENTRE = 100.0


def spec_of(metric: str = "rmse", **gate: object) -> ProjectSpec:
    return ProjectSpec(
        name="demo",
        source=Source(function="demo:load"),
        columns={"x": Column(type="number"), "y": Column(type="number", unit="min")},
        target="y",
        candidates={"ridge": Candidate(estimator="sklearn.linear_model.Ridge")},
        evaluation=Evaluation(metric=metric, also=["mae", "r2"], bootstrap_draws=300),
        gate=Gate(**gate),
    )


def draw_pair(seed: int, n: int, error: float = 1.0, *, steps: int | None = None) -> AnswerTable:
    """Return two models whose errors share two thirds of their variance; the candidate's are `error` times the champion's.

    `steps`: both are alike within so many groups of rows, as flights of one day are.
    """
    rng = np.random.default_rng(seed)
    truth = CENTRE + 30 * rng.standard_normal(n)
    shared, own, other = (rng.standard_normal(n) for _ in range(3))
    groups = None
    if steps is not None:
        groups = np.arange(n) % steps
        own, other = own[groups], other[groups]
    first = 10 * error * (np.sqrt(2 / 3) * shared + np.sqrt(1 / 3) * own)
    second = 10 * (np.sqrt(2 / 3) * shared + np.sqrt(1 / 3) * other)
    return table_of(truth, truth + first, truth + second, groups=groups)


def table_of(truth: np.ndarray, *predicted: np.ndarray, **more: object) -> AnswerTable:
    roles = (("candidate", "knn"), ("champion", "demo@1"))
    models = tuple(Answers(*who, values) for who, values in zip(roles, predicted, strict=False))
    return AnswerTable((), truth, models, np.ones(len(truth), dtype=bool), positive=-1, **more)


def judged(table: AnswerTable, spec: ProjectSpec) -> Verdict:
    scored = make_scored(table.n)
    return decide(spec, table, scored, champion_seq=4, champion_label="demo@1", test_uses=1)


def check(verdict: Verdict, name: str):
    return next(each for each in verdict.checks if each.name == name)


@pytest.mark.parametrize(("n", "steps"), [(40, None), (200, None), (200, 20)], ids=["40", "200", "20 groups"])
def test_an_equal_model_is_promoted_in_at_most_3_of_100_trials(n: int, steps: int | None) -> None:
    trials = 300
    promoted = 0
    for seed in range(trials):
        table = draw_pair(seed, n, steps=steps)
        seen = compare(METRICS["rmse"], table, *table.models, draws=200, seed=seed)
        promoted += seen.p_better <= 0.025
    assert promoted <= 0.03 * trials


@pytest.mark.parametrize("metric", VALUES)
def test_a_worse_model_is_never_promoted_and_a_better_one_is(metric: str) -> None:
    spec = spec_of(metric)
    worse = [judged(draw_pair(seed, 400, 1.2), spec).decision for seed in range(20)]
    better = [judged(draw_pair(seed, 400, 0.8), spec).decision for seed in range(20)]
    assert "PROMOTE" not in worse
    assert worse.count("REJECT") >= 18
    assert better == ["PROMOTE"] * 20


def test_rows_that_go_together_count_as_one() -> None:
    alone, together = (draw_pair(3, 600, steps=20), draw_pair(3, 600, steps=20))
    alone = AnswerTable((), alone.truth, alone.models, alone.comparable, -1)
    widths = [
        seen.high - seen.low for seen in (compare(METRICS["rmse"], each, *each.models) for each in (alone, together))
    ]
    assert widths[1] > 2 * widths[0]


def test_a_margin_is_in_the_units_of_the_target() -> None:
    table = draw_pair(1, 400, 1.05)
    held = judged(table, spec_of(policy="non_inferiority", margin=0.1))
    passed = judged(table, spec_of(policy="non_inferiority", margin=2.0))
    minutes = judged(
        table_of(table.truth * 60, *(model.predicted * 60 for model in table.models)),
        spec_of(policy="non_inferiority", margin=120.0),
    )
    assert (held.decision, passed.decision) == ("HOLD", "PROMOTE")
    assert check(minutes, "primary rmse").p_value == check(passed, "primary rmse").p_value
    assert "not worse than demo@1 by more than 2 (rmse 10." in passed.summary


@pytest.mark.parametrize(
    ("unit", "read"),
    [(1e-6, "rmse 7.82e-06 against 1.04e-05"), (1e6, "rmse 7,822,272 against 10,362,410")],
    ids=["tiny", "huge"],
)
def test_a_verdict_can_be_read_whatever_the_unit(unit: float, read: str) -> None:
    table = draw_pair(0, 400, 0.8)
    scaled = table_of(table.truth * unit, *(model.predicted * unit for model in table.models))
    assert read in judged(scaled, spec_of()).summary


def test_guards_floors_and_slices_stand_beside_the_primary_metric() -> None:
    table = draw_pair(2, 400, 0.8)
    part = np.arange(400) < 100
    spoilt = np.where(part, table.models[0].predicted + 40, table.models[0].predicted)
    spec = spec_of("mae", floors={"rmse": 12, "r2": 0.8}, guards={"rmse": 1}, slice_margin=1)
    verdict = judged(table_of(table.truth, spoilt, table.models[1].predicted, slices={"part=a": part}), spec)
    assert verdict.decision == "REJECT"
    status = {each.name: each.status for each in verdict.checks}
    assert {name: status[name] for name in ("floor rmse", "floor r2", "guard rmse", "slice part=a")} == {
        "floor rmse": "fail", "floor r2": "fail", "guard rmse": "fail", "slice part=a": "fail",
    }  # fmt: skip
    assert judged(table, spec).decision == "PROMOTE"


def test_the_first_model_must_beat_the_centre_of_the_training_target() -> None:
    table, scored = draw_pair(0, 200), make_scored(200, ("candidate",))
    first = decide_first(spec_of(), table, scored, class_prior={}, centre=CENTRE, test_uses=1)
    beaten = check(first, "better than the dummy")
    assert first.decision == "PROMOTE"
    assert beaten.champion == pytest.approx(np.sqrt(np.mean((table.truth - CENTRE) ** 2)))
    useless = table_of(table.truth, np.full(200, CENTRE))
    again = decide_first(spec_of(), useless, scored, class_prior={}, centre=CENTRE, test_uses=1)
    assert again.decision == "HOLD"


def test_a_missing_answer_rejects_and_a_missing_truth_is_no_test_row() -> None:
    table = draw_pair(0, 100)
    gap = np.where(np.arange(100) == 7, np.nan, table.models[0].predicted)
    assert judged(table_of(table.truth, gap, table.models[1].predicted), spec_of()).decision == "REJECT"
    values = frame(truth=[1.0, 2.0, np.nan, 4.0], **{"candidate:knn:predicted": 2.0, "champion:demo@1:predicted": 3.0})
    scored = make_scored(4).model_copy(update={"classes": ()})
    with pytest.raises(IntegrityError, match="a true value in every test row, 1 are missing or infinite"):
        read_answers(values, scored, spec_of())


@settings(max_examples=20)
@given(st.integers(2, 60), st.integers(0, 10_000), st.sampled_from([1e-6, 1.0, 1e9]))
def test_every_figure_has_an_interval_around_it_whatever_the_units(n: int, seed: int, unit: float) -> None:
    table = draw_pair(seed, n)
    table = table_of(table.truth * unit, *(model.predicted * unit for model in table.models))
    report = evaluate_rows(spec_of(), table, make_scored(n), {}, CENTRE * unit)
    for value in (*report.metrics, *report.champion, *report.baseline):
        assert value.low <= value.value <= value.high or np.isnan(value.low)
    assert report.confusion == ()
    assert report.classes == ()


def test_the_dummy_answers_the_centre_that_training_knew() -> None:
    table = draw_pair(0, 50)
    assert set(answer_by_shares(table, {}, 7.5).predicted) == {7.5}
    assert set(answer_by_shares(table, {}).predicted) == {table.truth.mean()}


PICTURES = {"Metrics", "Predicted and true", "Residuals", "Distribution of residuals"}


@pytest.mark.parametrize("n", [5, 2_500], ids=["few", "many"])
def test_a_regression_has_pictures_of_its_errors_and_none_of_classes(n: int) -> None:
    table = draw_pair(0, n)
    numbers = evaluate_rows(spec_of(), table, make_scored(n), {}, CENTRE)
    drawn = draw_pictures(spec_of(), table, numbers)
    assert set(drawn) == PICTURES
    assert all(png.startswith(b"\x89PNG") for png in drawn.values())


def test_answers_that_are_all_alike_can_be_drawn() -> None:
    table = table_of(np.full(30, 3.0), np.full(30, 3.0))
    drawn = draw_pictures(spec_of(), table, evaluate_rows(spec_of(), table, make_scored(30), {}, 3.0))
    assert set(drawn) == PICTURES


def test_a_bend_shows_in_the_quartiles_of_the_residuals() -> None:
    predicted = np.linspace(-1, 1, 1_000)
    middles, quartiles = find_quartiles(predicted, predicted**2)
    assert len(middles) == 10
    assert quartiles[0, 1] > 5 * quartiles[5, 1]
    assert np.all(np.diff(quartiles, axis=1) >= 0)

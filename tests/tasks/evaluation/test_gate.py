import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import InsufficientData, IntegrityError, SpecError
from tasks.contracts.evaluation import Verdict
from tasks.contracts.project import Budgets, Release
from tasks.evaluation.gate import decide, decide_first
from tests.tasks.evaluation.builders import draw_pair, make_scored, make_spec, right_and_wrong, table_of

PRIOR = {"no": 0.5, "yes": 0.5}
RANK = {"REJECT": 0, "HOLD": 1, "PROMOTE": 2}
BETTER = {"both": 500, "b": 60, "c": 20, "neither": 20}


def judged(table, spec=None, *, uses=1, **changed):
    return decide(
        spec or make_spec(),
        table,
        make_scored(table.n, **changed),
        champion_seq=4,
        champion_label="demo@1",
        test_uses=uses,
    )


def judged_first(table, spec=None, **changed):
    scored = make_scored(table.n, ("candidate",), **changed)
    return decide_first(spec or make_spec(), table, scored, class_prior=PRIOR, test_uses=1)


def check(verdict, name):
    return next(each for each in verdict.checks if each.name == name)


def test_where_a_person_decides_the_verdict_claims_no_promotion_and_says_what_to_do():
    spec = make_spec().model_copy(update={"release": Release(approval="operator")})
    asked, unasked = judged(right_and_wrong(**BETTER), spec), judged(right_and_wrong(**BETTER))
    assert asked.decision == unasked.decision == "PROMOTE"
    assert asked.summary == unasked.summary.replace("Promoted: ", "May go: ")
    assert "keepfit approve" in asked.next_step


def test_a_better_model_is_promoted_with_its_evidence():
    verdict = judged(right_and_wrong(**BETTER))
    primary = check(verdict, "primary accuracy")
    assert (verdict.decision, verdict.policy, verdict.champion, verdict.champion_seq) == (
        "PROMOTE",
        "superiority",
        "demo@1",
        4,
    )
    assert primary.difference == pytest.approx(40 / 600)
    assert primary.low > 0
    assert primary.p_value < 0.001
    assert primary.n == 600
    assert "better than demo@1 by 0.0667" in verdict.summary


def test_a_worse_model_is_rejected():
    verdict = judged(right_and_wrong(both=500, b=20, c=60, neither=20))
    assert verdict.decision == "REJECT"
    assert "Worse, with confidence" in verdict.summary


def test_an_equal_model_is_held_and_one_is_told_what_to_do():
    verdict = judged(right_and_wrong(both=500, b=40, c=40, neither=20))
    assert verdict.decision == "HOLD"
    assert "non_inferiority asks less" in verdict.next_step


def test_a_model_slightly_ahead_is_held_with_the_rows_that_would_show_it():
    verdict = judged(right_and_wrong(both=500, b=46, c=40, neither=14))
    assert verdict.decision == "HOLD"
    # Connor 1987: D = 0.01, discordance 86/600, power 0.8, one-sided 0.025.
    assert "Collect about 10648 more test rows to detect a difference of 0.0100 in accuracy" in verdict.next_step


def test_a_refresh_need_not_be_better():
    table = right_and_wrong(both=18_000, b=500, c=500, neither=1_000)
    assert judged(table, make_spec(policy="superiority")).decision == "HOLD"
    assert judged(table, make_spec(policy="non_inferiority", margin=0.01)).decision == "PROMOTE"


def test_the_same_model_changes_nothing():
    verdict = judged(right_and_wrong(**BETTER), content="b" * 64)
    assert (verdict.decision, verdict.policy) == ("HOLD", "unchanged")
    assert "same model as demo@1" in verdict.summary


def test_the_same_artifact_is_the_same_model():
    assert judged(right_and_wrong(**BETTER), artifact="b" * 64).policy == "unchanged"


def test_a_candidate_without_finite_answers_is_rejected():
    table = right_and_wrong(**BETTER)
    table.models[0].predicted[5] = -1
    verdict = judged(table)
    assert verdict.decision == "REJECT"
    assert check(verdict, "answers of the candidate").status == "fail"
    assert check(verdict, "primary accuracy").status == "fail"


def test_nan_scores_reject_even_where_labels_decide():
    table = draw_pair(0, 300, edge=3)
    table.models[0].proba[7] = np.nan
    assert judged(table).decision == "REJECT"


def test_a_champion_without_finite_answers_holds_the_candidate():
    table = right_and_wrong(**BETTER)
    table.models[1].predicted[5] = -1
    verdict = judged(table)
    assert verdict.decision == "HOLD"
    assert "champion gives no finite answer" in verdict.next_step


@pytest.mark.parametrize(
    ("floors", "decision"),
    [({"accuracy": 0.9}, "PROMOTE"), ({"accuracy": 0.95}, "REJECT"), ({"f1": 0.99}, "REJECT")],
    ids=["reached", "missed", "of_another_metric"],
)
def test_a_floor_must_be_reached(floors, decision):
    assert judged(right_and_wrong(**BETTER), make_spec(floors=floors)).decision == decision


def test_a_floor_of_a_loss_bounds_from_above():
    table = draw_pair(0, 600, edge=3)
    assert check(judged(table, make_spec(floors={"log_loss": 5.0})), "floor log_loss").status == "pass"
    assert check(judged(table, make_spec(floors={"log_loss": 0.01})), "floor log_loss").status == "fail"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"latency_ms": 5.0, "size_bytes": 2_000_000}, ("pass", "pass")),
        ({"latency_ms": 5.1}, ("fail", "pass")),
        ({"size_bytes": 2_000_001}, ("pass", "fail")),
        ({"latency_ms": float("nan")}, ("fail", "pass")),
    ],
    ids=["at_the_bound", "slow", "big", "nan"],
)
def test_a_budget_must_be_kept(changed, status):
    spec = make_spec(budgets=Budgets(latency_ms=5.0, size_mb=2.0))
    verdict = judged(right_and_wrong(**BETTER), spec, **changed)
    assert (check(verdict, "budget latency").status, check(verdict, "budget size").status) == status
    assert verdict.decision == ("PROMOTE" if status == ("pass", "pass") else "REJECT")


def test_a_guard_that_is_lost_rejects_a_model_with_a_better_primary():
    table = draw_pair(0, 1_000, edge=3)
    spoilt = table.models[0].proba.copy()
    spoilt[:] = np.where(spoilt > 0.5, 0.52, 0.48)
    models = (type(table.models[0])("candidate", "knn", table.models[0].predicted, spoilt), table.models[1])
    verdict = judged(type(table)(**{**vars(table), "models": models}), make_spec(guards={"log_loss": 0.05}))
    assert check(verdict, "primary accuracy").status == "pass"
    assert check(verdict, "guard log_loss").status == "fail"
    assert verdict.decision == "REJECT"


@pytest.mark.parametrize("size", [0, 1, 29])
def test_an_empty_or_small_slice_fails_closed_with_the_reason(size):
    table = right_and_wrong(**BETTER)
    table.slices["part=rare"] = np.arange(table.n) < size
    verdict = judged(table)
    assert verdict.decision == "HOLD"
    assert check(verdict, "slice part=rare").detail == f"Cannot be judged: {size} rows, at least 30 are needed."
    assert f"at least {30 - size} more test rows of slice part=rare" in verdict.next_step


def test_a_slice_on_which_the_candidate_fails_rejects_it():
    table = right_and_wrong(**BETTER)
    lost = np.flatnonzero((table.models[0].predicted != table.truth) & (table.models[1].predicted == table.truth))
    won = np.flatnonzero(table.models[0].predicted == table.models[1].predicted)[:30]
    table.slices["part=lost"] = np.isin(np.arange(table.n), np.r_[lost, won])
    assert judged(table).decision == "REJECT"


@pytest.mark.slow
def test_many_harmless_slices_do_not_reject_by_luck():
    rejected = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        # Worse by exactly the slice margin everywhere: each slice alone is called worse in up to 2.5 % of trials.
        kind = rng.choice(4, p=[0.85, 0.025, 0.075, 0.05], size=3_000)
        truth = rng.integers(2, size=3_000)
        first, second = np.where(kind <= 1, truth, 1 - truth), np.where(kind % 2 == 0, truth, 1 - truth)
        table = table_of(truth, first, second)
        for part in range(20):
            table.slices[f"part={part}"] = np.arange(3_000) % 20 == part
        checks = judged(table, make_spec(policy="non_inferiority", margin=0.05)).checks
        rejected += any(each.status == "fail" for each in checks)
    # Holm: at most 2.5 % of trials; without it about a quarter.
    assert rejected <= 4


def test_test_rows_wear_out():
    spec = make_spec(max_test_uses=3)
    assert judged(right_and_wrong(**BETTER), spec, uses=3).decision == "PROMOTE"
    verdict = judged(right_and_wrong(**BETTER), spec, uses=4)
    assert verdict.decision == "HOLD"
    assert "fresh test rows" in verdict.next_step


def test_rows_that_the_champion_was_trained_on_do_not_count():
    table = right_and_wrong(**BETTER)
    known = (table.models[0].predicted == table.truth) & (table.models[1].predicted != table.truth)
    verdict = judged(type(table)(**{**vars(table), "comparable": ~known}))
    assert check(verdict, "primary accuracy").n == 540
    assert "the champion was trained on the other 60" in check(verdict, "rows new to both models").detail
    assert verdict.decision == "REJECT"


def test_no_row_left_to_compare_holds():
    table = right_and_wrong(**BETTER)
    verdict = judged(type(table)(**{**vars(table), "comparable": np.zeros(table.n, dtype=bool)}))
    assert verdict.decision == "HOLD"
    assert "0 rows, at least 2 are needed" in verdict.summary


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (table_of(np.zeros(0), np.zeros(0, int), np.zeros(0, int)), "at least 2 test rows, received 0"),
        (table_of(np.zeros(1), np.zeros(1, int), np.zeros(1, int)), "at least 2 test rows, received 1"),
        (
            table_of(np.zeros(50), np.zeros(50, int), np.ones(50, int)),
            "at least 2 classes, received 50 rows of the class 'no'",
        ),
    ],
    ids=["empty", "one_row", "one_class"],
)
def test_rows_that_measure_nothing_are_refused_not_passed(table, message):
    with pytest.raises(InsufficientData, match=message):
        judged(table)
    with pytest.raises(InsufficientData, match=message):
        judged_first(table)


def test_a_missing_champion_is_an_integrity_error():
    table = right_and_wrong(**BETTER)
    with pytest.raises(IntegrityError, match="expected exactly one champion, received 0"):
        decide(
            make_spec(),
            table,
            make_scored(table.n, ("candidate",)),
            champion_seq=1,
            champion_label="demo@1",
            test_uses=1,
        )


@pytest.mark.parametrize("where", ["floors", "guards"])
def test_an_unknown_metric_is_refused_with_its_place(where):
    with pytest.raises(SpecError, match=f"gate.{where}: 'acuracy' is no metric"):
        judged(right_and_wrong(**BETTER), make_spec(**{where: {"acuracy": 0.5}}))


def test_a_first_model_that_beats_the_dummy_is_promoted():
    verdict = judged_first(right_and_wrong(both=27, b=0, c=0, neither=3))
    assert (verdict.decision, verdict.policy, verdict.champion) == ("PROMOTE", "first", None)
    assert "better than the dummy baseline" in verdict.summary


def test_a_first_model_that_only_equals_the_dummy_is_held():
    truth = np.arange(100) % 2
    assert judged_first(table_of(truth, np.zeros(100, dtype=int))).decision == "HOLD"


def test_a_first_model_worse_than_the_dummy_is_rejected():
    verdict = judged_first(right_and_wrong(both=3, b=0, c=0, neither=97))
    assert verdict.decision == "REJECT"
    assert "worse than no model" in verdict.next_step


def test_a_first_model_below_a_floor_is_rejected():
    table = right_and_wrong(both=80, b=0, c=0, neither=20)
    assert judged_first(table, make_spec(floors={"accuracy": 0.81})).decision == "REJECT"


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "f1_macro"])
def test_a_first_model_is_held_against_the_dummy_by_any_metric(metric):
    spec = make_spec(evaluation={"metric": metric, "bootstrap_draws": 500})
    assert judged_first(draw_pair(0, 200), spec).decision == "PROMOTE"


def test_a_verdict_survives_json():
    for table in (right_and_wrong(**BETTER), right_and_wrong(3, 1, 1, 0)):
        verdict = judged(table)
        assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


cells = st.tuples(st.integers(20, 200), st.integers(0, 40), st.integers(0, 20), st.integers(1, 20))


@given(cells, st.sampled_from(["superiority", "non_inferiority"]))
@settings(max_examples=40)
def test_a_candidate_that_improves_never_gets_a_worse_verdict(counts, policy):
    both, b, c, neither = counts
    spec = make_spec(policy=policy, margin=0.05, floors={"accuracy": 0.7})
    before = judged(right_and_wrong(both, b, c, neither), spec)
    after_loss_won_back = judged(right_and_wrong(both + min(c, 1), b, c - min(c, 1), neither), spec)
    after_one_more_win = judged(right_and_wrong(both, b + 1, c, neither - 1), spec)
    assert RANK[after_loss_won_back.decision] >= RANK[before.decision]
    assert RANK[after_one_more_win.decision] >= RANK[before.decision]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_the_order_of_rows_never_changes_the_verdict(seed):
    table = draw_pair(seed % 1_000, 80, edge=1.0)
    table.slices["part=even"] = np.arange(80) % 2 == 0
    order = np.random.default_rng(seed).permutation(80)
    spec = make_spec(evaluation={"metric": "roc_auc", "bootstrap_draws": 200}, guards={"f1": 0.1})
    there, here = judged(table, spec), judged(table.take(order), spec)
    assert (here.decision, here.summary, here.next_step) == (there.decision, there.summary, there.next_step)
    assert [each.p_value for each in here.checks] == [each.p_value for each in there.checks]


@pytest.mark.slow
@pytest.mark.parametrize("n", [30, 1_000])
def test_an_equal_model_is_promoted_in_at_most_three_percent_of_trials(n):
    promoted = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        kind = rng.choice(4, p=[0.82, 0.04, 0.04, 0.10], size=n)
        counts = np.bincount(kind, minlength=4)
        promoted += judged(right_and_wrong(*map(int, counts))).decision == "PROMOTE"
    # Binomial(300, 0.025) is above 17 once in 1,000 times; a bare ">" is at 110 and more.
    assert promoted <= 17

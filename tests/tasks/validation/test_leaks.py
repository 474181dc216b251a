import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, load_wine, make_classification
from sklearn.metrics import roc_auc_score

from tasks.contracts.columns import Column
from tasks.validation.leaks import cross_counted_recall, find_differences, find_leaks
from tasks.validation.plausibility import find_towering
from tasks.validation.ranking import least_pairwise_auc
from tests.tasks.validation.projects import make_spec

RNG = np.random.default_rng(3)
Y = RNG.integers(0, 3, 600)
NOISE = RNG.normal(size=600)

LEAKS = {
    "the target itself": (Y, "integer"),
    "a copy with little noise": (Y + NOISE / 1000, "number"),
    "its negative": (-Y.astype(float), "number"),
    "its name": (np.array(["x", "y", "z"])[Y], "category"),
    "codes in no order": (np.array([5, 1, 3])[Y], "integer"),
    "several names for one class": ([f"{y}-{i % 7}" for i, y in enumerate(Y)], "category"),
    "a date that follows it": (pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(Y, unit="D"), "datetime"),
}
HONEST = {
    "noise": (NOISE, "number"),
    "a strong feature": (Y + NOISE / 2, "number"),
    "an identifier": ([f"row {i}" for i in range(600)], "category"),
    "parts one class only": (np.where(Y == 0, NOISE - 100, NOISE), "number"),
    "constant": (np.ones(600), "number"),
    "all missing": (np.full(600, np.nan), "number"),
}


def judge(values, kind, target=Y, target_type="integer"):
    columns = {"x": Column(type=kind), "z": Column(type="number"), "kind": Column(type=target_type)}
    frame = pd.DataFrame({"x": values, "z": NOISE[: len(target)], "kind": target})
    return find_leaks(frame, make_spec(columns)).certain


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_found(name):
    (found,) = judge(*LEAKS[name])
    assert "'x' predicts 'kind'" in found


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_feature_is_not_accused(name):
    assert judge(*HONEST[name]) == []


def test_missingness_that_follows_a_binary_target_is_found():
    y = Y > 0
    (found,) = judge(np.where(y, NOISE, np.nan), "number", y, "boolean")
    assert "AUC at least 1.000" in found


def test_an_end_less_a_beginning_gives_a_duration_away_and_neither_alone_does():
    start, duration = np.cumsum(np.abs(NOISE)) * 50, 30 + 5 * NOISE[::-1]
    numbers = pd.DataFrame({"begins": start, "ends": start + duration + NOISE / 100, "noise": NOISE})
    assert find_differences(numbers, pd.Series(duration)) == [("begins", "ends")]
    assert find_differences(numbers.assign(ends=start + duration + 3 * NOISE), pd.Series(duration)) == []
    columns = {name: Column(type="number") for name in (*numbers, "took")}
    spec = make_spec(columns, target="took")
    (said,) = find_leaks(numbers.assign(took=duration), spec).certain
    assert "The difference of the columns 'begins' and 'ends' is 'took' almost to the digit" in said
    near = pd.DataFrame({"copy": duration + 0.55 * NOISE, "small": NOISE / 1000})
    assert find_differences(near, pd.Series(duration)) == [], "what the one says alone, the other does not add to"


def test_a_number_that_orders_a_numeric_target_is_found():
    target = RNG.normal(size=600)
    (found,) = judge(np.exp(target), "number", target, "number")
    assert "rank correlation" in found
    assert judge(target + NOISE[::-1], "number", target, "number") == []


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_real_data_is_not_accused(load):
    bunch = load(as_frame=True)
    columns = {**{name: Column(type="number") for name in bunch.data}, "target": Column(type="integer")}
    assert find_leaks(bunch.frame, make_spec(columns, target="target")) == ([], [])


def test_few_rows_in_a_class_prove_nothing():
    y = np.array([0] * 9 + [1] * 100)
    assert judge(y, "integer", y) == []


def test_the_pairwise_auc_is_scikit_learns():
    pairs = [(i, j) for i in range(3) for j in range(i)]
    x = np.round(Y + NOISE, 1)
    aucs = [roc_auc_score(Y[np.isin(Y, pair)] == pair[0], x[np.isin(Y, pair)]) for pair in pairs]
    assert least_pairwise_auc(x, Y) == pytest.approx(min(max(auc, 1 - auc) for auc in aucs), abs=1e-12)


def test_a_value_seen_once_names_nothing():
    assert cross_counted_recall(np.arange(600), Y) == 0
    assert cross_counted_recall(Y, Y) == 1


def noisy(shift, *, n=2_000, others=6, seed=0):
    """Return classes, numbers that say little of them, and one that is shifted by so many standard deviations."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    columns = {f"x{i}": rng.normal(size=n) + 0.2 * y for i in range(others)}
    return pd.DataFrame({**columns, "strong": rng.normal(size=n) + shift * y}), y


def test_a_number_that_towers_over_all_others_is_found():
    columns, y = noisy(2.0)
    assert find_towering(columns, y) == [("strong",)]
    assert find_towering(columns.assign(second=-columns["strong"] * 3), y) == [("strong",), ("second",)]


@pytest.mark.parametrize(
    ("shift", "others"), [(1.0, 6), (2.0, 4)], ids=["good, not towering", "nothing to compare with"]
)
def test_a_good_feature_is_not_accused(shift, others):
    columns, y = noisy(shift, others=others)
    assert find_towering(columns, y) == []


def test_a_difference_of_two_numbers_that_say_little_alone_is_found():
    columns, y = noisy(0.0)
    planned = np.random.default_rng(1).uniform(0, 24, len(y))
    both = columns.assign(planned=planned, actual=planned + columns["x0"] / 5 + y)
    assert find_towering(both, y) == [("planned", "actual")]
    assert find_towering(both, y, vouched=["planned"]) == [("planned", "actual")]
    assert find_towering(both, y, vouched=["planned", "actual"]) == []


def test_a_column_that_a_person_vouches_for_does_not_tower():
    columns, y = noisy(2.0)
    assert find_towering(columns, y, vouched=["strong"]) == []


def noise_beside(informative, *, others=16, seed=0):
    """Return a set of scikit-learn's generator: a few numbers that say much, and pure noise."""
    x, y = make_classification(
        n_samples=1_000, n_features=informative + others, n_informative=informative, n_redundant=0, random_state=seed
    )
    return pd.DataFrame(x).add_prefix("x"), y


def test_beside_pure_noise_a_good_feature_does_not_tower():
    accused = sum(bool(find_towering(*noise_beside(2, seed=seed))) for seed in range(40))
    assert accused <= 1


def test_a_leak_among_numbers_that_say_something_is_found_whatever_noise_there_is_too():
    columns, y = noisy(2.0)
    rng = np.random.default_rng(5)
    noise = {f"noise{i}": rng.normal(size=len(y)) for i in range(10)}
    assert find_towering(columns.assign(**noise), y) == [("strong",)]

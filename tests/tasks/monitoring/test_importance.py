"""How much each column matters to a model: laws over models whose answers are known."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.contracts.project import ProjectSpec
from tasks.monitoring.importance import ROWS, measure_importance

COLUMNS = {
    "signal": {"type": "number"},
    "half": {"type": "number"},
    "noise": {"type": "number"},
    "kind": {"type": "category"},
    "words": {"type": "text"},
    "late": {"type": "boolean"},
}


class Says:
    """A model that answers a probability by a function of the rows."""

    classes = (False, True)

    def __init__(self, p: Callable[[pd.DataFrame], "pd.Series[float]"]) -> None:
        self.p = p

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        return self.p(rows).to_numpy() > 0.5

    def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
        p = self.p(rows).to_numpy(dtype=float)
        return np.column_stack([1 - p, p])


def make_spec(metric: str = "roc_auc") -> ProjectSpec:
    return ProjectSpec.model_validate(
        {
            "name": "demo",
            "source": {"csv": "rows.csv"},
            "columns": COLUMNS,
            "target": "late",
            "evaluation": {"metric": metric},
            "candidates": {"bayes": {"estimator": "sklearn.naive_bayes.GaussianNB"}},
        }
    )


def make_rows(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    late = rng.random(n) < 0.4
    return pd.DataFrame(
        {
            "signal": late + rng.normal(size=n) / 2,
            "half": late + rng.normal(size=n) * 2,
            "noise": rng.normal(size=n),
            "kind": np.where(rng.random(n) < 0.8, late.astype(str), "x"),
            "words": np.where(late, "gate closed", "on time"),
            "late": late,
        }
    )


def squash(values: "pd.Series[float]") -> "pd.Series[float]":
    return 1 / (1 + np.exp(-values))


BOTH = Says(lambda rows: squash(2 * rows["signal"] + 0.3 * rows["half"] - 1))
BY_WORDS = Says(lambda rows: rows["words"].str.contains("closed").astype(float))
BY_KIND = Says(lambda rows: (rows["kind"] == "True").astype(float))


def test_shares_sum_to_one_the_stronger_column_has_more_and_what_the_model_ignores_has_none() -> None:
    found = measure_importance(BOTH, make_rows(), make_spec())
    assert list(found) == ["signal", "half", "noise", "kind", "words"]
    assert sum(found.values()) == pytest.approx(1)
    assert found["signal"] > found["half"] > 0
    assert found["noise"] == found["kind"] == found["words"] == 0


@pytest.mark.parametrize(("model", "name"), [(BY_WORDS, "words"), (BY_KIND, "kind")], ids=["text", "category"])
def test_a_column_of_any_type_can_be_the_one_that_matters(model: Says, name: str) -> None:
    found = measure_importance(model, make_rows(), make_spec("accuracy"))
    assert found[name] == 1


@settings(max_examples=10)
@given(st.permutations(range(300)), st.integers(0, 3))
def test_neither_the_order_of_the_rows_nor_their_index_counts(order: list[int], seed: int) -> None:
    rows = make_rows(300)
    assert measure_importance(BOTH, rows.iloc[order], make_spec(), seed) == measure_importance(
        BOTH, rows, make_spec(), seed
    )


def test_of_more_rows_than_are_asked_the_same_ones_are_drawn_in_any_order() -> None:
    rows = make_rows(ROWS + 500)
    shuffled = rows.sample(frac=1, random_state=3)
    assert measure_importance(BOTH, shuffled, make_spec()) == measure_importance(BOTH, rows, make_spec())


def test_a_seed_gives_the_same_shares_again_and_another_one_nearly_the_same() -> None:
    rows = make_rows(1_500)
    first, again, other = (measure_importance(BOTH, rows, make_spec(), seed) for seed in (0, 0, 1))
    assert first == again != other
    assert other["signal"] == pytest.approx(first["signal"], abs=0.05)


def test_rows_and_their_types_are_as_they_were() -> None:
    rows = make_rows().astype({"kind": "category", "words": "string"})
    before = rows.copy(deep=True)
    seen: list[pd.Series] = []

    def answer(asked: pd.DataFrame) -> "pd.Series[float]":
        seen.append(asked.dtypes)
        return squash(asked["signal"])

    measure_importance(Says(answer), rows, make_spec())
    pd.testing.assert_frame_equal(rows, before)
    assert all(types.equals(rows.drop(columns="late").dtypes) for types in seen)


@pytest.mark.parametrize(
    "rows",
    [make_rows().query("late"), make_rows(0)],
    ids=["one class", "no row"],
)
def test_where_the_metric_is_undefined_nothing_is_said_to_be_unimportant(rows: pd.DataFrame) -> None:
    assert measure_importance(BOTH, rows, make_spec()) == {}


def test_one_class_is_enough_for_a_metric_that_is_defined_there() -> None:
    found = measure_importance(BY_WORDS, make_rows().query("late"), make_spec("accuracy"))
    assert set(found.values()) == {0.0}, "all rows have the same words: shuffling them changes nothing"


def test_a_model_that_looks_at_nothing_has_no_column_that_matters() -> None:
    constant = Says(lambda rows: pd.Series(0.3, index=rows.index))
    assert set(measure_importance(constant, make_rows(), make_spec()).values()) == {0.0}


def test_columns_that_say_the_same_share_what_they_are_worth() -> None:
    twins = Says(lambda rows: squash(rows["signal"] + rows["noise"] - 1))
    rows = make_rows(1_500)
    found = measure_importance(twins, rows.assign(noise=rows["signal"]), make_spec())
    assert found["signal"] == pytest.approx(found["noise"], abs=0.1)

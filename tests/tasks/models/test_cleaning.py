"""What each step of `prepare` changes, and what it never looks at."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from infra.errors import ContractBroken
from tasks.models.archives import unpack
from tasks.models.cleaning import BestColumns, Fences, Ranks, TimeParts
from tasks.models.digests import archive_digest
from tasks.models.loading import load_model
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tasks.preparation.splitting import split_rows
from tests.tasks.models.examples import mixed_rows, mixed_spec, no_functions

LOGISTIC = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"max_iter": 1000}}
PREPARATIONS = {
    "clip": {"number": {"outliers": "clip", "scale": "standard"}},
    "nearest": {"number": {"impute": "nearest", "missing_indicator": True}},
    "power": {"number": {"transform": "power"}},
    "quantile": {"number": {"transform": "quantile"}},
    "target": {"category": {"encode": "target"}},
    "times": {"datetime": {"parts": ["hour", "month", "year"]}, "number": {"scale": "standard"}},
    "circle": {"datetime": {"cyclic": True}},
    "variance": {"select": {"method": "variance"}},
    "univariate": {"select": {"method": "univariate", "keep": 3}},
    "information": {"select": {"method": "information", "keep": 3}},
    "model": {"select": {"method": "model", "keep": 3}},
}


def timed_spec(prepare):
    columns = {
        "height": {"type": "number", "null_share": 0.2},
        "count": {"type": "integer"},
        "kind": {"type": "category", "null_share": 0.2},
        "note": {"type": "text"},
        "at": {"type": "datetime", "null_share": 0.2},
        "place": {"type": "integer", "feature": False},
        "answer": {"type": "category"},
    }
    split = {"method": "ordered", "column": "place", "test_share": 0.3}
    return mixed_spec({"one": LOGISTIC}, columns=columns, prepare=prepare, split=split)


def timed_rows(n=120, seed=0):
    frame = mixed_rows(n, seed)
    hours = np.random.default_rng(seed).integers(0, 9_000, n)
    frame["at"] = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(hours, unit="h")
    frame.loc[::13, "at"] = pd.NaT
    frame["place"] = np.arange(n)
    return frame


@pytest.mark.parametrize("prepare", PREPARATIONS.values(), ids=PREPARATIONS)
def test_every_preparation_answers_alike_after_it_was_stored(prepare, tmp_path):
    model = fit_candidate("one", timed_spec(prepare), timed_rows(), load=no_functions)
    content = save_model(model, tmp_path / "one.model")
    frame = timed_rows(30, seed=1)
    loaded = load_model(tmp_path / "one.model", expected_content=content)
    assert np.array_equal(model.predict_proba(frame), loaded.predict_proba(frame))


@pytest.mark.parametrize("prepare", PREPARATIONS.values(), ids=PREPARATIONS)
def test_an_answer_does_not_depend_on_the_other_rows_of_its_batch(prepare):
    model = fit_candidate("one", timed_spec(prepare), timed_rows(), load=no_functions)
    frame = timed_rows(30, seed=1)
    alone = np.vstack([model.predict_proba(frame.iloc[at : at + 1]) for at in range(len(frame))])
    assert np.allclose(model.predict_proba(frame), alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("prepare", PREPARATIONS.values(), ids=PREPARATIONS)
def test_the_targets_of_the_test_rows_never_reach_the_model(prepare, tmp_path):
    spec, rows = timed_spec(prepare), timed_rows()
    train, test = split_rows(rows, spec)

    def digest(frame):
        fitted = fit_candidate("one", spec, frame.iloc[train].reset_index(drop=True), load=no_functions)
        save_model(fitted, tmp_path / "model")
        return archive_digest(unpack((tmp_path / "model").read_bytes()))

    other = rows.copy()
    other.loc[test, "answer"] = rows.loc[test, "answer"].map({"yes": "no", "no": "yes"}).to_numpy()
    assert np.array_equal(split_rows(other, spec)[0], train)
    assert digest(rows) == digest(other)


@pytest.mark.parametrize("prepare", PREPARATIONS.values(), ids=PREPARATIONS)
def test_every_preparation_repeats_and_changes_the_model(prepare, tmp_path):
    def digest(given):
        save_model(fit_candidate("one", timed_spec(given), timed_rows(), load=no_functions), tmp_path / "model")
        return archive_digest(unpack((tmp_path / "model").read_bytes()))

    assert digest(prepare) == digest(prepare)
    if prepare != PREPARATIONS["variance"]:  # no column of these rows is constant
        assert digest(prepare) != digest({})


def test_fences_stand_where_tukey_puts_them():
    fences = Fences(1.5).fit(np.array([[1.0], [2], [3], [4], [np.nan]]))
    answers = fences.transform(np.array([[-100.0], [2.5], [100], [np.nan]]))
    assert answers[:, 0].tolist()[:3] == [1.75 - 1.5 * 1.5, 2.5, 3.25 + 1.5 * 1.5]
    assert np.isnan(answers[3, 0])


def test_a_column_that_is_mostly_one_value_keeps_the_others():
    rows = np.array([[0.0]] * 98 + [[5.0]] * 2)
    assert Fences().fit(rows).transform(rows).max() == 5


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_fences_never_move_what_lies_between_the_quartiles(values):
    rows = np.array(values)[:, None]
    low, high = np.quantile(rows, [0.25, 0.75])
    inner = (rows >= low) & (rows <= high)
    assert np.array_equal(Fences(0.5).fit(rows).transform(rows)[inner], rows[inner])


def test_ranks_of_few_rows_are_made_without_a_warning():
    assert np.isfinite(Ranks(output_distribution="normal").fit_transform(np.arange(7.0)[:, None])).all()


def test_the_last_hour_lies_next_to_the_first_on_the_circle():
    times = pd.DataFrame({"at": pd.to_datetime(["2024-03-01T23:00Z", "2024-03-02T00:00Z", "2024-03-02T12:00Z"])})
    late, midnight, noon = TimeParts(["hour"], cyclic=True).fit(times).transform(times)
    assert np.linalg.norm(late - midnight) < 0.3 < np.linalg.norm(noon - midnight)
    assert TimeParts(["hour", "year"]).transform(times).tolist() == [[23, 2024], [0, 2024], [12, 2024]]
    assert np.allclose(np.linalg.norm(TimeParts(["month", "day"], cyclic=True).transform(times), axis=1), np.sqrt(2))


def test_parts_of_a_time_are_read_in_utc():
    spec = timed_spec({"datetime": {"parts": ["hour"]}})
    rows = timed_rows()
    model = fit_candidate("one", spec, rows, load=no_functions)
    elsewhere = rows.assign(at=rows["at"].dt.tz_convert("Asia/Tokyo"))
    assert np.array_equal(model.predict_proba(rows), model.predict_proba(elsewhere))
    with pytest.raises(ContractBroken, match="Expected dates and times in 'at'"):
        model.predict_proba(rows.assign(at="soon"))


def signal(n=200, seed=0):
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, n)
    rows = random.normal(size=(n, 8))
    rows[:, 3] += 3 * y  # linear
    rows[:, 5] = np.where(y == 1, random.choice([-2, 2], n), 0) + 0.1 * rows[:, 5]  # the same mean, another shape
    rows[:, 7] = 1.0
    return rows, y


@pytest.mark.parametrize(
    ("method", "found"),
    [("univariate", {3}), ("information", {3, 5}), ("model", {3, 5}), ("variance", set(range(7)))],
)
def test_the_best_columns_are_those_that_tell_the_target(method, found):
    rows, y = signal()
    mask = BestColumns(method, keep=max(len(found), 1)).fit(rows, y).get_support()
    assert set(np.flatnonzero(mask)) == found


def test_constant_columns_are_never_kept_for_want_of_others():
    rows, y = signal()
    assert BestColumns("univariate", keep=50).fit(rows, y).get_support().tolist() == [True] * 7 + [False]


def test_a_missing_value_does_not_keep_a_column_from_being_weighed():
    rows, y = signal()
    rows[::9, 3] = np.nan
    rows[:, 0] = np.nan
    chosen = BestColumns("univariate", keep=1).fit(rows, y)
    assert np.flatnonzero(chosen.get_support()).tolist() == [3]
    assert np.isnan(chosen.transform(rows)[::9, 0]).all()


@pytest.mark.parametrize("method", ["univariate", "variance"])
def test_sparse_columns_are_chosen_as_dense_ones(method):
    rows, y = signal()
    rows[np.abs(rows) < 0.5] = 0
    dense, thin = (BestColumns(method, keep=2).fit(each, y).get_support() for each in (rows, sparse.csr_matrix(rows)))
    assert np.array_equal(dense, thin)


def test_target_encoding_of_noise_makes_nobody_sure():
    """Each of 100 values has two rows or so: fitted on its own rows, each would tell its rows' targets."""
    random = np.random.default_rng(0)

    def draw(n):
        kinds = random.choice([f"k{number}" for number in range(100)], n)
        return pd.DataFrame({"kind": kinds, "answer": random.permutation(np.repeat(["yes", "no"], n // 2))})

    rows, fresh = draw(200), draw(1000)
    columns = {"kind": {"type": "category"}, "answer": {"type": "category"}}
    spec = mixed_spec({"one": LOGISTIC}, columns=columns, prepare={"category": {"encode": "target"}})
    answers = fit_candidate("one", spec, rows, load=no_functions).predict_proba(fresh)
    shares = rows.groupby("kind")["answer"].agg(lambda group: (group == "yes").mean())
    own = LogisticRegression().fit(rows["kind"].map(shares).to_frame(), rows["answer"])
    naive = own.predict_proba(fresh["kind"].map(shares).fillna(0.5).to_frame())
    nothing = np.log(2)
    assert log_loss(fresh["answer"], answers) < nothing + 0.02 < log_loss(fresh["answer"], naive) - 0.02

"""Sets of labels: one code a row says all of them, and the metrics on them are the known ones."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from infra.errors import IntegrityError
from tasks.evaluation.answers import AnswerTable
from tasks.evaluation.comparison import compare
from tasks.metrics import set_formulas
from tasks.metrics.answers import Answers
from tasks.metrics.intervals import measure_with_interval
from tasks.metrics.label_sets import constant_set, gather_bits, read_sets, spread, write_sets
from tasks.metrics.registry import METRICS

NAMES = [f"label {at}" for at in range(50)]
SETS = [name for name, metric in METRICS.items() if metric.uses in ("sets", "rankings")]


@st.composite
def _bits(draw):
    n, k = draw(st.integers(0, 12)), draw(st.integers(1, 50))
    return np.array(draw(st.lists(st.lists(st.booleans(), min_size=k, max_size=k), min_size=n, max_size=n))).reshape(
        n, k
    )


@given(_bits())
def test_a_set_is_the_same_as_code_as_text_and_as_a_row_of_yes_and_no(bits):
    codes, labels = gather_bits(bits), NAMES[: bits.shape[1]]
    assert np.array_equal(spread(codes, len(labels)), bits)
    assert np.array_equal(read_sets(write_sets(codes, labels), labels), codes)
    assert np.array_equal(codes.astype(float).astype(np.int64), codes), "bootstrap tables hold codes as floats"


def test_a_missing_set_is_known_as_one_and_an_unknown_label_is_refused():
    assert read_sets(["fog+rain", None, "none", float("nan")], ["rain", "fog"]).tolist() == [3, -1, 0, -1]
    with pytest.raises(IntegrityError, match=r"Expected labels of 'rain', 'none', received 'snow'"):
        read_sets(["rain+snow"], ["rain"])


def _theirs(name, truth, answered, scores, weights):
    given = {"sample_weight": weights}
    return {
        "label_f1_micro": lambda: sk.f1_score(truth, answered, average="micro", **given),
        "label_f1_samples": lambda: sk.f1_score(truth, answered, average="samples", zero_division=1.0, **given),
        "subset_accuracy": lambda: sk.accuracy_score(truth, answered, **given),
        "hamming_loss": lambda: sk.hamming_loss(truth, answered, **given),
        "ranking_loss": lambda: sk.label_ranking_loss(truth, scores, **given),
        "ranking_precision": lambda: sk.label_ranking_average_precision_score(truth, scores, **given),
        "label_f1_macro": lambda: np.mean(
            [
                sk.f1_score(truth[:, at], answered[:, at], **given)
                for at in range(truth.shape[1])
                if (truth[:, at] | answered[:, at]).any()
            ]
        ),
    }[name]()


def _draw(seed, n=30, k=4, noise=0.8):
    """Return truth, and answers that are near it, with many ties among the scores."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, k)) < 0.4
    scores = np.clip(np.round((truth + rng.normal(0, noise, (n, k)) + 0.5) / 2, 1), 0, 1)
    return truth, scores > 0.5, scores


@pytest.mark.parametrize("name", SETS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_a_metric_of_sets_is_what_scikit_learn_says_with_ties_and_weights(name, seed):
    truth, answered, scores = _draw(seed)
    weights = np.random.default_rng(seed).integers(1, 4, len(truth)).astype(float)
    model = Answers("candidate", "m", gather_bits(answered), scores)
    ours = METRICS[name].measure(gather_bits(truth), model, weights[None, :], truth.shape[1], -1)[0]
    assert ours == pytest.approx(_theirs(name, truth, answered, scores, weights), abs=1e-9)


def _table(seed, n, **noises):
    truth = _draw(seed, n)[0]
    models = []
    for role, noise in noises.items():
        _, answered, scores = _draw(seed, n, noise=noise)
        models.append(Answers(role, role, gather_bits(answered), scores))
    return AnswerTable(
        ("a", "b", "c", "d"), gather_bits(truth), tuple(models), np.ones(n, dtype=bool), positive=-1, several=True
    )


@pytest.mark.parametrize("name", SETS)
def test_the_interval_of_a_metric_holds_its_value_and_narrows_with_the_rows(name):
    widths = []
    for n in (40, 640):
        table = _table(3, n, candidate=0.8)
        seen = measure_with_interval(METRICS[name], table, table.models[0], draws=400)
        assert seen.low < seen.value < seen.high
        widths.append(seen.high - seen.low)
    assert widths[1] < widths[0] / 2


@pytest.mark.parametrize("name", SETS)
def test_a_better_model_is_shown_to_be_better_an_equal_one_not_and_perfect_ones_prove_nothing(name):
    metric = METRICS[name]
    apart, perfect = _table(1, 300, candidate=0.3, champion=1.2), _table(1, 20, candidate=0.0, champion=0.0)
    assert compare(metric, apart, *apart.models, draws=400).p_better < 0.01
    assert compare(metric, apart, *reversed(apart.models), draws=400).p_worse < 0.01
    same = _table(1, 300, candidate=0.5, champion=0.5)
    assert compare(metric, same, *same.models, draws=400).p_better > 0.5
    alone = measure_with_interval(metric, perfect, perfect.models[0], draws=400)
    assert alone.low < alone.high, "twenty right of twenty are no certainty"


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=6), st.sampled_from(["label_f1_micro", "hamming_loss"]))
def test_no_constant_answer_beats_the_dummy_of_sets(shares, metric):
    shares = np.array(shares)

    def worth(bits):
        if metric == "hamming_loss":
            return -float(np.where(bits, 1 - shares, shares).mean())
        return float(2 * shares[bits].sum() / max(bits.sum() + shares.sum(), 1e-9))

    chosen = spread(constant_set(shares, metric), len(shares))[0]
    every = [np.array(bits) for bits in product([False, True], repeat=len(shares))]
    assert worth(chosen) >= max(worth(bits) for bits in every) - 1e-9


@pytest.mark.parametrize("name", ["ranking_loss", "ranking_precision"])
def test_a_ranking_is_measured_alike_in_one_block_and_in_many(name, monkeypatch):
    table, weights = _table(2, 50, candidate=0.8), np.ones((1, 50))
    whole = METRICS[name].measure(table.truth, table.models[0], weights, 4, -1)
    monkeypatch.setattr(set_formulas, "PAIRS_AT_ONCE", 100)
    assert np.allclose(METRICS[name].measure(table.truth, table.models[0], weights, 4, -1), whole)

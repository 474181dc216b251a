"""Drift of text: can a classifier tell the window's texts from the reference's, are there unknown words, did lengths change?"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from tasks.monitoring.counting import Codes, Floats, count_numbers, make_edges
from tasks.monitoring.differences import Difference, compare_numbers, effective_rows

MOST_TERMS = 20_000
WORDS_AND_MARKS = r"(?u)\w+|[^\w\s]"
Texts = npt.NDArray[Any]
_WORD = re.compile(r"\w+")
_TOKEN = re.compile(WORDS_AND_MARKS)


class TextDifference(NamedTuple):
    """One test of two sets of texts; `rows` are its effective rows."""

    test: str
    effect_name: str
    difference: Difference
    rows: float


def compare_texts(window: Sequence[str], reference: Sequence[str], seed: int) -> list[TextDifference]:
    """Return the tests of two samples of texts; their order does not count.

    Parameters
    ----------
    window, reference
        At least four texts each.
    seed
        Of the halves.
    """
    window, reference = sorted(window), sorted(reference)
    m = float(effective_rows(len(window), len(reference)))
    rng = np.random.default_rng(seed)
    shuffled = [reference[place] for place in rng.permutation(len(reference))]
    teaching, held_out = shuffled[::2], shuffled[1::2]
    known = {word for text in teaching for word in _WORD.findall(text.lower())}
    return [
        TextDifference("domain classifier", "2 AUC - 1", tell_apart(window, reference, seed), m),
        TextDifference(
            "vocabulary",
            "KS distance of the share of unknown words",
            _compare(_unknown_shares(window, known), _unknown_shares(held_out, known)),
            float(effective_rows(len(window), len(held_out))),
        ),
        TextDifference("length", "KS distance of the words a text", _compare(_lengths(window), _lengths(reference)), m),
    ]


def tell_apart(window: Sequence[str], reference: Sequence[str], seed: int) -> Difference:
    """Return how well a classifier that never saw a text says which side it is from (Lopez-Paz & Oquab 2017, ICLR).

    TF-IDF and logistic regression, learnt on one half of the texts and judged on the other, both ways. Without a change the
    AUC on a half is a Mann-Whitney statistic of labels that mean nothing to what was learnt on the other: mean 1/2, variance
    (n + N + 1) / (12 n N) (Mann & Whitney 1947, Ann. Math. Stat. 18), one-sided, as a classifier that is right less than half
    the time has learnt nothing; p is twice the smaller of the two (Bonferroni). More folds learn from more texts, but share
    them: their mean AUC varies far more than that of as many independent ones (Bengio & Grandvalet 2004, J. Mach. Learn. Res.
    5:1089-1105; with five, p <= 0.01 came in 11 of 100 trials without a change). The effect is 2 AUC - 1 (Somers' D), the mean
    of both: 0 where they cannot be told apart, 1 where always.
    """
    from sklearn.model_selection import StratifiedKFold

    side = np.r_[np.zeros(len(reference), dtype=int), np.ones(len(window), dtype=int)]
    texts = np.array([*reference, *window], dtype=object)
    halves = StratifiedKFold(2, shuffle=True, random_state=seed).split(texts, side)
    judged = np.array([_judge_half(texts, side, learn, judge) for learn, judge in halves])
    area, p = float(judged[:, 0].mean()), min(1.0, 2 * float(judged[:, 1].min()))
    return Difference(np.asarray(area), np.asarray(p), np.asarray(max(0.0, 2 * area - 1)))


def _judge_half(texts: Texts, side: Codes, learn: Codes, judge: Codes) -> tuple[float, float]:
    """Return the AUC on the half that was not learnt from, and its p."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    if not any(_TOKEN.search(text) for text in texts[learn]):
        return 0.5, 1.0  # nothing to learn from: empty texts are all alike
    terms = TfidfVectorizer(max_features=MOST_TERMS, sublinear_tf=True, token_pattern=WORDS_AND_MARKS)
    model = LogisticRegression(C=10.0, max_iter=200, class_weight="balanced")
    model.fit(terms.fit_transform(texts[learn]), side[learn])
    area = float(roc_auc_score(side[judge], model.decision_function(terms.transform(texts[judge]))))
    ones = int(side[judge].sum())
    variance = (len(judge) + 1) / (12 * ones * (len(judge) - ones))
    return area, float(special.erfc((area - 0.5) / np.sqrt(2 * variance)) / 2)


def _compare(window: Floats, reference: Floats) -> Difference:
    edges = make_edges(reference)
    return compare_numbers(count_numbers(window, edges).counts, count_numbers(reference, edges).counts)


def _lengths(texts: Sequence[str]) -> Floats:
    return np.array([len(_WORD.findall(text)) for text in texts], dtype=np.float64)


def _unknown_shares(texts: Sequence[str], known: set[str]) -> Floats:
    """Return the share of each text's words that the known ones lack; 0 for a text without words."""
    words = [_WORD.findall(text.lower()) for text in texts]
    return np.array([sum(word not in known for word in each) / max(len(each), 1) for each in words], dtype=np.float64)

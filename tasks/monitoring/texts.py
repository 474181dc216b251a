"""Drift of text: can a classifier tell the window's texts from the reference's, are there unknown words, did lengths change?"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from tasks.monitoring.counting import Floats, count_numbers, make_edges
from tasks.monitoring.differences import Difference, compare_numbers, effective_rows

FOLDS = 5
MOST_TERMS = 20_000
WORDS_AND_MARKS = r"(?u)\w+|[^\w\s]"
_WORD = re.compile(r"\w+")


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
        At least `FOLDS` texts each.
    seed
        Of the folds.
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

    TF-IDF and logistic regression, 5-fold cross-validation, mean AUC over the folds. Without a change the AUC of a fold is
    a Mann-Whitney statistic of labels that mean nothing to the classifier: mean 1/2, variance (n + N + 1) / (12 n N)
    (Mann & Whitney 1947, Ann. Math. Stat. 18), and the mean of the folds has a fifth of it; p = 1 - Φ(z), one-sided, as a
    classifier that is right less than half the time has learnt nothing. The effect is 2 AUC - 1 (Somers' D), 0 where
    they cannot be told apart, 1 where always.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    side = np.r_[np.zeros(len(reference), dtype=int), np.ones(len(window), dtype=int)]
    texts = np.array([*reference, *window], dtype=object)
    areas, variance = [], 0.0
    for learn, judge in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(texts, side):
        terms = TfidfVectorizer(max_features=MOST_TERMS, sublinear_tf=True, token_pattern=WORDS_AND_MARKS)
        model = LogisticRegression(C=10.0, max_iter=200, class_weight="balanced")
        model.fit(terms.fit_transform(texts[learn]), side[learn])
        areas.append(roc_auc_score(side[judge], model.decision_function(terms.transform(texts[judge]))))
        ones = int(side[judge].sum())
        variance += (len(judge) + 1) / (12 * ones * (len(judge) - ones)) / FOLDS**2
    area = float(np.mean(areas))
    z = (area - 0.5) / np.sqrt(variance)
    return Difference(
        np.asarray(area), np.asarray(special.erfc(z / np.sqrt(2)) / 2), np.asarray(max(0.0, 2 * area - 1))
    )


def _compare(window: Floats, reference: Floats) -> Difference:
    edges = make_edges(reference)
    return compare_numbers(count_numbers(window, edges).counts, count_numbers(reference, edges).counts)


def _lengths(texts: Sequence[str]) -> Floats:
    return np.array([len(_WORD.findall(text)) for text in texts], dtype=np.float64)


def _unknown_shares(texts: Sequence[str], known: set[str]) -> Floats:
    """Return the share of each text's words that the known ones lack; 0 for a text without words."""
    words = [_WORD.findall(text.lower()) for text in texts]
    return np.array([sum(word not in known for word in each) / max(len(each), 1) for each in words], dtype=np.float64)

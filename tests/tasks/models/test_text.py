import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.models.text import FIRST_WORD, PADDING, START, UNKNOWN, Tfidf, Tokens

TEXTS = ["The film was good, good, GOOD.", "the plot <br />was bad", "film"]


def test_the_most_frequent_words_come_first_and_ties_by_alphabet():
    tokens = Tokens(vocabulary=FIRST_WORD + 4, length=4).fit(TEXTS)
    assert tokens.words_.split("\n") == ["good", "film", "the", "was"]


def test_short_texts_are_padded_and_long_ones_cut_at_their_beginning():
    tokens = Tokens(vocabulary=FIRST_WORD + 4, length=4).fit(TEXTS)
    good, film, the, was = range(FIRST_WORD, FIRST_WORD + 4)
    assert tokens.transform(["the film was so good good", "film", ""]).tolist() == [
        [was, UNKNOWN, good, good],
        [PADDING, PADDING, START, film],
        [PADDING, PADDING, PADDING, START],
    ]
    assert the != was


@given(st.lists(st.text(max_size=40), min_size=1, max_size=8), st.integers(1, 30), st.integers(1, 10))
def test_numbers_never_leave_the_table(texts, vocabulary, length):
    table = Tokens(vocabulary=FIRST_WORD + vocabulary, length=length).fit(texts).transform([*texts, "never seen"])
    assert table.shape == (len(texts) + 1, length)
    assert table.dtype == np.int32
    assert 0 <= table.min() <= table.max() < FIRST_WORD + vocabulary


@given(st.permutations(TEXTS))
def test_the_vocabulary_does_not_depend_on_the_order_of_the_rows(texts):
    assert Tokens().fit(texts).words_ == Tokens().fit(TEXTS).words_


@pytest.mark.parametrize("ngrams", [1, 2])
def test_the_compact_state_of_tfidf_holds_the_whole_vocabulary(ngrams):
    fitted = Tfidf(ngram_range=(1, ngrams)).fit(TEXTS)
    state = fitted.__getstate__()
    assert "vocabulary_" not in state
    again = Tfidf()
    again.__setstate__(dict(state))
    assert again.vocabulary_ == fitted.vocabulary_
    assert (again.transform(TEXTS) != fitted.transform(TEXTS)).nnz == 0

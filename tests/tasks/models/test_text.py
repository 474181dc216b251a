import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.pipeline import Pipeline

from tasks.contracts.preparation import Preparation, TextPreparation
from tasks.models.inputs import InputColumns
from tasks.models.preprocessing import preprocessing_steps
from tasks.models.skops_files import dump_pipeline, load_pipeline
from tasks.models.text import FIRST_WORD, PADDING, START, UNKNOWN, Phrases, Tfidf, Tokens, list_words

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


def test_phrases_tell_texts_of_the_same_words_apart():
    texts = ["not good but fun", "good but not fun", "not good"]
    words = Tokens(vocabulary=30, length=9).fit(texts).transform(texts[:2])
    phrases = Phrases(vocabulary=30, length=9).fit(texts)
    assert sorted(words[0]) == sorted(words[1])
    assert sorted(phrases.transform(texts)[0]) != sorted(phrases.transform(texts)[1])
    assert phrases.words_.split("\n")[:6] == ["good", "not", "but", "fun", "good but", "not good"]


def test_phrases_answer_the_same_from_the_store():
    phrases = Phrases(vocabulary=9, length=5, ngrams=3).fit(TEXTS)
    assert load_pipeline(dump_pipeline(phrases)).transform(TEXTS).tolist() == phrases.transform(TEXTS).tolist()


@given(st.lists(st.text("ab ", max_size=20), min_size=1, max_size=5), st.integers(2, 4), st.integers(1, 12))
def test_phrases_number_the_last_terms_of_a_text_and_never_leave_the_table(texts, ngrams, length):
    phrases = Phrases(vocabulary=20, length=length, ngrams=ngrams).fit(texts)
    table = phrases.transform(texts)
    assert table.shape == (len(texts), length)
    assert table.max() < 20
    for row, text in zip(table, texts, strict=True):
        terms = phrases.list_terms(text)
        assert [term for term in terms if " " not in term] == text.split()
        assert (row != PADDING).sum() == min(len(terms) + 1, length)


@pytest.mark.parametrize(
    ("ngrams", "words"), [(1, ["a", "b"]), (2, ["a", "a b", "b", "b a"])], ids=["words", "phrases"]
)
def test_a_candidate_gets_the_phrases_that_it_asks_for(ngrams, words):
    preparation = Preparation(text=TextPreparation(encode="tokens", vocabulary=9, length=4, ngrams=ngrams))
    prepare = Pipeline(preprocessing_steps(InputColumns(texts=("note",)), preparation))
    table = prepare.fit_transform(pd.DataFrame({"note": ["a b a", "a b"]}))
    assert list_words(prepare) == words
    assert table.shape == (2, 4)

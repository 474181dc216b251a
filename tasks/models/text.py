"""Text as numbers: TF-IDF for classical models, padded word numbers for networks.

Both keep their vocabulary as one string in a file, not as a dictionary: ten thousand words are then one entry of
the model's archive instead of ten thousand.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer

PADDING, START, UNKNOWN, FIRST_WORD = 0, 1, 2, 3
"""Reserved numbers, as in keras.datasets.imdb."""

_SEPARATORS = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r\x0b\x0c', " "))


class Tfidf(TfidfVectorizer):  # type: ignore[misc]
    """scikit-learn's TfidfVectorizer with a compact state."""

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "vocabulary_" in state:
            words = state.pop("vocabulary_")
            state["words_"] = "\n".join(sorted(words, key=words.__getitem__))
        state.pop("_stop_words_id", None)  # a memory address
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        words = state.pop("words_", None)
        super().__setstate__(state)
        if words is not None:
            self.vocabulary_ = {word: at for at, word in enumerate(words.split("\n"))}


class Tokens(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Each text as `length` word numbers, int32.

    The most frequent words of the training rows get the numbers from 3 on, in order of frequency (ties by
    alphabet); 0 is padding, 1 the start of a text, 2 any other word. Short texts are padded and long ones cut at
    their beginning: Keras' `pad_sequences` default, which the reference network uses. It keeps the last words,
    where a review says what it thinks.

    Parameters
    ----------
    vocabulary
        Size of the table of numbers, the three reserved ones included: `input_dim` of an embedding.
    length
        Words a text is cut or padded to.
    """

    def __init__(self, vocabulary: int = 10_000, length: int = 200) -> None:
        self.vocabulary = vocabulary
        self.length = length

    def fit(self, texts: Iterable[str], y: object = None) -> Self:  # noqa: ARG002  scikit-learn's signature
        counts = Counter(chain.from_iterable(map(self.list_terms, texts)))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        self.words_ = "\n".join(word for word, _ in ranked[: max(self.vocabulary - FIRST_WORD, 0)])
        return self

    def list_terms(self, text: str) -> list[str]:
        """Return what is numbered of a text, in order."""
        return split_words(text)

    def transform(self, texts: Iterable[str]) -> npt.NDArray[np.int32]:
        """Return the word numbers, shape (n, length)."""
        numbers = {word: FIRST_WORD + at for at, word in enumerate(self.words_.split("\n"))}
        rows = [self.list_terms(text) for text in texts]
        table = np.full((len(rows), self.length), PADDING, dtype=np.int32)
        for row, words in zip(table, rows, strict=True):
            last = [numbers.get(word, UNKNOWN) for word in words[-self.length :]]
            if len(last) < self.length:
                last.insert(0, START)
            row[self.length - len(last) :] = last
        return table

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[Any]:  # noqa: ARG002
        return np.array([f"word_{at}" for at in range(self.length)], dtype=object)


class Phrases(Tokens):
    """As `Tokens`, with each sequence of two to `ngrams` words as a term of its own, behind the word that it ends with.

    What fastText adds to its words (Joulin, Grave, Bojanowski and Mikolov 2017, EACL, section 2.2), numbered by frequency
    together with them instead of hashed: two phrases never share a number, and rare ones are unknown as rare words are.
    """

    def __init__(self, vocabulary: int = 10_000, length: int = 200, ngrams: int = 2) -> None:
        super().__init__(vocabulary, length)
        self.ngrams = ngrams

    def list_terms(self, text: str) -> list[str]:
        """Return the words, each followed by the phrases that it ends, the shorter first.

        >>> Phrases(ngrams=2).list_terms("Not good at all")
        ['not', 'good', 'not good', 'at', 'good at', 'all', 'at all']
        """
        words = split_words(text)
        return [
            " ".join(words[end - size : end])
            for end in range(1, len(words) + 1)
            for size in range(1, min(self.ngrams, end) + 1)
        ]


def list_words(pipeline: Any) -> list[str]:
    """Return the words of the one text that a fitted preparation reads, in the order of their numbers from `FIRST_WORD` on."""
    return str(pipeline.named_steps["columns"].named_transformers_["text_0"].words_).split("\n")


def split_words(text: str) -> list[str]:
    """Return the words in lower case; punctuation but the apostrophe parts them.

    >>> split_words("It's GREAT, isn't it?")
    ["it's", 'great', "isn't", 'it']
    """
    return text.lower().translate(_SEPARATORS).split()

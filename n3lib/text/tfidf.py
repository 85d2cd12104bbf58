"""TF-IDF features: the terms of a description, weighted by how rare they are among the classes."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from scipy import sparse

from n3lib.io import N3Error


@dataclass(frozen=True, eq=False)
class TfIdf:
    """A vocabulary of V terms with their inverse document frequencies; a document is the text of one class.

    The same as scikit-learn's `TfidfVectorizer(sublinear_tf=True, stop_words=stop_words())` on the joined
    sentences of each class. Terms of several words lie within one sentence.

    Attributes:
        vocabulary: the V terms in alphabetical order.
        idf: `ln((1 + n) / (1 + df)) + 1` for each term in n documents, float64 `(V,)`.
        ngrams: the most words in a term.
    """

    vocabulary: list[str]
    idf: Float[np.ndarray, "V"]
    ngrams: int = 1

    @classmethod
    def fit(cls, texts: Sequence[Sequence[str]], ngrams: int = 1) -> "TfIdf":
        """Collect terms of 1 up to `ngrams` words, stop words left out before; an `N3Error` without any."""
        analyze = _vectorizer(ngrams).build_analyzer()
        documents = [{term for line in text for term in analyze(line)} for text in texts]
        idf = inverse_document_frequency(documents)
        if not idf:
            raise N3Error(f"TF-IDF found no word in {len(texts)} classes", "Give longer texts")
        return cls(list(idf), np.array(list(idf.values())), ngrams)

    def counts(self, sentences: Sequence[str]) -> sparse.csr_matrix:
        """How often each sentence has each term: float32 `(S, V)`; unknown terms are ignored."""
        if not self.vocabulary:
            return sparse.csr_matrix((len(sentences), 0), dtype=np.float32)
        return self._counter.transform(sentences)

    def weights(self, counts: Float[np.ndarray, "K V"]) -> Float32[np.ndarray, "K V"]:
        """Unit rows of `(1 + ln tf) * idf` from the counts `(K, V)` of whole classes.

        Weighted sentences make tf a fraction. Below 1 the factor is tf itself: `1 + ln tf` is negative there;
        the two have the same value and slope at 1. A class without any known term stays a row of zeros.
        """
        tf = counts.astype(np.float64)  # (K, V)
        weighted = np.where(tf > 1, 1 + np.log(np.maximum(tf, 1)), tf) * self.idf  # (K, V)
        length = np.linalg.norm(weighted, axis=1, keepdims=True)  # (K, 1)
        return (weighted / np.where(length > 0, length, 1)).astype(np.float32)

    def transform(self, texts: Sequence[Sequence[str]]) -> Float32[np.ndarray, "K V"]:
        """The weights of whole classes, given as their sentences."""
        return self.weights(np.stack([np.asarray(self.counts(text).sum(axis=0)).ravel() for text in texts]))

    def to_dict(self) -> dict[str, Any]:
        """All of it, fit for JSON."""
        return {"vocabulary": self.vocabulary, "idf": self.idf.tolist(), "ngrams": self.ngrams}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "TfIdf":
        """What `to_dict` gave, or else a `KeyError`, `TypeError` or `ValueError`."""
        vocabulary, ngrams = [str(term) for term in value["vocabulary"]], int(value["ngrams"])
        idf = np.array(value["idf"], dtype=np.float64)
        if idf.shape != (len(set(vocabulary)),) or ngrams < 1 or not np.isfinite(idf).all():
            raise ValueError(f"TF-IDF of {len(vocabulary)} terms")
        return cls(vocabulary, idf, ngrams)

    @cached_property
    def _counter(self) -> Any:
        return _vectorizer(self.ngrams, self.vocabulary)


def inverse_document_frequency(documents: Sequence[Set[str]]) -> dict[str, float]:
    """`ln((1 + n) / (1 + df)) + 1` of each term in n documents, given as the terms of each."""
    df = Counter(term for found in documents for term in found)
    return {term: math.log((1 + len(documents)) / (1 + df[term])) + 1 for term in sorted(df)}


def stop_words() -> list[str]:
    """Scikit-learn's English stop words, less those that say how a thing looks (a bird's bill and back)."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    looks = {"back", "bill", "bottom", "front", "full", "side", "thick", "thin", "top"}
    return sorted(ENGLISH_STOP_WORDS - looks)


def _vectorizer(ngrams: int, vocabulary: Sequence[str] | None = None) -> Any:
    """Scikit-learn's way from text to terms: lower case, two letters or more, no English stop words."""
    from sklearn.feature_extraction.text import CountVectorizer

    how = {"stop_words": stop_words(), "ngram_range": (1, ngrams), "dtype": np.float32}
    return CountVectorizer(vocabulary=vocabulary, **how)

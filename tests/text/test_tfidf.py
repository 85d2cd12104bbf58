import json
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from n3lib.io import N3Error
from n3lib.text.tfidf import TfIdf, stop_words

TEXTS = (
    ("The blue jay has a blue crest.", "It is noisy, noisy, noisy."),
    ("A red crest and a red beak.",),
    ("A blue back, a gray beak.", "Noisy at dawn; the beak is gray."),
)


def reference(**options):
    return TfidfVectorizer(sublinear_tf=True, stop_words=stop_words(), **options)


def whole(texts):
    return [" ".join(text) for text in texts]


def test_by_hand():
    # Of three classes, two have "blue", "crest", "noisy" and "beak", one has "jay", "red", "back" and so on.
    common, rare = math.log(4 / 3) + 1, math.log(4 / 2) + 1
    tfidf = TfIdf.fit(TEXTS)
    assert tfidf.vocabulary == ["back", "beak", "blue", "crest", "dawn", "gray", "jay", "noisy", "red"]
    np.testing.assert_allclose(
        tfidf.idf, [rare, common, common, common, rare, rare, rare, common, rare], atol=1e-12
    )
    twice, thrice = 1 + math.log(2), 1 + math.log(3)
    rows = np.array(
        [
            [0, 0, twice * common, common, 0, 0, rare, thrice * common, 0],
            [0, common, 0, common, 0, 0, 0, 0, twice * rare],
            [rare, twice * common, common, 0, rare, twice * rare, 0, common, 0],
        ]
    )
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = tfidf.transform(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # The last class with its second sentence at 0.4: of two "beak", 1.4 are left; "noisy" and "dawn" are 0.4.
    less = (1 + math.log(1.4)) * np.array([common, rare])
    part = [rare, less[0], common, 0, 0.4 * rare, less[1], 0, 0.4 * common, 0]
    counts = np.array([1, 0.4]) @ tfidf.counts(TEXTS[2]).toarray()
    np.testing.assert_allclose(tfidf.weights(counts[None])[0], part / np.linalg.norm(part), atol=1e-6)


@pytest.mark.parametrize("texts", [TEXTS, (("A blue, gray and green beak.", "Blue!"),)], ids=["seen", "new"])
def test_equal_to_scikit_learn(texts):
    vectorizer = reference().fit(whole(TEXTS))
    tfidf = TfIdf.fit(TEXTS)
    assert tfidf.vocabulary == vectorizer.get_feature_names_out().tolist()
    np.testing.assert_allclose(tfidf.idf, vectorizer.idf_)
    np.testing.assert_allclose(
        tfidf.transform(texts), vectorizer.transform(whole(texts)).toarray(), atol=1e-6
    )


def test_terms_of_several_words_stay_within_a_sentence():
    texts = (("Long beak.", "Blue crest."), ("Long beak.", "Blue crest!"))
    tfidf = TfIdf.fit(texts, ngrams=2)
    assert tfidf.vocabulary == ["beak", "blue", "blue crest", "crest", "long", "long beak"]
    one_sentence = [(" ".join(text).replace(".", ""),) for text in TEXTS]
    expected = reference(ngram_range=(1, 2)).fit_transform(whole(one_sentence)).toarray()
    np.testing.assert_allclose(TfIdf.fit(one_sentence, ngrams=2).transform(one_sentence), expected, atol=1e-6)


def test_counts_add_up_over_sentences():
    tfidf = TfIdf.fit(TEXTS)
    counts = tfidf.counts(TEXTS[2])
    assert sparse.isspmatrix_csr(counts) and counts.shape == (2, len(tfidf.vocabulary))
    assert counts.dtype == np.float32 and counts.has_sorted_indices
    beak = tfidf.vocabulary.index("beak")
    assert counts.toarray()[:, beak].tolist() == [1, 1]
    summed = np.stack([tfidf.counts(text).toarray().sum(axis=0) for text in TEXTS])
    np.testing.assert_allclose(tfidf.weights(summed), tfidf.transform(TEXTS))


@pytest.mark.parametrize("tfidf", [TfIdf.fit(TEXTS), TfIdf([], np.zeros(0))], ids=["terms", "empty"])
def test_rows_have_unit_length_or_are_zero(tfidf):
    terms = len(tfidf.vocabulary)
    weights = tfidf.transform((TEXTS[0], ("Nothing known.", ""), ()))
    np.testing.assert_allclose(np.linalg.norm(weights, axis=1), [terms > 0, 0, 0], atol=1e-6)
    assert tfidf.counts(["A beak.", ""]).shape == (2, terms)


def test_goes_through_json():
    tfidf = TfIdf.fit(TEXTS, ngrams=2)
    again = TfIdf.from_dict(json.loads(json.dumps(tfidf.to_dict())))
    assert again.vocabulary == tfidf.vocabulary and again.ngrams == 2
    np.testing.assert_array_equal(again.transform(TEXTS), tfidf.transform(TEXTS))


@pytest.mark.parametrize("texts", [(), ((),), (("The of and.",), ("The of and.",))])
def test_no_term_at_all(texts):
    with pytest.raises(N3Error, match="no word"):
        TfIdf.fit(texts)


def test_heavy_libraries_are_imported_only_when_used():
    code = (
        "import sys; from n3lib.text import cache, encoders, tfidf, transformer, words;"
        "encoders.make_encoder('words').encode(['a']);"
        "assert not {'transformers', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_of_cub(pack):
    articles = json.loads((pack / "data" / "cub_wikipedia.json").read_text())
    texts = [article["sentences"] for article in articles.values()]
    expected = reference().fit_transform(whole(texts)).toarray()
    np.testing.assert_allclose(TfIdf.fit(texts).transform(texts), expected, atol=1e-6)

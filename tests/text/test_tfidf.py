import json
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from n3lib.io.errors import N3Error
from n3lib.text.tfidf import TfIdf, stop_words

TEXTS = (
    ("The blue jay has a blue crest.", "It is noisy, noisy, noisy."),
    ("A red crest and a red beak.",),
    ("A blue back, a gray beak.", "Noisy at dawn; the beak is gray."),
)


def reference(**options):
    return TfidfVectorizer(sublinear_tf=True, stop_words=stop_words(), **{"min_df": 1} | options)


def whole(texts):
    return [" ".join(text) for text in texts]


@pytest.mark.parametrize("min_df", [1, 2])
def test_equal_to_scikit_learn(min_df):
    vectorizer = reference(min_df=min_df)
    expected = vectorizer.fit_transform(whole(TEXTS)).toarray()
    tfidf = TfIdf.fit(TEXTS, min_df=min_df)
    assert tfidf.vocabulary == vectorizer.get_feature_names_out().tolist()
    np.testing.assert_allclose(tfidf.idf, vectorizer.idf_)
    weights = tfidf.transform(TEXTS)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected, atol=1e-6)


def test_equal_to_scikit_learn_on_unseen_text():
    unseen = (("A blue, gray and green beak.", "Blue!"),)
    expected = reference().fit(whole(TEXTS)).transform(whole(unseen)).toarray()
    np.testing.assert_allclose(TfIdf.fit(TEXTS).transform(unseen), expected, atol=1e-6)


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
    assert counts.has_sorted_indices
    beak = tfidf.vocabulary.index("beak")
    assert counts.toarray()[:, beak].tolist() == [1, 1]
    summed = sparse.vstack([sparse.csr_matrix(tfidf.counts(text).sum(axis=0)) for text in TEXTS]).tocsr()
    np.testing.assert_allclose(tfidf.weights(summed), tfidf.transform(TEXTS))
    np.testing.assert_allclose(tfidf.weights(summed.toarray()), tfidf.transform(TEXTS))


def test_rows_have_unit_length_or_are_zero():
    tfidf = TfIdf.fit(TEXTS)
    weights = tfidf.transform((TEXTS[0], ("Nothing known.", ""), ()))
    np.testing.assert_allclose(np.linalg.norm(weights, axis=1), [1, 0, 0], atol=1e-6)
    assert tfidf.counts([]).shape == (0, len(tfidf.vocabulary))
    assert tfidf.transform([]).shape == (0, len(tfidf.vocabulary))


def test_fractions_of_a_count_weigh_themselves_and_whole_counts_as_before():
    tfidf = TfIdf(["a", "b", "c", "d"], np.array([1.0, 2.0, 1.0, 1.0]))
    row = np.array([0.25, 0.5, 1, 2])
    expected = np.array([0.25, 0.5 * 2, 1, 1 + np.log(2)])
    np.testing.assert_allclose(tfidf.weights(row[None])[0], expected / np.linalg.norm(expected), rtol=1e-6)


def test_goes_through_json():
    tfidf = TfIdf.fit(TEXTS, ngrams=2)
    again = TfIdf.from_dict(json.loads(json.dumps(tfidf.to_dict())))
    assert again.vocabulary == tfidf.vocabulary and again.ngrams == 2
    np.testing.assert_array_equal(again.idf, tfidf.idf)
    np.testing.assert_array_equal(again.transform(TEXTS), tfidf.transform(TEXTS))


@pytest.mark.parametrize(
    "change", [{"idf": [1.0]}, {"idf": None}, {"ngrams": 0}, {"vocabulary": 3}, {"idf": "ab"}]
)
def test_damaged(change):
    with pytest.raises(N3Error, match="stored TF-IDF is damaged"):
        TfIdf.from_dict(TfIdf.fit(TEXTS).to_dict() | change)
    with pytest.raises(N3Error, match="stored TF-IDF is damaged"):
        TfIdf.from_dict({})


@pytest.mark.parametrize("texts", [(), ((),), (("Blue.",), ("Red.",)), (("The of and.",), ("The of and.",))])
def test_nothing_in_common(texts):
    with pytest.raises(N3Error, match="no word that 2 of"):
        TfIdf.fit(texts, min_df=2)


@pytest.mark.parametrize("options", [{"ngrams": 0}, {"min_df": 0}])
def test_bad_settings(options):
    with pytest.raises(N3Error, match="Use 1 or more"):
        TfIdf.fit(TEXTS, **options)


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
    tfidf = TfIdf.fit(texts, min_df=2)
    assert len(tfidf.vocabulary) == 5208  # 5,199 with all of scikit-learn's stop words
    expected = reference(min_df=2).fit_transform(whole(texts)).toarray()
    np.testing.assert_allclose(tfidf.transform(texts), expected, atol=1e-6)

"""The text pipeline encodes descriptions, whole or cut, and weighs their sentences and words."""

import json
import math

import numpy as np
import pytest
import torch

from n3lib.data.texts import Sentence
from n3lib.io import N3Error
from n3lib.text.bank import Text, TextBank, TokenEncoder
from n3lib.text.cache import encode_texts
from n3lib.text.pipeline import TextConfig, TextPipeline
from n3lib.text.tfidf import TfIdf
from n3lib.text.words import WordEncoder

TEXTS = [
    ["Red tail.", "..."],
    ["Blue crown, long bill.", "Red wing."],
    ["Green.", "Blue tail.", "Long crown."],
]
TFIDF = TfIdf.fit(TEXTS)


def fit(encoder: TokenEncoder | None = None, **settings: object) -> TextPipeline:
    return TextPipeline.fit(encoder or WordEncoder(8), TEXTS, TextConfig(**settings))


def make(**settings: object) -> TextBank:
    return fit(**settings).bank(TEXTS)


def test_pooled_is_the_mean_by_inverse_document_frequency_of_all_tokens() -> None:
    # Of three classes "red", "tail" and "blue" stand in two, "long" and "crown" too, the others in one.
    common, rare = math.log(4 / 3) + 1, math.log(4 / 2) + 1
    idf = {"green": rare, "bill": rare, "wing": rare}
    bank, encoder = make(max_tokens=1), WordEncoder(8)
    for k, words in enumerate([["red", "tail"], ["blue", "crown", "long", "bill", "red", "wing"]]):
        shares = torch.tensor([idf.get(word, common) for word in words])
        vectors = torch.cat([one.embeddings for one in encoder.encode(words)]).float()
        torch.testing.assert_close(bank.batch([k]).pooled[0], shares @ vectors / shares.sum())


def test_a_word_never_seen_in_fitting_counts_as_the_rarest() -> None:
    assert fit().token_idf(["red", "heron"]) == pytest.approx([math.log(4 / 3) + 1, math.log(4) + 1])


def test_weighted_sentences_count_everywhere() -> None:
    texts = [TEXTS[0], [Sentence(TEXTS[1][0], 0.5), Sentence(TEXTS[1][1], 2.0)], TEXTS[2]]
    text, plain = fit().bank(texts).batch([1, 2]), make().batch([1, 2])
    assert text.weight[0].tolist() == [0.25] * 4 + [1] * 2  # relative to the heaviest
    assert text.weight[1].tolist() == [1] * 5 + [0]
    counts = TFIDF.counts(TEXTS[1]).toarray()
    np.testing.assert_allclose(text.tfidf[0], TFIDF.weights(np.array([[0.25, 1]]) @ counts)[0], atol=1e-6)
    again = fit().bank([TEXTS[0], TEXTS[1][:1] + TEXTS[1][1:] * 4, TEXTS[2]]).batch([1])
    torch.testing.assert_close(text.pooled[0], again.pooled[0])  # one half and two are as one and four
    assert not torch.allclose(text.pooled[0], plain.pooled[0], atol=1e-3)


@pytest.mark.parametrize("factor", [1e-6, 0.2, 1 / 3, 0.36, 1e6])
def test_a_common_factor_of_the_weights_changes_nothing(factor: float) -> None:
    scaled = [[Sentence(sentence, factor) for sentence in text] for text in TEXTS]
    one, other = (fit().bank(texts).batch([0, 1, 2]) for texts in (TEXTS, scaled))
    assert torch.equal(one.tfidf, other.tfidf)
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.pooled, other.pooled)


def test_the_lighter_a_sentence_the_less_its_words_count_down_to_nothing() -> None:
    def weighted(weight: float) -> np.ndarray:
        text = [TEXTS[1][0], *([Sentence(TEXTS[1][1], weight)] if weight else [])]
        return fit().bank([TEXTS[0], text, TEXTS[2]]).batch([1]).tfidf[0].numpy()

    wing = TFIDF.vocabulary.index("wing")  # in the second sentence alone
    values = [weighted(weight)[wing] for weight in (0.0, 1e-6, 1e-3, 0.1, 0.3, 0.36, 0.37, 0.5, 1.0)]
    assert values == sorted(values) and values[0] == 0 and values[1] > 0
    np.testing.assert_allclose(weighted(1e-6), weighted(0.0), atol=1e-5)


def test_paragraphs_are_one_piece_and_take_no_weights() -> None:
    fitted = fit(context="paragraph")
    text = fitted.bank(TEXTS).batch([1])
    assert text.words == [["blue", "crown", "long", "bill", "red", "wing"]]
    np.testing.assert_allclose(text.tfidf, TFIDF.transform([TEXTS[1]]), atol=1e-6)
    with pytest.raises(N3Error, match="text.context"):
        fitted.bank([["Red.", Sentence("Blue.", 2.0)]])


def test_what_a_pipeline_leaves_out_or_cuts() -> None:
    def text(k: int, **settings: object) -> Text:
        return make(**settings).batch([k])

    assert text(0).words == [["red", "tail"]]  # its other sentence has no token
    assert text(1, max_tokens=3).words == [["blue", "crown", "long"]]
    assert text(1, max_tokens=3).tokens.shape == (1, 3, 8)
    assert text(1, pooling="sentence").words == [TEXTS[1]]
    assert text(1, pooling="sentence").tokens.shape == (1, 2, 8)
    assert text(1, tfidf=False).tfidf.shape == (1, 0)


def test_a_stored_pipeline_reads_the_same() -> None:
    fitted = fit(ngrams=2)
    stored = json.loads(json.dumps(fitted.to_dict()))
    again = TextPipeline.from_dict(stored, fitted.encoder, fitted.config)
    one, other = (p.bank([["Red crown, tiny bill."]]).batch([0]) for p in (fitted, again))
    assert torch.equal(one.pooled, other.pooled) and torch.equal(one.tfidf, other.tfidf)


@pytest.mark.parametrize(
    "change",
    [
        {"idf": [1.0]},
        {"idf": None},
        {"ngrams": 0},
        {"vocabulary": 3},
        {"idf": "ab"},
        {"vocabulary": ["a"] * 9},
    ],
)
def test_stored_frequencies_that_are_damaged(change: dict) -> None:
    fitted = fit()
    stored = fitted.to_dict()
    for part in ({"idf": 3}, {"tfidf": {}}, {"tfidf": stored["tfidf"] | change}):
        with pytest.raises(N3Error, match="damaged"):
            TextPipeline.from_dict(stored | part, fitted.encoder, fitted.config)


def test_words_that_the_seen_classes_have() -> None:
    assert fit().met(["The heron has a RED bill."]) == {"heron": False, "red": True, "bill": True}


@pytest.mark.parametrize(
    ("word", "near"),
    [("bil", "bill"), ("gray", "grey"), ("streaky", "streaked"), ("xylophone", ""), ("re", "red")],
)
def test_the_known_word_that_is_nearest(word: str, near: str) -> None:
    texts = [["Its bill is red, its grey back streaked."], ["A red bird with a bill."]]
    assert TextPipeline.fit(WordEncoder(8), texts, TextConfig()).nearest(word) == near


class Deaf(WordEncoder):
    """Finds no word in anything."""

    def encode(self, sentences):
        return super().encode(["" for _ in sentences])


@pytest.mark.parametrize("context", ["sentence", "paragraph"])
@pytest.mark.parametrize(
    ("texts", "names", "word"),
    [
        ([["A bird."], ["?!"]], (), "'1'"),
        ([["A bird."], ["?!"]], ("owl", "wren"), "'wren'"),
        ([["A bird."], []], ("owl", "wren"), "'wren'"),
        (["A red bird.", "A blue bird."], (), "string"),
    ],
)
def test_descriptions_that_say_nothing_or_are_strings(context, texts, names, word) -> None:
    with pytest.raises(N3Error, match=word):
        fit(context=context).bank(texts, names=names)


def test_other_ways_in_refuse_strings_and_silence_too() -> None:
    encoder = Deaf(8)
    encoder.name = "deaf"
    for read, word in (
        (lambda: fit(encoder).bank(TEXTS), "deaf .*'0'"),
        (lambda: TextPipeline.fit(encoder, ["A red bird."], TextConfig()), "string"),
        (lambda: encode_texts(encoder, ["A red bird."]), "string"),
    ):
        with pytest.raises(N3Error, match=word):
            read()

"""The bank hands out the texts of classes: whole, cut, or with sentences left out."""

import json
import math

import numpy as np
import pytest
import torch

from n3lib.data.texts import Sentence
from n3lib.io.errors import N3Error
from n3lib.text.bank import TextBank
from n3lib.text.cache import encode_texts
from n3lib.text.pipeline import TextConfig, TextPipeline
from n3lib.text.tfidf import TfIdf
from n3lib.text.tokens import TokenEncoder
from n3lib.text.words import WordEncoder

TEXTS = [
    ["Red tail.", "..."],
    ["Blue crown, long bill.", "Red wing."],
    ["Green.", "Blue tail.", "Long crown."],
]
TFIDF = TfIdf.fit(TEXTS)


def reader(encoder: TokenEncoder | None = None, **settings: object) -> TextPipeline:
    return TextPipeline.fit(encoder or WordEncoder(8), TEXTS, TextConfig(**settings))


def make(**settings: object) -> TextBank:
    return reader(**settings).bank(TEXTS)


def test_a_batch_is_the_words_of_its_classes_in_order() -> None:
    encoder, text = WordEncoder(8), make().batch([2, 0])
    assert text.words == [["green", "blue", "tail", "long", "crown"], ["red", "tail"]]
    assert text.mask.tolist() == [[True] * 5, [True] * 2 + [False] * 3]
    for row, words in enumerate(text.words):
        expected = torch.cat([one.embeddings for one in encoder.encode(words)]).float()
        assert torch.equal(text.tokens[row, : len(words)], expected)
    assert text.tokens[1, 2:].eq(0).all()
    np.testing.assert_allclose(text.tfidf, TFIDF.transform([TEXTS[2], TEXTS[0]]), atol=1e-6)
    assert len(text) == 2


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
    fitted = reader()
    assert fitted.token_idf(["red", "heron"]) == pytest.approx([math.log(4 / 3) + 1, math.log(4) + 1])


def test_weighted_sentences_count_everywhere() -> None:
    texts = [TEXTS[0], [Sentence(TEXTS[1][0], 0.5), Sentence(TEXTS[1][1], 2.0)], TEXTS[2]]
    text, plain = reader().bank(texts).batch([1, 2]), make().batch([1, 2])
    assert text.weight[0].tolist() == [0.25] * 4 + [1] * 2  # relative to the heaviest
    assert text.weight[1].tolist() == [1] * 5 + [0]
    counts = TFIDF.counts(TEXTS[1]).toarray()
    np.testing.assert_allclose(text.tfidf[0], TFIDF.weights(np.array([[0.25, 1]]) @ counts)[0], atol=1e-6)
    again = reader().bank([TEXTS[0], TEXTS[1][:1] + TEXTS[1][1:] * 4, TEXTS[2]]).batch([1])
    torch.testing.assert_close(text.pooled[0], again.pooled[0])  # one half and two are as one and four
    assert not torch.allclose(text.pooled[0], plain.pooled[0], atol=1e-3)


@pytest.mark.parametrize("factor", [1e-6, 0.2, 1 / 3, 0.36, 1e6])
def test_a_common_factor_of_the_weights_changes_nothing(factor: float) -> None:
    scaled = [[Sentence(sentence, factor) for sentence in text] for text in TEXTS]
    one, other = (reader().bank(texts).batch([0, 1, 2]) for texts in (TEXTS, scaled))
    assert torch.equal(one.tfidf, other.tfidf)
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.pooled, other.pooled)


def test_the_lighter_a_sentence_the_less_its_words_count_down_to_nothing() -> None:
    def weighted(weight: float) -> np.ndarray:
        text = [TEXTS[1][0], *([Sentence(TEXTS[1][1], weight)] if weight else [])]
        return reader().bank([TEXTS[0], text, TEXTS[2]]).batch([1]).tfidf[0].numpy()

    wing = TFIDF.vocabulary.index("wing")  # in the second sentence alone
    values = [weighted(weight)[wing] for weight in (0.0, 1e-6, 1e-3, 0.1, 0.3, 0.36, 0.37, 0.5, 1.0)]
    assert values == sorted(values) and values[0] == 0 and values[1] > 0
    np.testing.assert_allclose(weighted(1e-6), weighted(0.0), atol=1e-5)


def test_paragraphs_are_one_piece_and_take_no_weights() -> None:
    fitted = reader(context="paragraph")
    text = fitted.bank(TEXTS).batch([1])
    assert text.words == [["blue", "crown", "long", "bill", "red", "wing"]]
    np.testing.assert_allclose(text.tfidf, TFIDF.transform([TEXTS[1]]), atol=1e-6)
    with pytest.raises(N3Error, match="sentences have weights.*text.context"):
        fitted.bank([["Red.", Sentence("Blue.", 2.0)]])


def test_without_the_lexical_path_there_are_no_words_of_it() -> None:
    assert make(tfidf=False).batch([0, 1]).tfidf.shape == (2, 0)


def test_a_stored_reader_reads_the_same() -> None:
    fitted = reader(ngrams=2)
    stored = json.loads(json.dumps(fitted.to_dict()))
    again = TextPipeline.from_dict(stored, fitted.encoder, fitted.config)
    one, other = (r.bank([["Red crown, tiny bill."]]).batch([0]) for r in (fitted, again))
    assert torch.equal(one.pooled, other.pooled) and torch.equal(one.tfidf, other.tfidf)
    with pytest.raises(N3Error, match="stored word frequencies are damaged"):
        TextPipeline.from_dict(stored | {"idf": 3}, fitted.encoder, fitted.config)


def test_choose_is_a_batch_in_another_order() -> None:
    chosen, batch = make().batch([0, 1, 2]).choose([2, 0]), make().batch([2, 0])
    assert chosen.words == batch.words
    assert torch.equal(chosen.pooled, batch.pooled)
    assert torch.equal(chosen.mask[:, : batch.mask.shape[1]], batch.mask)


def test_long_texts_are_cut() -> None:
    text = make(max_tokens=3).batch([0, 1])
    assert text.words == [["red", "tail"], ["blue", "crown", "long"]]
    assert text.tokens.shape == (2, 3, 8)


def test_one_token_a_sentence() -> None:
    text = make(pooling="sentence").batch([1])
    assert text.words == [["Blue crown, long bill.", "Red wing."]]
    assert text.tokens.shape == (1, 2, 8)


def test_a_class_without_words_is_refused() -> None:
    with pytest.raises(N3Error, match="'1'"):
        reader().bank([["A bird."], ["?!"]])
    with pytest.raises(N3Error, match="'wren'"):
        reader().bank([["A bird."], ["?!"]], names=["owl", "wren"])


@pytest.mark.parametrize("context", ["sentence", "paragraph"])
def test_a_string_is_no_sequence_of_sentences(context: str) -> None:
    fitted = reader(context=context)
    for read in (
        lambda: fitted.bank(["A red bird.", "A blue bird."]),
        lambda: TextPipeline.fit(fitted.encoder, ["A red bird.", "A blue bird."], fitted.config),
        lambda: encode_texts(fitted.encoder, ["A red bird."]),
    ):
        with pytest.raises(N3Error, match="string"):
            read()


def test_parts_hold_every_description_once_and_few_tokens() -> None:
    bank = reader().bank([["Red."], ["Blue red green tail wing bill."], ["Red tail."], ["Green."]])
    text = bank.batch([0, 1, 2, 3])
    assert text.parts(24) == [[0, 1, 2, 3]]  # 4 descriptions of 6 tokens with their padding
    assert text.parts(3) == [[1], [2], [0, 3]]


def test_an_encoder_that_finds_no_word_is_told() -> None:
    class Deaf(WordEncoder):
        def encode(self, sentences):
            return super().encode(["" for _ in sentences])

    encoder = Deaf(8)
    encoder.name = "deaf"
    assert isinstance(encoder, TokenEncoder)
    with pytest.raises(N3Error, match="deaf .*'0'"):
        reader(encoder).bank(TEXTS)

"""The bank hands out the texts of classes: whole, cut, or with sentences left out."""

import numpy as np
import pytest
import torch

from n3lib.errors import N3Error
from n3lib.text.bank import TextBank
from n3lib.text.encoders import TokenEncoder
from n3lib.text.tfidf import TfIdf
from n3lib.text.words import WordEncoder

TEXTS = [
    ["Red tail.", "..."],
    ["Blue crown, long bill.", "Red wing."],
    ["Green.", "Blue tail.", "Long crown."],
]
TFIDF = TfIdf.fit(TEXTS)


def make(**settings: object) -> TextBank:
    return TextBank(TEXTS, WordEncoder(8), TFIDF, **settings)


def test_a_batch_is_the_words_of_its_classes_in_order() -> None:
    encoder, text = WordEncoder(8), make().batch([2, 0])
    assert text.words == [["green", "blue", "tail", "long", "crown"], ["red", "tail"]]
    assert text.mask.tolist() == [[True] * 5, [True] * 2 + [False] * 3]
    for row, words in enumerate(text.words):
        expected = torch.cat([one.embeddings for one in encoder.encode(words)]).float()
        assert torch.equal(text.tokens[row, : len(words)], expected)
    assert text.tokens[1, 2:].eq(0).all()
    np.testing.assert_allclose(text.lexical, TFIDF.transform([TEXTS[2], TEXTS[0]]), atol=1e-6)
    assert len(text) == 2


def test_pooled_is_the_mean_over_real_tokens_whatever_the_padding_holds() -> None:
    text = make().batch([0, 1])
    expected = torch.stack([text.tokens[0, :2].mean(0), text.tokens[1].mean(0)])
    text.tokens[0, 2:] = 99.0
    torch.testing.assert_close(text.pooled(), expected)


def test_long_texts_are_cut() -> None:
    text = make(max_tokens=3).batch([0, 1])
    assert text.words == [["red", "tail"], ["blue", "crown", "long"]]
    assert text.tokens.shape == (2, 3, 8)


def test_sentence_dropout_keeps_whole_sentences_and_at_least_one_that_speaks() -> None:
    bank, rng, found = make(), np.random.default_rng(0), set()
    for _ in range(60):
        text = bank.batch([0, 2], rng, drop=0.8)
        assert text.words[0] == ["red", "tail"]  # its other sentence says nothing
        assert text.mask.any(1).all()
        words = text.words[1]
        found.add(" ".join(words))
        np.testing.assert_allclose(text.lexical[1], TFIDF.transform([[" ".join(words)]])[0], atol=1e-6)
    sentences = ["green", "blue tail", "long crown"]
    kept = {" ".join(s for i, s in enumerate(sentences) if pick >> i & 1) for pick in range(1, 8)}
    assert found >= set(sentences)
    assert found <= kept


def test_one_token_a_sentence() -> None:
    text = make(pooling="sentence").batch([1])
    assert text.words == [["Blue crown, long bill.", "Red wing."]]
    assert text.tokens.shape == (1, 2, 8)


def test_a_class_without_words_is_refused() -> None:
    with pytest.raises(N3Error, match="class '1' has an empty description"):
        TextBank([["A bird."], ["?!"]], WordEncoder(8), TFIDF)


def test_an_encoder_that_finds_no_word_is_told() -> None:
    class Deaf(WordEncoder):
        def encode(self, sentences):
            return super().encode(["" for _ in sentences])

    encoder = Deaf(8)
    encoder.name = "deaf"
    assert isinstance(encoder, TokenEncoder)
    with pytest.raises(N3Error, match="deaf finds no word in the description of class 0"):
        TextBank(TEXTS, encoder, TFIDF)

"""A bank hands out the texts of classes: any of them, in any order, in parts."""

import pytest
import torch

from n3lib.text.bank import TextBank
from n3lib.text.pipeline import TextConfig, TextPipeline
from n3lib.text.words import WordEncoder

TEXTS = [["Red."], ["Blue red green tail wing bill."], ["Red tail."], ["Green."]]


@pytest.fixture
def bank() -> TextBank:
    return TextPipeline.fit(WordEncoder(8), TEXTS, TextConfig()).bank(TEXTS)


def test_a_batch_is_the_words_of_its_classes_in_order(bank: TextBank) -> None:
    encoder, text = WordEncoder(8), bank.batch([1, 2])
    assert text.words == [["blue", "red", "green", "tail", "wing", "bill"], ["red", "tail"]]
    assert (text.weight > 0).tolist() == [[True] * 6, [True] * 2 + [False] * 4]
    for row, words in enumerate(text.words):
        expected = torch.cat([one.embeddings for one in encoder.encode(words)]).float()
        assert torch.equal(text.tokens[row, : len(words)], expected)
    assert text.tokens[1, 2:].eq(0).all()
    assert torch.equal(text.tfidf, bank.tfidf[[1, 2]])
    assert torch.equal(text.pooled, bank.pooled[[1, 2]])
    assert (len(text), len(bank)) == (2, 4)


def test_a_batch_of_a_batch_in_another_order(bank: TextBank) -> None:
    chosen, batch = bank.batch([0, 1, 2]).batch([2, 0]).to("cpu"), bank.batch([2, 0])
    assert chosen.words == batch.words
    assert torch.equal(chosen.pooled, batch.pooled) and torch.equal(chosen.tfidf, batch.tfidf)
    assert torch.equal(chosen.weight, batch.weight) and torch.equal(chosen.tokens, batch.tokens)


def test_parts_hold_every_description_once_and_few_tokens(bank: TextBank) -> None:
    text = bank.batch([0, 1, 2, 3])
    assert text.parts(24) == [[0, 1, 2, 3]]  # 4 descriptions of 6 tokens with their padding
    assert text.parts(3) == [[1], [2], [0, 3]]


@pytest.mark.parametrize("tfidf", [True, False])
def test_similarity_is_the_cosine_of_centered_rows(tfidf: bool) -> None:
    bank = TextPipeline.fit(WordEncoder(8), TEXTS, TextConfig(tfidf=tfidf)).bank(TEXTS)
    rows = bank.tfidf if tfidf else bank.pooled
    found = bank.similarity([0, 1, 3])
    assert found.shape == (3, 3) and torch.allclose(found.diagonal(), torch.ones(3))
    a, b = (rows[k] - rows[[0, 1, 3]].mean(0) for k in (0, 3))
    torch.testing.assert_close(found[0, 2], a @ b / a.norm() / b.norm())

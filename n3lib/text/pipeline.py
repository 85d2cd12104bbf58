"""The text pipeline: an encoder, and what was fitted to the descriptions of the seen classes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from os.path import commonprefix
from typing import Any, Literal

import numpy as np
import torch

from n3lib.data.texts import Sentence, check_sentences, check_text, sentence_weights
from n3lib.io import N3Error, Range, check_ranges
from n3lib.text.bank import Encoded, TextBank, TokenEncoder
from n3lib.text.cache import encode_cached, encode_texts
from n3lib.text.tfidf import TfIdf, inverse_document_frequency, stop_words


@dataclass(frozen=True)
class TextConfig:
    """How descriptions are encoded.

    Attributes:
        encoder: `words` (no download), `bert`, `glove:NAME`, `elmo:FOLDER`, or a transformers encoder by
            name or folder; see `n3lib.text.encoders.make_encoder`.
        context: what the encoder reads at once, and a contextual embedding depends on: each `sentence`, or
            the whole description as one `paragraph` (as the paper's BERT does).
        pooling: what Tokens2Label reads: `tokens`, or `sentence` for one mean embedding per sentence.
        max_tokens: L at most (512 in the paper); only Tokens2Label stops there.
        tfidf: whether the TF-IDF branch is used beside the encoder.
        ngrams: longest run of words that is a term of the TF-IDF branch.
        names: whether the name of a class is read as one more sentence of its description.
    """

    encoder: str = "words"
    context: Literal["sentence", "paragraph"] = "sentence"
    pooling: Literal["tokens", "sentence"] = "tokens"
    max_tokens: int = 512
    tfidf: bool = True
    ngrams: int = 1
    names: bool = False

    def __post_init__(self) -> None:
        # The longest of Wikipedia's articles have about ten thousand words.
        check_ranges(self, "text", max_tokens=Range(1, 100_000), ngrams=Range(1, 10))


@dataclass(frozen=True)
class TextPipeline:
    """Turns descriptions into what the model reads, as fitted for one run.

    Attributes:
        tfidf: vocabulary and weights of the TF-IDF branch; without terms where it is not used.
        idf: inverse document frequency of every token of the fitted texts.
        rare: that of a token in none of them.
    """

    encoder: TokenEncoder
    config: TextConfig
    tfidf: TfIdf
    idf: Mapping[str, float]
    rare: float

    @classmethod
    def fit(cls, encoder: TokenEncoder, texts: Sequence[Sequence[str]], config: TextConfig) -> "TextPipeline":
        """Learn words and their frequencies from the texts of the seen classes; no others may be given."""
        pieces = arranged(texts, config)
        tfidf = TfIdf.fit(texts, config.ngrams) if config.tfidf else TfIdf([], np.zeros(0))
        encoded = encode_texts(encoder, pieces)
        idf = inverse_document_frequency([{word for one in text for word in one.words} for text in encoded])
        return cls(encoder, config, tfidf, idf, math.log(1 + len(texts)) + 1)

    def bank(self, texts: Sequence[Sequence[str]], names: Sequence[str] = ()) -> TextBank:
        """Encode the texts of any classes, seen or not; each sentence once.

        A `Sentence` counts as much as its weight says, relative to the heaviest of its class. Errors name the
        classes by `names`, or else by number.

        Raises:
            N3Error: a class says nothing, or nothing that the encoder knows, a string instead of sentences,
                or weighted sentences where paragraphs are read as one.
        """
        if self.config.names and names:
            texts = [(*sentences, name) for name, sentences in zip(names, texts, strict=True)]
        names = names or [str(k) for k in range(len(texts))]
        for name, sentences in zip(names, texts, strict=True):
            check_text(name, sentences)
        pieces = arranged(texts, self.config)
        return self.assemble(pieces, encode_texts(self.encoder, pieces), names)

    def assemble(
        self, pieces: Sequence[Sequence[str]], encoded: Sequence[Sequence[Encoded]], names: Sequence[str]
    ) -> TextBank:
        """What the model reads of classes whose `arranged` texts are encoded; differentiable in embeddings.

        Raises:
            N3Error: a class says nothing that the encoder knows.
        """
        read = [self._read(*one) for one in zip(names, pieces, encoded, strict=True)]
        tokens, weights, words, sums, rows = map(list, zip(*read, strict=True))
        summed, tfidf = torch.stack(sums), torch.from_numpy(np.stack(rows))  # (K, e + 1), (K, V)
        return TextBank(tokens, weights, summed[:, :-1] / summed[:, -1:], tfidf, words)

    def _read(self, name: str, sentences: Sequence[str], encoded: Sequence[Encoded]) -> tuple[Any, ...]:
        """Of one class: tokens, their weights, words, sums for the mean, TF-IDF row."""
        # Sentences without any token count nowhere.
        spoken = [pair for pair in zip(sentences, encoded, strict=True) if pair[1].words]
        if not spoken:
            problem = f"{self.encoder.name} finds no word in the description of class {name!r}"
            raise N3Error(problem, "Reword it")
        sentences, encoded = zip(*spoken, strict=True)
        weights = np.array(sentence_weights(sentences))
        weights /= weights.max()  # (S,)
        sums = []  # of each sentence: its embeddings by inverse document frequency, and this frequency
        for one in encoded:
            idf = torch.tensor(self.token_idf(one.words))  # (L,)
            sums.append(torch.cat([idf @ one.embeddings.float(), idf.sum()[None]]))
        counts = self.tfidf.counts(sentences).T @ weights  # (V,)
        if self.config.pooling == "sentence":
            means = (one.embeddings.float().mean(0, keepdim=True).to(one.embeddings) for one in encoded)
            encoded = [Encoded(mean, [text]) for mean, text in zip(means, sentences, strict=True)]
        most = self.config.max_tokens
        token_weights = np.repeat(weights, [len(one.words) for one in encoded])[:most]
        return (
            torch.cat([one.embeddings for one in encoded])[:most],
            torch.from_numpy(token_weights).float(),
            [word for one in encoded for word in one.words][:most],
            torch.from_numpy(weights).float() @ torch.stack(sums),
            self.tfidf.weights(counts[None])[0],
        )

    def token_idf(self, words: Sequence[str]) -> list[float]:
        """The inverse document frequency of each token."""
        return [self.idf.get(word, self.rare) for word in words]

    def met(self, sentences: Sequence[str]) -> dict[str, bool]:
        """For each token of a description, stop words aside, whether the texts of the seen classes have it.

        A token that they lack was not trained: TF-IDF ignores it; its embedding is read, but says no more
        than the encoder does (of the encoder `words`: nothing).
        """
        (text,) = arranged([sentences], self.config)
        passed_over = stop_words()
        tokens = (word for one in encode_cached(self.encoder, text) for word in one.words)
        return {word: word in self.idf for word in tokens if word not in passed_over}

    def nearest(self, word: str) -> str:
        """The word of the seen classes' texts that is spelled most like this one; empty if none is near.

        Near is a small edit, or else the same beginning, of five letters or more: an ending differs.
        """
        if close := get_close_matches(word, self.idf, 1, 0.75):
            return close[0]
        begins = max(self.idf, key=lambda one: len(commonprefix([one, word])), default="")
        return begins if len(commonprefix([begins, word])) >= 5 else ""

    def to_dict(self) -> dict[str, Any]:
        """What was fitted, as plain values."""
        return {"tfidf": self.tfidf.to_dict(), "idf": dict(self.idf), "rare": self.rare}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], encoder: TokenEncoder, config: TextConfig) -> "TextPipeline":
        """What `to_dict` gave, else an `N3Error`, with the encoder and settings that it was fitted with."""
        try:
            idf = {str(word): float(weight) for word, weight in value["idf"].items()}
            return cls(encoder, config, TfIdf.from_dict(value["tfidf"]), idf, float(value["rare"]))
        except (ArithmeticError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise N3Error(f"the stored word frequencies are damaged ({error})", "Train again") from None


def arranged(texts: Sequence[Sequence[str]], config: TextConfig) -> Sequence[Sequence[str]]:
    """Texts in the pieces that are encoded at once; an `N3Error` for weighted sentences in a paragraph."""
    for k, text in enumerate(texts):
        check_sentences(str(k), text)
    if config.context == "sentence":
        return texts
    if any(isinstance(sentence, Sentence) for text in texts for sentence in text):
        problem = "sentences have weights, but descriptions are read as whole paragraphs"
        raise N3Error(problem, "Set text.context to sentence, or leave the weights out")
    return [[" ".join(text)] for text in texts]

"""How descriptions are read: an encoder, and what was learned of words from the seen classes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from n3lib.data.dataset import Sentence, check_sentences
from n3lib.io.errors import N3Error
from n3lib.io.ranges import Range, check_ranges
from n3lib.text.bank import TextBank
from n3lib.text.cache import encode_cached, encode_texts
from n3lib.text.tfidf import TfIdf, inverse_document_frequency, stop_words
from n3lib.text.tokens import TokenEncoder

MOST_TOKENS = 100_000  # the longest of Wikipedia's articles have some ten thousand words


@dataclass(frozen=True)
class TextConfig:
    """How descriptions are read.

    Attributes:
        encoder: `words` (no download), `bert`, `glove:NAME`, `elmo:FOLDER`, or a transformers encoder by
            name or folder; see `n3lib.text.encoders.make_encoder`.
        context: what the encoder reads at once, and a contextual embedding depends on: each `sentence`, or
            the whole description as one `paragraph` (as the paper's BERT does).
        pooling: what Tokens2Label reads: `tokens`, or `sentence` for one mean embedding a sentence.
        max_tokens: L at most (512 in the paper); only Tokens2Label stops there.
        lexical: whether the TF-IDF path is used beside the encoder.
        ngrams: longest run of words that is a word of the lexical path.
    """

    encoder: str = "words"
    context: Literal["sentence", "paragraph"] = "sentence"
    pooling: Literal["tokens", "sentence"] = "tokens"
    max_tokens: int = 512
    lexical: bool = True
    ngrams: int = 1

    def __post_init__(self) -> None:
        check_ranges(self, "text", max_tokens=Range(1, MOST_TOKENS), ngrams=Range(1, 10))


@dataclass(frozen=True)
class Reader:
    """Reads descriptions as the run that it was fitted for does.

    Attributes:
        encoder: gives token embeddings, frozen.
        config: see `TextConfig`.
        tfidf: vocabulary and weights of the lexical path; without words where it is not used.
        idf: inverse document frequency of every token of the fitted texts.
        rare: that of a token in none of them.
    """

    encoder: TokenEncoder
    config: TextConfig
    tfidf: TfIdf
    idf: Mapping[str, float]
    rare: float

    @classmethod
    def fit(
        cls,
        encoder: TokenEncoder,
        texts: Sequence[Sequence[str]],
        config: TextConfig,
        cache: Path | None = None,
    ) -> "Reader":
        """Learn words and their frequencies from the texts of the seen classes; no others may be given."""
        pieces = arranged(texts, config)
        tfidf = TfIdf.fit(texts, config.ngrams) if config.lexical else TfIdf.empty()
        tokens = [
            {word for one in encoded for word in one.words}
            for encoded in encode_texts(encoder, pieces, cache)
        ]
        return cls(encoder, config, tfidf, inverse_document_frequency(tokens), math.log(1 + len(texts)) + 1)

    def bank(
        self, texts: Sequence[Sequence[str]], cache: Path | None = None, names: Sequence[str] = ()
    ) -> TextBank:
        """The texts of any classes, seen or not, encoded.

        Args:
            texts: sentences of each class.
            cache: folder of the token cache.
            names: of the classes, for errors; numbers by default.

        Raises:
            N3Error: an empty text, a string instead of sentences, or weighted sentences where paragraphs are
                read as one.
        """
        return TextBank(arranged(texts, self.config, names), self, cache, names)

    def token_idf(self, words: Sequence[str]) -> list[float]:
        """The inverse document frequency of each token."""
        return [self.idf.get(word, self.rare) for word in words]

    def met(self, sentences: Sequence[str]) -> dict[str, bool]:
        """For each token of a description, stop words aside, whether the texts of the seen classes have it.

        Of a token that they lack, training told nothing. TF-IDF passes over it; its embedding is read, but
        says no more than the encoder does (of the encoder `words`: nothing).
        """
        (text,) = arranged([sentences], self.config)
        passed_over = set(stop_words())
        tokens = (word for one in encode_cached(self.encoder, text) for word in one.words)
        return {word: word in self.idf for word in tokens if word not in passed_over}

    def to_dict(self) -> dict[str, Any]:
        """What was fitted, as plain values."""
        return {"tfidf": self.tfidf.to_dict(), "idf": dict(self.idf), "rare": self.rare}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], encoder: TokenEncoder, config: TextConfig) -> "Reader":
        """What `to_dict` gave, with the encoder and settings that it was fitted with.

        Raises:
            N3Error: it is not that.
        """
        try:
            idf = {str(word): float(weight) for word, weight in value["idf"].items()}
            return cls(encoder, config, TfIdf.from_dict(value["tfidf"]), idf, float(value["rare"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise N3Error(f"the stored word frequencies are damaged ({error})", "Train again") from None


def arranged(
    texts: Sequence[Sequence[str]], config: TextConfig, names: Sequence[str] = ()
) -> Sequence[Sequence[str]]:
    """Texts in the pieces that are encoded at once.

    Raises:
        N3Error: a string instead of sentences, or weighted sentences where paragraphs are read as one.
    """
    for name, text in zip(names or map(str, range(len(texts))), texts, strict=False):
        check_sentences(name, text)
    if config.context == "sentence":
        return texts
    if any(isinstance(sentence, Sentence) for text in texts for sentence in text):
        raise N3Error(
            "sentences have weights, but descriptions are read as whole paragraphs",
            "Set text.context to sentence, or leave the weights out",
        )
    return [[" ".join(text)] for text in texts]

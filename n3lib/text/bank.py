"""The descriptions of a dataset's classes, encoded once and handed to the model in batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from n3lib.data.base import check_text
from n3lib.errors import N3Error
from n3lib.text.cache import encode_texts
from n3lib.text.encoders import TokenEncoder
from n3lib.text.tfidf import TfIdf


@dataclass
class Text:
    """The descriptions of K classes as the model reads them (paper: d_{k,l}).

    Attributes:
        tokens: token embeddings, zero where padded.
        mask: True where a token stands.
        lexical: TF-IDF weights of the whole description, unit rows; V is 0 without a vocabulary.
        words: the tokens as text.
    """

    tokens: Float[Tensor, "K L e"]
    mask: Bool[Tensor, "K L"]
    lexical: Float[Tensor, "K V"]
    words: list[list[str]]

    def to(self, device: torch.device | str) -> "Text":
        """The same on another device."""
        return Text(self.tokens.to(device), self.mask.to(device), self.lexical.to(device), self.words)

    def __len__(self) -> int:
        return len(self.tokens)

    def pooled(self) -> Float[Tensor, "K e"]:
        """The mean token embedding of each class."""
        return (self.tokens * self.mask[:, :, None]).sum(1) / self.mask.sum(1, keepdim=True).clamp_min(1)


class TextBank:
    """Encodes each sentence once; a batch is then a choice of sentences.

    Args:
        texts: sentences of each class.
        encoder: gives token embeddings, frozen.
        tfidf: fitted vocabulary of the lexical path.
        pooling: `tokens`, or `sentence` for one embedding a sentence.
        max_tokens: L at most; what goes beyond is cut off (the paper's 512).
        cache: folder of the token cache.
    """

    def __init__(
        self,
        texts: Sequence[Sequence[str]],
        encoder: TokenEncoder,
        tfidf: TfIdf,
        pooling: str = "tokens",
        max_tokens: int = 512,
        cache: Path | None = None,
    ) -> None:
        for k, sentences in enumerate(texts):
            check_text(str(k), sentences)
        self.tfidf, self.width, self.max_tokens = tfidf, encoder.width, max_tokens
        self.encoded, self.counts = [], []  # counts: each (sentences, V)
        for k, found in enumerate(encode_texts(encoder, texts, pooling, cache)):
            # A sentence without any token would be an empty text once the others are left out.
            spoken = [s for s, one in enumerate(found) if len(one.embeddings)]
            if not spoken:
                raise N3Error(f"{encoder.name} finds no word in the description of class {k}", "Reword it")
            self.encoded.append([found[s] for s in spoken])
            self.counts.append(tfidf.counts([texts[k][s] for s in spoken]))
        self.whole = self._lexical(
            range(len(texts)), [np.arange(len(e)) for e in self.encoded]
        )  # (classes, V)

    def __len__(self) -> int:
        return len(self.encoded)

    def batch(
        self, classes: Sequence[int], rng: np.random.Generator | None = None, drop: float = 0.0
    ) -> Text:
        """The texts of these classes, in this order.

        Args:
            classes: positions in the bank.
            rng: source of the sentence dropout.
            drop: chance that a sentence is left out (at least one always stays): texts then vary in
                training as they do between authors.
        """
        kept = [self._keep(len(self.encoded[k]), rng, drop) for k in classes]
        pieces = [[self.encoded[k][s] for s in sentences] for k, sentences in zip(classes, kept, strict=True)]
        lengths = [min(self.max_tokens, sum(len(e.embeddings) for e in piece)) for piece in pieces]
        tokens = torch.zeros(len(classes), max(lengths), self.width)
        words = []
        for row, (piece, length) in enumerate(zip(pieces, lengths, strict=True)):
            tokens[row, :length] = torch.cat([e.embeddings for e in piece])[:length]
            words.append([w for e in piece for w in e.words][:length])
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]  # (K, L)
        lexical = torch.from_numpy(self._lexical(classes, None if drop == 0 else kept))
        return Text(tokens, mask, lexical, words)

    def _lexical(self, classes: Sequence[int], kept: list[np.ndarray] | None) -> np.ndarray:
        if kept is None:
            return self.whole[np.asarray(classes)]
        summed = [self.counts[k][s].sum(0) for k, s in zip(classes, kept, strict=True)]
        return self.tfidf.weights(np.asarray(np.concatenate(summed)))

    @staticmethod
    def _keep(count: int, rng: np.random.Generator | None, drop: float) -> np.ndarray:
        if rng is None or drop == 0:
            return np.arange(count)
        kept = np.flatnonzero(rng.random(count) >= drop)
        return kept if len(kept) else rng.integers(count, size=1)

"""The descriptions of a dataset's classes, encoded once and handed to the model in batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from n3lib.data.base import check_text
from n3lib.errors import N3Error
from n3lib.text.cache import encode_texts
from n3lib.text.tokens import Encoded

if TYPE_CHECKING:
    from n3lib.text.reader import Reader


@dataclass
class Text:
    """The descriptions of K classes as the model reads them (paper: d_{k,l}).

    Attributes:
        tokens: token embeddings, zero where padded.
        weight: of the sentence that a token stands in, 1 unless the data say otherwise; 0 where padded.
        pooled: mean embedding of all tokens, each counted by its inverse document frequency.
        lexical: TF-IDF weights of the whole description, unit rows; V is 0 without a vocabulary.
        words: the tokens as text.
    """

    tokens: Float[Tensor, "K L e"]
    weight: Float[Tensor, "K L"]
    pooled: Float[Tensor, "K e"]
    lexical: Float[Tensor, "K V"]
    words: list[list[str]]

    @property
    def mask(self) -> Bool[Tensor, "K L"]:
        """True where a token stands."""
        return self.weight > 0

    def to(self, device: torch.device | str) -> "Text":
        """The same on another device."""
        return self._each(lambda tensor: tensor.to(device), self.words)

    def choose(self, places: Sequence[int]) -> "Text":
        """The texts at these places, in this order."""
        at = torch.as_tensor(places, device=self.tokens.device)
        return self._each(lambda tensor: tensor[at], [self.words[p] for p in places])

    def _each(self, change: Callable[[Tensor], Tensor], words: list[list[str]]) -> "Text":
        tensors = (self.tokens, self.weight, self.pooled, self.lexical)
        tokens, weight, pooled, lexical = map(change, tensors)
        return Text(tokens, weight, pooled, lexical, words)

    def __len__(self) -> int:
        return len(self.tokens)


class TextBank:
    """Encodes each sentence once; a batch is then a choice of sentences.

    Args:
        texts: sentences of each class; a `Sentence` counts as much as its weight says.
        reader: how to read them.
        cache: folder of the token cache.

    Raises:
        N3Error: a class says nothing, or nothing that the encoder knows.
    """

    def __init__(
        self,
        texts: Sequence[Sequence[str]],
        reader: "Reader",
        cache: Path | None = None,
    ) -> None:
        for k, sentences in enumerate(texts):
            check_text(str(k), sentences)
        self.reader, self.width = reader, reader.encoder.width
        self.pieces: list[list[Encoded]] = []  # what the model reads of each sentence
        self.weights: list[np.ndarray] = []  # (S,)
        self.sums: list[Tensor] = []  # (S, e + 1): idf-weighted sum of the embeddings, and of the idf
        self.counts = []  # (S, V)
        for k, encoded in enumerate(encode_texts(reader.encoder, texts, cache)):
            # A sentence without any token would be an empty text once the others are left out.
            spoken = [s for s, one in enumerate(encoded) if len(one.embeddings)]
            if not spoken:
                raise N3Error(
                    f"{reader.encoder.name} finds no word in the description of class {k}", "Reword it"
                )
            self.weights.append(np.array([getattr(texts[k][s], "weight", 1.0) for s in spoken]))
            self.sums.append(torch.stack([self._sum(encoded[s]) for s in spoken]))
            self.pieces.append([self._piece(encoded[s], texts[k][s]) for s in spoken])
            self.counts.append(reader.tfidf.counts([texts[k][s] for s in spoken]))
        everything = [np.arange(len(w)) for w in self.weights]
        # What texts without dropout weigh never changes.
        self.whole_lexical = self._lexical(range(len(texts)), everything)  # (classes, V)
        self.whole_pooled = self._pooled(range(len(texts)), everything)  # (classes, e)

    def __len__(self) -> int:
        return len(self.pieces)

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
        kept = [self._keep(len(self.pieces[k]), rng, drop) for k in classes]
        most = self.reader.config.max_tokens
        pieces = [[self.pieces[k][s] for s in some] for k, some in zip(classes, kept, strict=True)]
        lengths = [min(most, sum(len(e.embeddings) for e in piece)) for piece in pieces]
        tokens = torch.zeros(len(classes), max(lengths), self.width)
        weight = torch.zeros(len(classes), max(lengths))
        words = []
        for row, (k, piece, length) in enumerate(zip(classes, pieces, lengths, strict=True)):
            tokens[row, :length] = torch.cat([e.embeddings for e in piece])[:length]
            repeats = [len(e.embeddings) for e in piece]
            weight[row, :length] = torch.from_numpy(np.repeat(self.weights[k][kept[row]], repeats)[:length])
            words.append([w for e in piece for w in e.words][:length])
        if drop:
            lexical, pooled = self._lexical(classes, kept), self._pooled(classes, kept)
        else:
            lexical, pooled = self.whole_lexical[list(classes)], self.whole_pooled[list(classes)]
        return Text(tokens, weight, pooled, torch.from_numpy(lexical), words)

    def similarity(self, classes: Sequence[int]) -> Float[Tensor, "C C"]:
        """How alike the descriptions are: cosines of their rows, centered on these classes.

        Of the lexical rows, or of the mean embeddings where there is no vocabulary.
        """
        lexical = torch.from_numpy(self.whole_lexical)
        rows = (lexical if lexical.shape[1] else self.whole_pooled)[list(classes)]
        rows = torch.nn.functional.normalize(rows - rows.mean(0), dim=1)
        return rows @ rows.T

    def _piece(self, encoded: Encoded, sentence: str) -> Encoded:
        if self.reader.config.pooling == "tokens":
            return encoded
        return Encoded(encoded.embeddings.float().mean(0, keepdim=True).half(), [sentence])

    def _sum(self, encoded: Encoded) -> Float[Tensor, "e_plus_1"]:
        idf = torch.tensor(self.reader.token_idf(encoded.words))  # (L,)
        return torch.cat([idf @ encoded.embeddings.float(), idf.sum()[None]])

    def _pooled(self, classes: Sequence[int], kept: list[np.ndarray]) -> Float[Tensor, "K e"]:
        rows = [
            torch.from_numpy(self.weights[k][s]).float() @ self.sums[k][s]
            for k, s in zip(classes, kept, strict=True)
        ]
        summed = torch.stack(rows)  # (K, e + 1)
        return summed[:, :-1] / summed[:, -1:]

    def _lexical(self, classes: Sequence[int], kept: list[np.ndarray]) -> np.ndarray:
        summed = [self.counts[k][s].T @ self.weights[k][s] for k, s in zip(classes, kept, strict=True)]
        return self.reader.tfidf.weights(np.stack(summed))

    @staticmethod
    def _keep(count: int, rng: np.random.Generator | None, drop: float) -> np.ndarray:
        if rng is None or drop == 0:
            return np.arange(count)
        kept = np.flatnonzero(rng.random(count) >= drop)
        return kept if len(kept) else rng.integers(count, size=1)

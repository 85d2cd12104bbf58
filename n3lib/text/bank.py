"""The descriptions of a dataset's classes, encoded once and handed to the model in batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from n3lib.data.dataset import check_text
from n3lib.io.errors import N3Error
from n3lib.text.cache import encode_texts
from n3lib.text.tokens import Encoded

if TYPE_CHECKING:
    from n3lib.text.reader import Reader


@dataclass
class Text:
    """The descriptions of K classes as the model reads them (paper: d_{k,l}).

    Tokens are kept without padding: one long description among many short ones costs no more than its length.

    Attributes:
        pieces: token embeddings of each class, `(L_k, e)`, float16 as encoded or float32.
        weights: for each token the weight of its sentence, `(L_k,)`: 1 unless the data say otherwise.
        pooled: mean embedding of all tokens, each counted by its inverse document frequency.
        lexical: TF-IDF weights of the whole description, unit rows; V is 0 without a vocabulary.
        words: the tokens as text.
    """

    pieces: list[Tensor]
    weights: list[Tensor]
    pooled: Float[Tensor, "K e"]
    lexical: Float[Tensor, "K V"]
    words: list[list[str]]

    @property
    def tokens(self) -> Float[Tensor, "K L e"]:
        """All token embeddings in float32, zero where padded."""
        return pad_sequence([piece.float() for piece in self.pieces], batch_first=True)

    @property
    def weight(self) -> Float[Tensor, "K L"]:
        """The weight of each token's sentence; 0 where padded."""
        return pad_sequence(self.weights, batch_first=True)

    @property
    def mask(self) -> Bool[Tensor, "K L"]:
        """True where there is a token."""
        return self.weight > 0

    def to(self, device: torch.device | str) -> "Text":
        """The same on another device."""
        return Text(
            [piece.to(device) for piece in self.pieces],
            [weight.to(device) for weight in self.weights],
            self.pooled.to(device),
            self.lexical.to(device),
            self.words,
        )

    def choose(self, places: Sequence[int]) -> "Text":
        """The texts at these places, in this order."""
        at = torch.as_tensor(places, device=self.pooled.device)
        return Text(
            [self.pieces[p] for p in places],
            [self.weights[p] for p in places],
            self.pooled[at],
            self.lexical[at],
            [self.words[p] for p in places],
        )

    def parts(self, most: int) -> list[list[int]]:
        """The places of the K descriptions in groups of like length, each of at most `most` padded tokens.

        All in order in one group where they fit; a description longer than `most` has a group to itself.
        """
        lengths = [len(piece) for piece in self.pieces]
        if len(lengths) * max(lengths) <= most:
            return [list(range(len(lengths)))]
        groups: list[list[int]] = []
        for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
            longest = lengths[groups[-1][0]] if groups else 0
            # At most half of a group is padding.
            if groups and longest <= min(2 * lengths[place], most // (len(groups[-1]) + 1)):
                groups[-1].append(place)
            else:
                groups.append([place])
        return groups

    def __len__(self) -> int:
        return len(self.pieces)


class TextBank:
    """Encodes each sentence once; a batch is then a choice of sentences.

    Args:
        texts: sentences of each class; a `Sentence` counts as much as its weight says, relative to the
            heaviest of its class.
        reader: how to read them.
        cache: folder of the token cache.
        names: of the classes, for errors; numbers by default.

    Raises:
        N3Error: a class says nothing, or nothing that the encoder knows.
    """

    def __init__(
        self,
        texts: Sequence[Sequence[str]],
        reader: "Reader",
        cache: Path | None = None,
        names: Sequence[str] = (),
    ) -> None:
        names = names or [str(k) for k in range(len(texts))]
        for name, sentences in zip(names, texts, strict=True):
            check_text(name, sentences)
        self.reader, self.width = reader, reader.encoder.width
        self.pieces: list[Tensor] = []  # what the model reads of each class, (T, e)
        self.words: list[list[str]] = []
        self.lengths: list[list[int]] = []  # tokens of each sentence
        self.weights: list[np.ndarray] = []  # (S,)
        self.sums: list[Tensor] = []  # (S, e + 1): idf-weighted sum of the embeddings, and of the idf
        self.counts = []  # (S, V)
        for name, sentences, encoded in zip(
            names, texts, encode_texts(reader.encoder, texts, cache), strict=True
        ):
            # A sentence without any token would be an empty text once the others are left out.
            spoken = [s for s, one in enumerate(encoded) if len(one.embeddings)]
            if not spoken:
                raise N3Error(
                    f"{reader.encoder.name} finds no word in the description of class {name!r}", "Reword it"
                )
            weights = np.array([getattr(sentences[s], "weight", 1.0) for s in spoken])
            self.weights.append(weights / weights.max())
            self.sums.append(torch.stack([self._sum(encoded[s]) for s in spoken]))
            pieces = [self._piece(encoded[s], sentences[s]) for s in spoken]
            self.pieces.append(torch.cat([piece.embeddings for piece in pieces]))
            self.words.append([word for piece in pieces for word in piece.words])
            self.lengths.append([len(piece.embeddings) for piece in pieces])
            self.counts.append(reader.tfidf.counts([sentences[s] for s in spoken]))
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
        kept = [self._keep(len(self.weights[k]), rng, drop) for k in classes]
        most = self.reader.config.max_tokens
        pieces, weights, words = [], [], []
        for k, some in zip(classes, kept, strict=True):
            weight = torch.from_numpy(np.repeat(self.weights[k], self.lengths[k])).float()  # (T,)
            piece, said = self.pieces[k], self.words[k]
            if len(some) < len(self.weights[k]):
                left = np.flatnonzero(
                    np.repeat(np.isin(np.arange(len(self.weights[k])), some), self.lengths[k])
                )
                piece, weight, said = piece[left], weight[left], [said[t] for t in left]
            pieces.append(piece[:most])
            weights.append(weight[:most])
            words.append(said[:most])
        if drop:
            lexical, pooled = self._lexical(classes, kept), self._pooled(classes, kept)
        else:
            lexical, pooled = self.whole_lexical[list(classes)], self.whole_pooled[list(classes)]
        return Text(pieces, weights, pooled, torch.from_numpy(lexical), words)

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
        weighted = np.empty((len(kept), len(self.reader.tfidf.vocabulary)), np.float32)
        for row, (k, s) in enumerate(zip(classes, kept, strict=True)):
            # Class by class: the float64 counts of ten thousand classes would take gigabytes.
            weighted[row] = self.reader.tfidf.weights((self.counts[k][s].T @ self.weights[k][s])[None])[0]
        return weighted

    @staticmethod
    def _keep(count: int, rng: np.random.Generator | None, drop: float) -> np.ndarray:
        if rng is None or drop == 0:
            return np.arange(count)
        kept = np.flatnonzero(rng.random(count) >= drop)
        return kept if len(kept) else rng.integers(count, size=1)

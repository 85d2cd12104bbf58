"""The descriptions of classes, encoded once and handed to the model in batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import sparse
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from n3lib.text.tfidf import TfIdf


@dataclass
class Text:
    """The descriptions of K classes as the model reads them (paper: d_{k,l}).

    Tokens are kept without padding: one long description among many short ones costs no more than its length.

    Attributes:
        pieces: token embeddings per class, `(L_k, e)`, float16 as encoded or float32.
        weights: per token the weight of its sentence, `(L_k,)`: 1 unless the data say otherwise.
        pooled: mean embedding of all tokens, weighted by inverse document frequency.
        tfidf: TF-IDF features of the whole description, unit rows; V is 0 without a vocabulary.
        words: the tokens as text.
    """

    pieces: list[Tensor]
    weights: list[Tensor]
    pooled: Float[Tensor, "K e"]
    tfidf: Float[Tensor, "K V"]
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
        pieces, weights = ([one.to(device) for one in some] for some in (self.pieces, self.weights))
        return Text(pieces, weights, self.pooled.to(device), self.tfidf.to(device), self.words)

    def choose(self, indices: Sequence[int]) -> "Text":
        """The texts at these indices, in this order."""
        at = torch.as_tensor(indices, device=self.pooled.device)
        pieces, weights = ([some[i] for i in indices] for some in (self.pieces, self.weights))
        return Text(pieces, weights, self.pooled[at], self.tfidf[at], [self.words[i] for i in indices])

    def parts(self, most: int) -> list[list[int]]:
        """The indices of the K descriptions in groups of like length, each of at most `most` padded tokens.

        One group in order if all fit; a description longer than `most` has a group to itself.
        """
        lengths = [len(piece) for piece in self.pieces]
        if len(lengths) * max(lengths) <= most:
            return [list(range(len(lengths)))]
        groups: list[list[int]] = []
        for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
            longest = lengths[groups[-1][0]] if groups else 0
            # At most half of a group is padding.
            if groups and longest <= min(2 * lengths[index], most // (len(groups[-1]) + 1)):
                groups[-1].append(index)
            else:
                groups.append([index])
        return groups

    def __len__(self) -> int:
        return len(self.pieces)


@dataclass(frozen=True, eq=False)
class Description:
    """The encoded description of one class: S sentences.

    Attributes:
        tokens: what Tokens2Label reads, `(T, e)`.
        words: the T tokens as text.
        lengths: tokens per sentence, `(S,)`.
        weights: weights of the sentences relative to the heaviest, `(S,)`.
        sums: per sentence the sum of all its embeddings by their inverse document frequencies, and the sum
            of these, `(S, e + 1)`.
        counts: how often each sentence has each term of the TF-IDF features.
    """

    tokens: Float[Tensor, "T e"]
    words: list[str]
    lengths: np.ndarray
    weights: np.ndarray
    sums: Float[Tensor, "S e_plus_1"]
    counts: sparse.csr_matrix

    def drop(self, rng: np.random.Generator, chance: float) -> "Description":
        """Leave out each sentence with this chance, but never all."""
        kept = rng.random(len(self.weights)) >= chance  # (S,)
        if not kept.any():
            kept[rng.integers(len(kept), size=1)] = True
        left = np.repeat(kept, self.lengths)  # (T,)
        return Description(
            self.tokens[left], [*compress(self.words, left)],
            self.lengths[kept], self.weights[kept], self.sums[kept], self.counts[kept],
        )  # fmt: skip


class TextBank:
    """The encoded descriptions of classes; a batch is a choice of classes and their sentences.

    Args:
        descriptions: of each class, as `n3lib.text.pipeline.TextPipeline.bank` encodes them.
        tfidf: vocabulary and weights of the TF-IDF features.
        max_tokens: L at most, see `n3lib.text.pipeline.TextConfig`.

    Attributes:
        whole_pooled: the mean embedding of each whole description, `(classes, e)`.
        whole_tfidf: the TF-IDF features of each whole description, float32 `(classes, V)`.
    """

    def __init__(self, descriptions: Sequence[Description], tfidf: TfIdf, max_tokens: int) -> None:
        self.descriptions, self.tfidf, self.max_tokens = list(descriptions), tfidf, max_tokens
        self.whole_pooled, self.whole_tfidf = self._pooled(descriptions), self._rows(descriptions)
        self.width = self.whole_pooled.shape[1]

    def __len__(self) -> int:
        return len(self.descriptions)

    def batch(
        self, classes: Sequence[int], rng: np.random.Generator | None = None, drop: float = 0.0
    ) -> Text:
        """The texts of these classes, in this order.

        Args:
            classes: indices in the bank.
            rng: source of the sentence dropout; None for whole texts.
            drop: chance that a sentence is left out (at least one always stays): texts then vary in
                training as they do between authors.
        """
        chosen = [self.descriptions[k] for k in classes]
        if rng is None or drop == 0:
            pooled, rows = self.whole_pooled[list(classes)], self.whole_tfidf[list(classes)]
        else:
            chosen = [description.drop(rng, drop) for description in chosen]
            pooled, rows = self._pooled(chosen), self._rows(chosen)
        most = self.max_tokens
        return Text(
            [one.tokens[:most] for one in chosen],
            [torch.from_numpy(np.repeat(one.weights, one.lengths)[:most]).float() for one in chosen],
            pooled,
            torch.from_numpy(rows),
            [one.words[:most] for one in chosen],
        )

    def similarity(self, classes: Sequence[int]) -> Float[Tensor, "C C"]:
        """How alike the descriptions are: cosines of their rows, centered on these classes.

        Of the TF-IDF features, or of the mean embeddings where there is no vocabulary.
        """
        rows = torch.from_numpy(self.whole_tfidf) if self.whole_tfidf.shape[1] else self.whole_pooled
        rows = rows[list(classes)]
        rows = torch.nn.functional.normalize(rows - rows.mean(0), dim=1)
        return rows @ rows.T

    @staticmethod
    def _pooled(descriptions: Sequence[Description]) -> Float[Tensor, "K e"]:
        summed = torch.stack([torch.from_numpy(one.weights).float() @ one.sums for one in descriptions])
        return summed[:, :-1] / summed[:, -1:]

    def _rows(self, descriptions: Sequence[Description]) -> np.ndarray:
        rows = np.empty((len(descriptions), len(self.tfidf.vocabulary)), np.float32)
        for k, one in enumerate(descriptions):
            # Class by class: the float64 counts of ten thousand classes would take gigabytes.
            rows[k] = self.tfidf.weights((one.counts.T @ one.weights)[None])[0]
        return rows

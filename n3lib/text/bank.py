"""Text on its way to the model: what an encoder gives of a sentence, and descriptions in batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True)
class Encoded:
    """One sentence as L tokens, which may be 0."""

    embeddings: Float[Tensor, "L e"]  # float16 as encoded
    words: list[str]  # the tokens as text


@runtime_checkable  # for the type checks of the tests
class TokenEncoder(Protocol):
    """A frozen text encoder.

    Attributes:
        name: which encoder, for people and records.
        revision: a hash that changes whenever the embeddings may change.
        width: numbers per token, e.
    """

    name: str
    revision: str
    width: int

    def encode(self, sentences: Sequence[str]) -> list[Encoded]:
        """Encode each sentence on its own and whole, however long, perhaps in windows; one `Encoded` each."""
        ...


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

    def to(self, device: torch.device | str) -> "Text":
        """The same on another device."""
        pieces, weights = ([one.to(device) for one in some] for some in (self.pieces, self.weights))
        return Text(pieces, weights, self.pooled.to(device), self.tfidf.to(device), self.words)

    def batch(self, indices: Sequence[int]) -> "Text":
        """The texts at these indices, in this order."""
        at = torch.as_tensor(indices, device=self.pooled.device)
        pieces, weights = ([some[i] for i in indices] for some in (self.pieces, self.weights))
        return Text(pieces, weights, self.pooled[at], self.tfidf[at], [self.words[i] for i in indices])

    def joined(self, other: "Text") -> "Text":
        """These texts, then the other ones."""
        pooled, tfidf = torch.cat([self.pooled, other.pooled]), torch.cat([self.tfidf, other.tfidf])
        words = [*self.words, *other.words]
        return Text([*self.pieces, *other.pieces], [*self.weights, *other.weights], pooled, tfidf, words)

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


class TextBank(Text):
    """The encoded descriptions of all classes of a dataset; a batch is a choice of them."""

    def similarity(self, classes: Sequence[int]) -> Float[Tensor, "C C"]:
        """How alike the descriptions are: cosines of their rows, centered on these classes.

        Of the TF-IDF features, or of the mean embeddings where there is no vocabulary.
        """
        rows = (self.tfidf if self.tfidf.shape[1] else self.pooled)[list(classes)]
        rows = torch.nn.functional.normalize(rows - rows.mean(0), dim=1)
        return rows @ rows.T

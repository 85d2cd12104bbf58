"""What a text encoder is: sentences in, one vector per token out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


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

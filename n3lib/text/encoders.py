"""What a text encoder is: sentences in, one vector per token out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float16
from torch import Tensor

from n3lib.errors import N3Error

MAX_TOKENS = 512


@dataclass(frozen=True)
class Encoded:
    """One sentence as tokens.

    Attributes:
        embeddings: one vector per token, float16 `(L, e)`; L may be 0.
        words: the L tokens as text.
    """

    embeddings: Float16[Tensor, "L e"]
    words: list[str]


@runtime_checkable
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
        """Encode each sentence on its own, cut to `MAX_TOKENS` tokens; one `Encoded` per sentence."""
        ...


def make_encoder(spec: str) -> TokenEncoder:
    """The encoder that `spec` names.

    Args:
        spec: `words` or `words:<width>` for `WordEncoder`; anything else is a transformers model, by its name
            on the Hugging Face hub or by its folder.

    Raises:
        N3Error: the width is not a positive number, or the model cannot be found.
    """
    from n3lib.text.transformer import TransformerEncoder
    from n3lib.text.words import WordEncoder

    kind, _, width = spec.partition(":")
    if kind != "words":
        return TransformerEncoder(spec)
    if not width and ":" not in spec:
        return WordEncoder()
    if not width.isdecimal() or int(width) < 1:
        raise N3Error(f"text encoder {spec!r}: the width is no positive number", "Write words or words:128")
    return WordEncoder(int(width))

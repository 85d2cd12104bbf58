"""What a text encoder is: sentences in, one vector per token out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float16
from torch import Tensor

from n3lib.errors import N3Error


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
        """Encode each sentence on its own and whole, however long; one `Encoded` per sentence.

        An encoder that reads only so much at once goes through a long one in windows.
        """
        ...


def make_encoder(spec: str) -> TokenEncoder:
    """The encoder that `spec` names.

    Args:
        spec: one of
            `words` or `words:WIDTH`: `WordEncoder`;
            `glove:NAME` or `glove:FILE`: `GloveEncoder`;
            `elmo` or `elmo:FOLDER`: `ElmoEncoder`;
            `bert`: the paper's, short for `bert-base-uncased`;
            anything else: a transformers model, by its name on the Hugging Face hub or by its folder.

    Raises:
        N3Error: the width is not a positive number, or the model cannot be found.
    """
    kind, colon, rest = spec.partition(":")
    if kind in ("words", "glove", "elmo") and colon and not rest:
        raise N3Error(f"text encoder {spec!r} is cut short", f"Write what comes after {kind}:")
    if kind == "words":
        from n3lib.text.words import WordEncoder

        if not colon:
            return WordEncoder()
        if not rest.isdecimal() or int(rest) < 1:
            raise N3Error(f"text encoder {spec!r}: the width is no positive number", "Write words:128")
        return WordEncoder(int(rest))
    if kind == "glove":
        from n3lib.text.glove import GloveEncoder

        return GloveEncoder(rest or "glove-wiki-gigaword-300")
    if kind == "elmo":
        from n3lib.text.elmo import ElmoEncoder

        return ElmoEncoder(rest or None)
    from n3lib.text.transformer import TransformerEncoder

    return TransformerEncoder("bert-base-uncased" if spec == "bert" else spec)

"""A text encoder without weights: every word has a fixed random vector."""

import hashlib
import re
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from jaxtyping import Float16

from n3lib.io.files import sha256
from n3lib.text.bank import Encoded

# Letters and digits; apostrophes and hyphens only inside a word.
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


class WordEncoder:
    """One fixed Gaussian vector of `width` numbers per lower-cased word, with no download and no training.

    Each component has unit variance, and a vector follows from the SHA-256 of the word alone. Those of
    different words are nearly orthogonal: what is kept is which words are equal, not context or synonyms.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.name = f"words:{width}"
        self.revision = sha256("words-2", str(width), _WORD.pattern)

    def encode(self, sentences: Sequence[str]) -> list[Encoded]:
        """Encode each sentence on its own: `(L, width)` for its words."""
        encoded = []
        for sentence in sentences:
            words = _WORD.findall(sentence.lower())
            rows = np.array([_vector(word, self.width) for word in words], np.float16).reshape(-1, self.width)
            encoded.append(Encoded(torch.from_numpy(rows), words))
        return encoded


@cache
def _vector(word: str, width: int) -> Float16[np.ndarray, "e"]:
    seed = np.frombuffer(hashlib.sha256(word.encode()).digest(), dtype="<u4").tolist()
    return np.random.default_rng(seed).standard_normal(width).astype(np.float16)

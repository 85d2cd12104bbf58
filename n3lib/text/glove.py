"""Static word vectors: GloVe (Pennington et al., 2014), and files of the same form."""

import importlib
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float16

from n3lib.io import N3Error, expand, sha256_file
from n3lib.io.files import sha256
from n3lib.text.bank import Encoded
from n3lib.text.vectors import VectorFile

# A hyphenated word is read in pieces: few such words have a vector of their own, nearly all pieces do.
_WORD = re.compile(r"[^\W_]+")
_REMEDY = "Give a file of vectors (see n3lib.text.vectors), or a name that gensim's downloader knows"


class GloveEncoder:
    """One vector per lower-cased word, whatever its context; words without a vector are left out.

    The source is a file of vectors (see `n3lib.text.vectors`), or a name of gensim's downloader such as
    `glove-wiki-gigaword-300` (downloaded once into gensim's own folder, `GENSIM_DATA_DIR`).

    Raises:
        N3Error: there is no such file or name, a name is given without gensim, or the file is damaged.
    """

    def __init__(self, source: str | Path) -> None:
        path = expand(source)
        if not path.is_file():
            if path.suffix or len(path.parts) != 1 or path.exists():
                raise N3Error(f"there is no file of word vectors {path}", _REMEDY)
            path = _download(str(source))
        self._file = VectorFile(path)
        self.name = f"glove:{Path(source).name}"
        self.revision = sha256("glove-1", sha256_file(path), _WORD.pattern)
        self.width = self._file.width

    @cached_property
    def _vectors(self) -> dict[str, Float16[np.ndarray, "e"]]:
        """Read when a word is asked for: texts in the cache need none."""
        # Over half of the 2.2 million words of glove.840B are never looked up.
        return self._file.read(lambda word: bool(_WORD.fullmatch(word)) and word == word.lower())

    def encode(self, sentences: Sequence[str]) -> list[Encoded]:
        """Encode each sentence on its own: `(L, width)` for those of its words that have a vector."""
        encoded = []
        for sentence in sentences:
            words = [word for word in _WORD.findall(sentence.lower()) if word in self._vectors]
            rows = np.array([self._vectors[word] for word in words], np.float16).reshape(-1, self.width)
            encoded.append(Encoded(torch.from_numpy(rows), words))
        return encoded


def _download(name: str) -> Path:
    try:
        return Path(importlib.import_module("gensim.downloader").load(name, return_path=True))
    except ImportError:
        install = "Install it: pip install 'n3lib[glove]', or give a file"
        raise N3Error(f"word vectors named {name!r} need gensim", install) from None
    except RuntimeError as error:  # a package that gensim imports asks for the home folder
        raise N3Error(f"gensim cannot be imported: {error}", "Set the variable HOME to a folder") from None
    except (ValueError, OSError) as error:  # an unknown name, or no network
        raise N3Error(f"word vectors {name!r} cannot be had: {error}", _REMEDY) from None

"""Static word vectors: GloVe (Pennington et al., 2014), through gensim."""

import gzip
import importlib
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from n3lib.errors import N3Error
from n3lib.files import sha256, sha256_file
from n3lib.paths import expand
from n3lib.text.tokens import Encoded

_REMEDY = (
    "Give a file of lines `word number number ...` (plain or .gz), or a name that gensim's downloader knows"
)
# A hyphenated word is read in pieces: few such words have a vector of their own, nearly all pieces do.
_WORD = re.compile(r"[^\W_]+")


class GloveEncoder:
    """One vector per lower-cased word, whatever stands around it; words without a vector are left out.

    Args:
        source: a text file of vectors, plain or gzipped, or a name of gensim's downloader such as
            `glove-wiki-gigaword-300` (downloaded once into gensim's own folder, `GENSIM_DATA_DIR`).

    Raises:
        N3Error: gensim is not installed, there is no such file or name, or the file is damaged.
    """

    def __init__(self, source: str | Path) -> None:
        path = expand(source)
        if not path.is_file():
            if str(source).startswith(("/", ".", "~")) or path.suffix in (".txt", ".gz"):
                raise N3Error(f"there is no file of word vectors {path}", _REMEDY)
            path = _download(str(source))
        self._path = path
        self.name = f"glove:{Path(source).name}"
        self.revision = sha256("glove-1", sha256_file(path), _WORD.pattern)
        first = self._read(_first_line).split()
        # A file of word2vec starts with a line of its counts; GloVe's own has none.
        self._header = len(first) == 2
        self.width = int(first[1]) if self._header else len(first) - 1

    @cached_property
    def _vectors(self) -> Any:
        """Read when a word is asked for: texts in the cache need none."""
        return self._read(
            lambda path: _gensim("models").KeyedVectors.load_word2vec_format(path, no_header=not self._header)
        )

    def _read(self, how: Callable[[str], Any]) -> Any:
        try:
            return how(str(self._path))
        except (ValueError, EOFError, OSError, IndexError, TypeError) as error:
            raise N3Error(f"word vectors {self._path} cannot be read: {error}", _REMEDY) from None

    def encode(self, sentences: Sequence[str]) -> list[Encoded]:
        """Encode each sentence on its own: `(L, width)` for those of its words that have a vector."""
        encoded = []
        for sentence in sentences:
            words = [word for word in _WORD.findall(sentence.lower()) if word in self._vectors]
            rows = self._vectors[words] if words else np.empty((0, self.width), np.float32)  # (L, e)
            encoded.append(Encoded(torch.from_numpy(rows.astype(np.float16)), words))
        return encoded


def _first_line(path: str) -> str:
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as file:
        line = str(file.readline())
    if len(line.split()) < 2:
        raise ValueError("the first line holds no vector")
    return line


def _gensim(module: str) -> Any:
    try:
        return importlib.import_module(f"gensim.{module}")
    except ImportError:
        raise N3Error("GloVe needs gensim", "Install it: pip install 'n3lib[glove]'") from None
    except RuntimeError as error:  # a package that it imports asks for the home folder
        raise N3Error(f"gensim cannot be imported: {error}", "Set the variable HOME to a folder") from None


def _download(name: str) -> Path:
    try:
        return Path(_gensim("downloader").load(name, return_path=True))
    except (ValueError, OSError) as error:  # an unknown name, or no network
        raise N3Error(f"word vectors {name!r} cannot be had: {error}", _REMEDY) from None

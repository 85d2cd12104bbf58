"""ELMo (Peters et al., 2018): contextual token embeddings from a language model that spells words."""

import importlib
import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from n3lib.io import N3Error, expand, sha256_file
from n3lib.io.files import cache_dir, read_record, sha256
from n3lib.text.bank import Encoded

# The official original model: 93.6 million parameters, 1,024 numbers per token.
OFFICIAL = "https://s3-us-west-2.amazonaws.com/allennlp/models/elmo/2x4096_512_2048cnn_2xhighway/"
FILES = [f"elmo_2x4096_512_2048cnn_2xhighway_{part}" for part in ("options.json", "weights.hdf5")]
# Memory grows with the length, by 0.4 MB per token with the original model. The longest Wikipedia article on
# a class of CUB has 6,800 tokens.
LONGEST = 10_000
BATCH = 2048  # tokens encoded at once, but always one sentence

_FOLDER = "Give a folder with one options.json and one weights.hdf5 as AllenNLP publishes them"
_ELSEWHERE = "ELMo has an environment of its own: `make elmo DATA=DIR NAME=cub` fills the cache from there"
# Tokens as in the news that ELMo was trained on: clitics are split off (do n't, bird 's), abbreviations
# (U.S., e.g.), decimals and hyphenated words stay whole, and every mark is a token of its own.
_TOKEN = re.compile(
    r"""
      (?:[^\W\d_]\.){2,}
    | n't\b
    | [^\W_]+?(?=n't\b)
    | '(?:s|d|m|ll|re|ve)\b
    | [^\W_]+(?:(?:-|'(?!(?:s|d|m|t|ll|re|ve)\b)|(?<=\d)[.,](?=\d))[^\W_]+)*
    | \.{2,}
    | -{2,}
    | \S
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PLAIN = str.maketrans("‘’“”", "''\"\"")


class ElmoEncoder:
    """The plain mean of the layers of AllenNLP's ELMo, in float32 on the CPU.

    Its layers are the character network's (once for each direction) and the two LSTMs'. The paper says
    neither which it reads nor how it mixes them; the mean is where ELMo's own mixing weights start. Every
    sentence is read from a state of zeros: its embeddings depend on it alone. `tokenize` gives the `words`.

    Only `encode` needs AllenNLP, which cannot be installed beside transformers 5. Sentences that are in the
    cache need it not: `make elmo` puts them there from an environment of its own.

    The folder holds one `*options.json` and one `*.hdf5` in AllenNLP's format; None is the official original
    model, which is downloaded once (375 MB) into `elmo` in the cache folder.

    Raises:
        N3Error: a file is missing, is there twice or is not in the format, or the download fails.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        where = _official() if folder is None else expand(folder)
        if not where.is_dir():
            raise N3Error(f"ELMo model {where} is no folder", _FOLDER)
        self.name = "elmo" if folder is None else f"elmo:{where.resolve().name}"
        self._options, self._weights = _only(where, "*options.json"), _only(where, "*.hdf5")
        # Half of the width is the forward, half the backward language model.
        self.width = 2 * read_record(self._options, _FOLDER, lstm=_is_lstm)["lstm"]["projection_dim"]
        hashes = [sha256_file(path) for path in (self._options, self._weights)]
        self.revision = sha256("elmo-1", _TOKEN.pattern, str(LONGEST), *hashes)

    @torch.no_grad()
    def encode(self, sentences: Sequence[str]) -> list[Encoded]:
        """Encode each sentence on its own: `(L, width)` for its first `LONGEST` tokens.

        Raises:
            N3Error: AllenNLP is not installed here, or the files do not fit together.
        """
        tokens = [tokenize(sentence)[:LONGEST] for sentence in sentences]
        states = [torch.empty(0, self.width, dtype=torch.float16)] * len(tokens)
        for some in batches([len(words) for words in tokens], BATCH):
            hidden = self._forward([tokens[index] for index in some])
            for row, index in zip(hidden, some, strict=True):
                states[index] = row[: len(tokens[index])].to(torch.float16)
        return [Encoded(*pair) for pair in zip(states, tokens, strict=True)]

    def _forward(self, tokens: list[list[str]]) -> Float[Tensor, "B L e"]:
        # AllenNLP starts each batch in the state that the last one left behind.
        for module in self._model.modules():
            if hasattr(module, "reset_states"):
                module.reset_states()
        characters = importlib.import_module("allennlp.modules.elmo").batch_to_ids(tokens)  # (B, L, 50)
        return self._model(characters)["elmo_representations"][0]

    @cached_property
    def _model(self) -> Any:
        try:
            importlib.import_module("n3lib.io.torchvision")  # AllenNLP's modules import torchvision
            library = importlib.import_module("allennlp.modules.elmo")
        except ImportError as error:
            raise N3Error(f"ELMo cannot run here: {error}", _ELSEWHERE) from None
        try:
            # Its mixing weights start equal, and here they are not trained: the mean of the layers.
            files = str(self._options), str(self._weights)
            return library.Elmo(*files, num_output_representations=1, dropout=0.0).eval()
        except Exception as error:  # AllenNLP checks little: a wrong file fails in many ways
            reason = str(error) or type(error).__name__
            raise N3Error(f"ELMo model {self._options.parent} cannot be loaded: {reason}", _FOLDER) from None


def tokenize(text: str) -> list[str]:
    """Words and marks in the manner of the Penn Treebank, case kept; typographic quotes become plain ones."""
    return _TOKEN.findall(unicodedata.normalize("NFC", text).translate(_PLAIN))


def batches(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Indices of sentences in batches of at most `most` padded tokens.

    Sentences of like length share a batch, one that is longer than `most` is alone, empty ones are left out.
    """
    found: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if found and lengths[index] * (len(found[-1]) + 1) <= most:
            found[-1].append(index)
        elif lengths[index]:
            found.append([index])
    return found


def _official() -> Path:
    """The folder of the official original model, downloaded if it is not there yet."""
    from n3lib.data.fetch.download import download_file

    folder = cache_dir() / "elmo"
    for name in FILES:
        if not (folder / name).is_file():
            download_file(OFFICIAL + name, folder / name, md5="")  # no hash of them is published
    return folder


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise N3Error(f"ELMo model {folder} has {len(found)} files {pattern}, not one", _FOLDER)
    return found[0]


def _is_lstm(value: Any) -> bool:
    width = value.get("projection_dim") if isinstance(value, dict) else None
    return isinstance(width, int) and width > 0

"""Contextual token embeddings from a pretrained transformer, such as BERT."""

from collections.abc import Sequence
from functools import cached_property
from itertools import compress, groupby
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float16
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from n3lib.io import N3Error, expand, sha256_file
from n3lib.io.files import sha256
from n3lib.text.bank import Encoded

WINDOW = 512  # tokens read at once at most, special ones included
BATCH = 32  # windows read at once

_FOLDER = "Give a folder with config.json, the tokenizer's files and model.safetensors"
_HUB = f"Check the name and the network (a model is downloaded once and kept). {_FOLDER}, or use `words`"


class TransformerEncoder:
    """The last hidden states of any encoder of the transformers library, in float32 on the CPU.

    It is a model's name on the Hugging Face hub, or a folder as `save_pretrained` writes it.

    A text longer than the model's window (512 tokens, or what it can read) is read window after window, so
    that its first tokens are those of the text cut there. Special tokens are left out. `words` are the word
    pieces as the vocabulary writes them (BERT: `##ing` continues a word). Weights are read as safetensors
    only, and not before a sentence is encoded: sentences that are in the cache need none.

    Raises:
        N3Error: the folder lacks files, or the name is unknown or cannot be downloaded.
    """

    def __init__(self, name_or_folder: str | Path) -> None:
        self._source: str = str(name_or_folder)
        # No code out of a model's folder is run, nor is anybody asked whether it should be.
        self._options: dict[str, Any] = {"trust_remote_code": False}
        folder = expand(name_or_folder)
        if folder.is_dir():
            self._source, self.name = str(folder), folder.resolve().name
            self.revision = _folder_hash(folder)
            self._options["local_files_only"] = True
        elif folder.exists() or self._source.startswith(("/", ".", "~")):
            raise N3Error(f"text encoder {folder} is no folder", _FOLDER)
        else:
            self.name, self.revision = self._source, ""
        config = self._load("AutoConfig")
        if not self.revision:
            commit = getattr(config, "_commit_hash", None)
            if not commit:
                raise N3Error(f"text encoder {self.name}: its revision is unknown", _FOLDER)
            self.revision = sha256("transformer-2", commit)
            self._options["revision"] = commit
        width = getattr(config, "hidden_size", None)
        if not isinstance(width, int):
            raise N3Error(f"text encoder {self.name} ({config.model_type}) is no text encoder", _FOLDER)
        self.width = width
        positions = getattr(config, "max_position_embeddings", None)
        # Some architectures say -1 where any length will do.
        self._longest = min(WINDOW, positions) if isinstance(positions, int) and positions > 0 else WINDOW

    @torch.no_grad()
    def encode(self, sentences: Sequence[str]) -> list[Encoded]:
        """Encode each sentence on its own: `(L, width)` for its word pieces; an `N3Error` without weights."""
        if not sentences:
            return []
        tokenized = self._tokenizer(
            list(sentences), truncation=True, max_length=self._longest,
            return_overflowing_tokens=True, return_special_tokens_mask=True,
        )  # fmt: skip
        ids: list[list[int]] = tokenized["input_ids"]
        kept = [torch.tensor(special) == 0 for special in tokenized["special_tokens_mask"]]

        # Windows of like length share a batch, so that little of it is padding.
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        states: dict[int, Float16[Tensor, "L e"]] = {}  # of each window
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            hidden = self._forward([ids[index] for index in some])  # (B, L, e)
            for row, index in zip(hidden, some, strict=True):
                states[index] = row[: len(ids[index])][kept[index]].to(torch.float16)

        encoded = []
        # A long sentence has several windows, one after the other.
        for _, windows in groupby(range(len(ids)), tokenized["overflow_to_sample_mapping"].__getitem__):
            found = list(windows)
            pieces = [piece for i in found for piece in compress(ids[i], kept[i])]
            words = self._tokenizer.convert_ids_to_tokens(pieces)
            encoded.append(Encoded(torch.cat([states[i] for i in found]), words))
        return encoded

    def _forward(self, ids: list[list[int]]) -> Tensor:
        padding = self._tokenizer.pad_token_id or 0
        rows = [torch.tensor(pieces or [padding]) for pieces in ids]
        padded = pad_sequence(rows, batch_first=True, padding_value=padding)  # (B, L)
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        return self._model(input_ids=padded, attention_mask=mask).last_hidden_state  # (B, L, e)

    @cached_property
    def _tokenizer(self) -> Any:
        tokenizer = self._load("AutoTokenizer")
        if not tokenizer.is_fast:  # the others cannot cut a text into windows
            raise N3Error(f"text encoder {self.name} has no fast tokenizer", "Use a model that has one")
        return tokenizer

    @cached_property
    def _model(self) -> Any:
        # Not the stored precision: half-precision arithmetic on a CPU is slow and coarse.
        model = self._load("AutoModel", dtype=torch.float32, use_safetensors=True)
        if getattr(model.config, "is_encoder_decoder", False):
            model = model.get_encoder()
        return model.eval()

    def _load(self, kind: str, **options: Any) -> Any:
        """Load one part with transformers, which is slow to import and so imported only here."""
        import n3lib.io.torchvision  # noqa: F401  (first: some models import torchvision)

        import transformers

        try:
            return getattr(transformers, kind).from_pretrained(self._source, **self._options, **options)
        except (OSError, ValueError, ImportError, KeyError, SafetensorError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            remedy = _FOLDER if "local_files_only" in self._options else _HUB
            raise N3Error(f"text encoder {self._source} cannot be loaded: {reason}", remedy) from None


def _folder_hash(folder: Path) -> str:
    """SHA-256 over all that decides the embeddings: configuration, vocabulary and weights."""
    weights = sorted(folder.glob("*.safetensors"))
    if not (folder / "config.json").is_file():
        raise N3Error(f"text encoder {folder} has no config.json", _FOLDER)
    if not weights:
        raise N3Error(f"text encoder {folder} has no weights (no .safetensors file)", _FOLDER)
    rest = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".txt", ".model"))
    named = [part for path in rest + weights for part in (path.name, sha256_file(path))]
    return sha256("transformer-2", *named)

"""Descriptions are encoded once: the encoder is frozen, so its embeddings are kept on disk."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from n3lib.data.texts import check_sentences
from n3lib.io.errors import N3Error, printable
from n3lib.io.files import cache_dir, sha256
from n3lib.io.tensors import read_tensors, write_tensors
from n3lib.text.tokens import Encoded, TokenEncoder


def encode_texts(
    encoder: TokenEncoder,
    texts: Sequence[Sequence[str]],
    cache: Path | str | None = None,
) -> list[list[Encoded]]:
    """Encode the sentences of every class: one list per class, in it one `Encoded` per sentence.

    Arguments and errors are those of `encode_cached`.
    """
    bar = tqdm(texts, desc=printable(f"encoding texts ({encoder.name})"), disable=None)
    return [encode_cached(encoder, text, cache) for text in bar]


def encode_cached(
    encoder: TokenEncoder,
    sentences: Sequence[str],
    cache: Path | str | None = None,
) -> list[Encoded]:
    """Encode sentences that belong together, such as a class's description, or read them from the cache.

    One safetensors file holds every token of them all, so that all ways of pooling share it. Its name is a
    hash over the encoder, its revision and every sentence: whatever changes misses; a damaged file is made
    again. Writers do not disturb one another, since a file appears only whole.

    Args:
        encoder: any `TokenEncoder`.
        sentences: S sentences, each encoded on its own.
        cache: see `n3lib.io.files.cache_dir`.

    Raises:
        N3Error: a string instead of sentences, the encoder cannot be loaded, or the cache cannot be written.
    """
    check_sentences(encoder.name, sentences)
    if not sentences:
        return []
    key = sha256("text-2", encoder.name, encoder.revision, *sentences)
    path = cache_dir(cache) / "text" / key[:2] / f"{key}.safetensors"
    if found := _read(path, key, len(sentences), encoder.width):
        return found
    found = encoder.encode(sentences)
    embeddings = torch.cat([one.embeddings for one in found])  # (sum of L, e)
    words = json.dumps([one.words for one in found], ensure_ascii=False)
    try:
        write_tensors(path, {"embeddings": embeddings}, {"key": key, "words": words})
    except OSError as error:
        raise N3Error(f"cannot write {path}: {error}", "Set N3_CACHE to a writable folder") from None
    return found


def _read(path: Path, key: str, count: int, width: int) -> list[Encoded]:
    """What is kept there; empty where there is nothing sound."""
    if not path.is_file():
        return []
    try:
        tensors, metadata = read_tensors(path)
        embeddings, words = tensors["embeddings"], json.loads(metadata["words"])
        if metadata["key"] != key:
            return []
    except (N3Error, KeyError, ValueError):
        return []
    lengths = [len(some) for some in words]
    if len(words) != count or embeddings.shape != (sum(lengths), width):
        return []
    return [Encoded(*pair) for pair in zip(embeddings.split(lengths), words, strict=True)]

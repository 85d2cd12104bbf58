"""Descriptions are encoded once: the encoder is frozen, so its embeddings are kept on disk."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from n3lib.data.texts import check_sentences
from n3lib.io import N3Error, printable, writing
from n3lib.io.files import cache_dir, sha256
from n3lib.io.tensors import read_tensors, write_tensors
from n3lib.text.bank import Encoded, TokenEncoder


def encode_texts(
    encoder: TokenEncoder, texts: Sequence[Sequence[str]], cache: Path | str | None = None
) -> list[list[Encoded]]:
    """What `encode_cached` gives for the sentences of each class."""
    bar = tqdm(texts, desc=printable(f"encoding texts ({encoder.name})"), disable=None)
    return [encode_cached(encoder, text, cache) for text in bar]


def encode_cached(
    encoder: TokenEncoder, sentences: Sequence[str], cache: Path | str | None = None
) -> list[Encoded]:
    """Encode sentences that belong together, such as a class's description, or read them from the cache.

    One safetensors file holds every token of them all. Its name is a hash over the encoder, its revision and
    every sentence: whatever changes misses; a damaged file is made again. `cache` is the folder, by default
    `n3lib.io.files.cache_dir`.

    Raises:
        N3Error: a string instead of sentences, no encoder, or a cache that cannot be written.
    """
    check_sentences(encoder.name, sentences)
    if not sentences:
        return []
    key = sha256("text-2", encoder.name, encoder.revision, *sentences)
    path = cache_dir(cache) / "text" / key[:2] / f"{key}.safetensors"
    try:
        tensors, metadata = read_tensors(path)  # which finds damage
        if metadata["key"] == key:
            words = json.loads(metadata["words"])
            embeddings = tensors["embeddings"].split([len(some) for some in words])
            return [Encoded(*pair) for pair in zip(embeddings, words, strict=True)]
    except (N3Error, KeyError):
        pass
    found = encoder.encode(sentences)
    tokens = {"embeddings": torch.cat([one.embeddings for one in found])}  # (sum of L, e)
    said = json.dumps([one.words for one in found], ensure_ascii=False)
    with writing(path, "Set N3_CACHE to a writable folder"):
        write_tensors(path, tokens, {"key": key, "words": said})
    return found

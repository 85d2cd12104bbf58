"""`n3 data`: get, check, describe and encode datasets; every action is one call into the library."""

from pathlib import Path
from typing import Any

from n3lib.io import N3Error, read_json, tell


def _info(dataset: str, root: str, split: str, text: str) -> None:
    from n3lib.data import GENERATED, DataConfig, find_source, load_data

    generated = dataset in GENERATED
    if generated and (root or split):
        what = f"folder {root}" if root else f"split {split}"
        raise N3Error(f"{dataset} is generated and has no {what}", "Leave it out")
    split = split or ("" if generated else next(iter(find_source(dataset).splits)))
    data = load_data(DataConfig(dataset, root=root, split=split, text=text))
    words = sorted(sum(len(s.split()) for s in text) for text in data.texts)
    tell(f"{data.name}: {len(data.classes)} classes, {len(data.images)} images")
    for part in ("train", "val", "test"):
        ids = data.split.part(part)
        tell(f"  {data.split.name} {part}: {len(ids)} classes, {len(data.indices(ids))} images")
    tell(f"  words per description: {words[0]} to {words[-1]}, median {words[len(words) // 2]}")


def _download(dataset: str, root: str, held: Path | None) -> None:
    from n3lib.data import find_photographs
    from n3lib.data.photographs.acquisition import fetch_dataset

    source, folder = find_photographs(dataset, root)
    odd = fetch_dataset(source, folder, held)
    for line in (*(f"{one}, but holds the whole dataset" for one in odd), source.title, source.terms):
        tell(line)
    tell(f"in {root}; next: n3 data verify {source.name}")


def _verify(dataset: str, root: str) -> None:
    from n3lib.data import find_photographs
    from n3lib.data.photographs.acquisition import verify

    source, folder = find_photographs(dataset, root)
    for problem in (problems := verify(source, folder)):
        tell(problem)
    if problems:
        raise N3Error(f"{root} does not hold {source.name} as published", "See the lines above")
    tell(f"{source.name}: {source.classes} classes, {source.images} images, all of them sound")


def _describe(
    dataset: str, root: str, titles: Path | None, fill: Path | None, output: Path | None, **how: str
) -> None:
    from n3lib.data import find_photographs
    from n3lib.data.wikipedia.articles import TITLES
    from n3lib.data.wikipedia.descriptions import describe, read_titles

    source, folder = find_photographs(dataset, root)
    path = output or folder / source.text
    classes = source.index(folder).classes
    _check_section(path, how["section"])
    # The user's last: of two titles for one class, the last counts.
    known = TITLES[source.name] | (read_titles(titles, classes) if titles else {})
    tell(collected := describe(classes, path, titles=known, fill=fill, **how))
    collected.require_all()


def _check_section(path: Path, section: str) -> None:
    """Refuse texts of another section, which would be asked for anew and replaced one by one."""
    held = read_json(path) if path.is_file() else {}
    entries = held.values() if isinstance(held, dict) else ()
    asked = [entry.get("asked") for entry in entries if isinstance(entry, dict)]
    sections = {str(one.get("section")) for one in asked if isinstance(one, dict)}
    if sections and section not in sections:
        problem = f"{path} holds the section {', '.join(sorted(sections))!r}, and {section!r} is asked for"
        raise N3Error(problem, "Choose another -o, or delete this file")


def _embed(dataset: str, root: str, encoder: str, context: Any, text: str) -> None:
    from n3lib.data import DataConfig, read_descriptions
    from n3lib.io import check_writable
    from n3lib.io.files import cache_dir
    from n3lib.text.cache import encode_texts
    from n3lib.text.encoders import make_encoder
    from n3lib.text.pipeline import TextConfig, arranged

    check_writable(cache_dir() / "text", True, "Set N3_CACHE to a writable folder")
    encodes = make_encoder(encoder)
    texts = read_descriptions(DataConfig(dataset, root=root, text=text))
    encoded = encode_texts(encodes, arranged(texts, TextConfig(context=context)))
    tokens = sum(len(one.embeddings) for text in encoded for one in text)
    what = f"{len(texts)} descriptions, {tokens:,} tokens of {encodes.width} numbers"
    tell(f"{encodes.name}: {what} in the cache")

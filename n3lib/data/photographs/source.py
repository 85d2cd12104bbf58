"""Datasets of photographs in their official layout: what is known of each, and the one way to load them.

With the splits "160/40" and "82/20" a fifth of the images of every seen class is left out, as in the paper's
appendix B (Lei Ba et al. used these to test on seen classes). Which ones is not published; here it is the
n // 5 of the n images of a class whose path in the dataset's folder has the smallest SHA-256.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from n3lib.data.dataset import Split, ZeroShotDataset
from n3lib.data.fetch import Archive
from n3lib.data.images import image_array
from n3lib.data.names import human_name
from n3lib.data.photographs.lists import Index
from n3lib.data.photographs.splits import read_splits
from n3lib.data.texts import read_texts
from n3lib.io import N3Error, expand, read_json, sha256_file
from n3lib.io.errors import choose
from n3lib.io.files import sha256

# The random splits of the paper's appendix B.
REDUCED_SPLITS = ("160/40", "82/20")


@dataclass(frozen=True)
class Source:
    """A dataset of photographs, of which the official numbers and names are known.

    Attributes:
        names: the official class names, in the order that the splits count.
        images: the official number of images.
        index: finds the dataset in a folder, reads its lists and checks them.
        terms: what one may do with it, and how to get what cannot be downloaded.
        text: the usual name of the file of descriptions.
        others: names of no class of it that the file may describe too.
        counts: the official numbers of images of the classes, if splits depend on them.
    """

    name: str
    title: str
    names: tuple[str, ...]
    images: int
    splits: Mapping[str, Split]
    index: Callable[[Path], Index]
    archives: tuple[Archive, ...]
    terms: str
    text: str
    others: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def classes(self) -> int:
        """The official number of classes."""
        return len(self.names)

    def split(self, name: str) -> Split:
        """The split of that name; an N3Error if there is none."""
        return choose(name, self.splits, f"{self.name} has no split")

    def difference(self, index: Index) -> str:
        """How the classes differ from the official ones; empty if they do not."""
        if len(index.classes) != self.classes:
            return f"{index.folder} has {len(index.classes)} classes, not {self.classes}"
        for number, (name, official) in enumerate(zip(index.classes, self.names, strict=True), 1):
            if name != official:
                return f"class {number} of {index.folder} is {name!r}, not {official!r}"
        return ""

    def miscounted(self, index: Index) -> list[tuple[str, int, int]]:
        """Classes with another number of images than official: name, number and official number."""
        counts = np.bincount(index.labels, minlength=self.classes).tolist()
        rows = zip(self.names, counts, self.counts or counts, strict=True)
        return [(name, count, official) for name, count, official in rows if count != official]


def read_source(
    name: str,
    names: tuple[str, ...],
    index: Callable[[Path], Index],
    splits: str = "",
    others: tuple[str, ...] = (),
    counts: tuple[int, ...] = (),
) -> Source:
    """What `sources.json` says of a dataset, with the splits of `splits`, if they are not its own."""
    table = read_json(Path(__file__).with_name("sources.json"))[name]
    archives = tuple(Archive(**archive) for archive in table.pop("archives"))
    parts = read_splits(splits or name, len(names))
    table |= {"names": names, "splits": parts, "others": others, "counts": counts}
    return Source(name, index=index, archives=archives, **table)


def load(
    source: Source,
    root: Path,
    split: str | Split = "PS",
    text: Path | str | None = None,
    size: int = 144,
    also: Sequence[str] = (),
) -> ZeroShotDataset:
    """Load a dataset with a written description of every class.

    Args:
        root: the dataset's own folder or the one that holds it. Images may be fewer than the official ones.
        split: one of `source.splits`, or a split of your own.
        text: the JSON file of descriptions (see `n3lib.data.texts`); by default `source.text` in `root`, in
            the dataset's folder or beside it. "names" for no description but the name of the class.
        size: side of the square images in pixels.
        also: JSON files of further descriptions.

    Raises:
        N3Error: a file cannot be read, a class has no text, or the split is made for other classes.
    """
    parts = source.split(split) if isinstance(split, str) else split
    index = source.index(root)

    # Split and text before images: a mistake in them shows at once, not after minutes of decoding.
    if isinstance(split, str):
        _check_official(source, index, split)
    elif max(parts.part("trainval") + parts.test) >= len(index.classes):
        what = f"split {parts.name} names a class outside the {len(index.classes)} of {index.folder}"
        raise N3Error(what, "Correct the split, or unpack the dataset again")
    (texts, *others), digest = read_all_texts(source, root, index, text, also)

    paths, labels = index.paths, index.labels
    if isinstance(split, str) and split in REDUCED_SPLITS:
        kept = reduced(index, parts)
        paths, labels = [paths[i] for i in kept], labels[kept]
    try:
        found = [path.stat() for path in paths]
    except OSError as error:
        raise N3Error(f"image {error.filename} is listed but missing", "Unpack the dataset again") from None
    lengths, times = np.array([(one.st_size, one.st_mtime_ns) for one in found], dtype="<i8").T
    content = sha256(index.content, lengths.tobytes())
    # The cache's key has the times too, so that a mended image is decoded again; a run's record has not.
    pixels = image_array(paths, size, sha256(content, times.tobytes()))
    classes, hashes = tuple(map(human_name, index.classes)), {"images": content, "text": digest}
    return ZeroShotDataset(source.name, classes, texts, pixels, labels, parts, hashes, also=tuple(others))


def read_text(
    source: Source, root: Path, index: Index, text: Path | str | None = None
) -> tuple[tuple[tuple[str, ...], ...], str]:
    """The sentences of each class, in class order, and the SHA-256 of what they came from; see `load`."""
    if text == "names":
        names = tuple(map(human_name, index.classes))
        return tuple((name,) for name in names), sha256(*names)
    path = _find_text(source, root, index.folder) if text is None else expand(text)
    return read_texts(path, index.classes, source.others), sha256_file(path)


def read_all_texts(
    source: Source, root: Path, index: Index, text: Path | str | None, also: Sequence[str]
) -> tuple[list[tuple[tuple[str, ...], ...]], str]:
    """What `read_text` gives for the text, then for the further ones; one SHA-256 for all."""
    texts, digests = zip(*(read_text(source, root, index, one) for one in (text, *also)), strict=True)
    return list(texts), digests[0] if len(digests) == 1 else sha256(*digests)


def reduced(index: Index, split: Split) -> np.ndarray:
    """Indices (int64) of the images that stay when a fifth of every seen class is left out (see above)."""

    def rank(image: int) -> bytes:
        return hashlib.sha256(index.paths[image].relative_to(index.folder).as_posix().encode()).digest()

    stay = np.ones(len(index.paths), dtype=bool)
    for label in split.part("trainval"):
        images = sorted(np.flatnonzero(index.labels == label).tolist(), key=rank)
        stay[images[: len(images) // 5]] = False
    return np.flatnonzero(stay)


def _check_official(source: Source, index: Index, split: str) -> None:
    """Refuse a named split for other classes, or the same in another order, than it was made for."""
    problem = source.difference(index)
    if not problem and len(index.paths) == source.images and (other := source.miscounted(index)):
        name, count, official = other[0]
        problem = f"{name} has {count} images in {index.folder}, and {official} where the split was published"
    if problem:
        remedy = "Unpack it again, or give a split of your own (n3lib.data.Split)"
        raise N3Error(f"split {split} is not for these classes: {problem}", remedy)


def _find_text(source: Source, root: Path, folder: Path) -> Path:
    for parent in (root, folder, folder.resolve().parent):
        if (parent / source.text).is_file():
            return parent / source.text
    example = human_name(source.names[0])
    what = f"{source.name} comes without descriptions, and there is no {root / source.text}"
    file = f'a JSON file {{"{example}": "text", ...}} with --data.text=FILE (n3 data: --text FILE)'
    raise N3Error(what, f"Collect them with n3 data describe {source.name}, or give {file}")

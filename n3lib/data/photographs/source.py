"""Datasets of photographs in their official layout: what is known of each, and the one way to load them.

`CUB`, `CUB2010` (in `n3lib.data.photographs.cub`), `AWA2`, `NABIRDS`, `FLOWERS` and `FLOWERS_SPECIES` (in
`n3lib.data.photographs.flowers`) are each a `Source`, to be given to `load` or `verify`.

With the splits "160/40" and "82/20" a fifth of the images of every seen class is left out, as in the paper's
appendix B (Lei Ba et al. used these to test on seen classes). Which ones is not published; here it is the
n // 5 of the n images of a class whose path in the dataset's folder has the smallest SHA-256.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from n3lib.data.dataset import Split, ZeroShotDataset
from n3lib.data.fetch import archives
from n3lib.data.fetch.archives import Archive
from n3lib.data.images import THREADS, image_array, load_image
from n3lib.data.names import human_name
from n3lib.data.texts import read_texts
from n3lib.io.errors import N3Error
from n3lib.io.files import sha256, sha256_file
from n3lib.io.paths import expand

# The random splits of the paper's appendix B.
REDUCED_SPLITS = ("160/40", "82/20")
MAX_PROBLEMS = 20


class Index(NamedTuple):
    """What the lists of a dataset say.

    Attributes:
        folder: the dataset's own folder.
        classes: official class names; the place in this tuple is the class id.
        paths: the image files, N of them.
        labels: class ids, int64 `(N,)`.
        content: SHA-256 of the lists, wherever they lie.
    """

    folder: Path
    classes: tuple[str, ...]
    paths: list[Path]
    labels: np.ndarray
    content: str


@dataclass(frozen=True)
class Source:
    """A dataset of photographs.

    Attributes:
        name: such as `awa2`.
        title: what it is, in one line.
        names: the official class names, in the order that the splits count.
        images: the official number of images.
        splits: the splits that it has, see `n3lib.data.photographs.splits`.
        index: finds the dataset in a folder, reads its lists and checks them.
        split: the split of a name.
        archives: what it comes in.
        terms: what one may do with it, and how to get what cannot be downloaded.
        text: the usual name of the file of descriptions.
        counts: the official numbers of images of the classes, if splits depend on them.
    """

    name: str
    title: str
    names: tuple[str, ...]
    images: int
    splits: tuple[str, ...]
    index: Callable[[Path], Index]
    split: Callable[[str], Split]
    archives: tuple[Archive, ...]
    terms: str
    text: str
    counts: tuple[int, ...] = ()

    @property
    def classes(self) -> int:
        """The official number of classes."""
        return len(self.names)


def load(
    source: Source,
    root: Path | str,
    split: str | Split = "PS",
    text: Path | str | None = None,
    size: int = 144,
    cache: Path | str | None = None,
    visual: float = 0.0,
) -> ZeroShotDataset:
    """Load a dataset with a written description of every class.

    Args:
        source: which dataset.
        root: the dataset's own folder or the one that holds it. Images may be fewer than the official ones.
        split: one of `source.splits`, or a split of your own.
        text: the JSON file of descriptions (see `n3lib.data.texts`); by default `source.text` in `root`, in
            the dataset's folder or beside it. "names" for no description but the name of the class.
        size: side of the square images in pixels.
        cache: where decoded images are kept, see `n3lib.data.images.cache_dir`.
        visual: keep only sentences marked at least this much as visual, see `n3lib.data.texts.read_texts`.

    Raises:
        N3Error: a file is missing or malformed, an image cannot be read, a class has no text, or the classes
            are not those that the split is made for.
    """
    root = expand(root)
    parts = source.split(split) if isinstance(split, str) else split
    index = source.index(root)

    # Split and text before images: a mistake in them shows at once, not after minutes of decoding.
    if isinstance(split, str):
        _check_official(source, index, split)
    elif max(parts.part("trainval") + parts.test) >= len(index.classes):
        raise N3Error(
            f"split {parts.name} names a class outside the {len(index.classes)} of {index.folder}",
            "Correct the split, or unpack the dataset again",
        )
    texts, digest = read_text(source, root, index, text, visual)

    paths, labels = index.paths, index.labels
    if isinstance(split, str) and split in REDUCED_SPLITS:
        kept = reduced(index, parts)
        paths, labels = [paths[i] for i in kept], labels[kept]
    lengths, times = _stat(paths)
    content = sha256(index.content, lengths.tobytes())
    # The cache's key has the times too, so that a mended image is decoded again; a run's record has not.
    pixels = image_array(paths, size, sha256(content, times.tobytes()), cache)
    return ZeroShotDataset(
        name=source.name,
        classes=tuple(map(human_name, index.classes)),
        texts=texts,
        images=pixels,
        labels=labels,
        split=parts,
        hashes={"images": content, "text": digest},
    )


def read_text(
    source: Source, root: Path, index: Index, text: Path | str | None = None, visual: float = 0.0
) -> tuple[tuple[tuple[str, ...], ...], str]:
    """The descriptions of a dataset's classes.

    Args:
        source: which dataset.
        root: the folder that was given for it.
        index: what its lists say.
        text: see `load`.
        visual: see `load`.

    Returns:
        The sentences of each class, in class order, and the SHA-256 of what they came from.

    Raises:
        N3Error: there is no file of descriptions, it is malformed, or a class has none.
    """
    if text == "names":
        names = tuple(map(human_name, index.classes))
        return tuple((name,) for name in names), sha256(*names)
    path = _find_text(source, root, index.folder, text)
    return read_texts(path, index.classes), sha256_file(path)


def fetch(source: Source, root: Path | str, given: Path | None = None) -> list[str]:
    """Bring a dataset into `root` and unpack it, see `n3lib.data.fetch.archives.fetch`.

    Args:
        source: which dataset.
        root: the folder that is to hold it.
        given: an archive that is on the disk already, or the folder that holds it. With another hash than the
            published one, it is taken if `verify` finds nothing wrong with what it holds.

    Returns:
        What is odd about the archives, a line each.

    Raises:
        N3Error: see `n3lib.data.fetch.archives.fetch`; or `given` is the dataset itself, unpacked already.
    """
    if given is not None and _is_unpacked(source, given):
        raise N3Error(f"{given} holds {source.name} unpacked", f"Fetch nothing: use --root {given}")
    return archives.fetch(source.archives, Path(root), given, source.terms, lambda: verify(source, root))


def verify(source: Source, root: Path | str) -> list[str]:
    """Look at every file of a dataset; takes minutes.

    Returns:
        What is wrong, a line each, `MAX_PROBLEMS` at most and then how many more; empty if all is well.
    """
    try:
        index = source.index(expand(root))
    except N3Error as error:
        return [str(error)]
    problems = []
    if index.classes != source.names:
        problems.append(_difference(source, index))
    if len(index.paths) != source.images:
        problems.append(f"{index.folder} has {len(index.paths):,} images listed, not {source.images:,}")
    counts = np.bincount(index.labels, minlength=len(index.classes)).tolist()
    empty = [name for name, count in zip(index.classes, counts, strict=True) if not count]
    if empty:
        problems.append(f"without any image: {_some(empty)}")
    if source.counts and index.classes == source.names:
        found = zip(index.classes, counts, source.counts, strict=True)
        other = [f"{name} {count}, not {official}" for name, count, official in found if count != official]
        if other:
            problems.append(f"other numbers of images than published: {_some(other)}")

    def check(path: Path) -> str:
        try:
            load_image(path, 8)  # decodes it whole, keeps little
        except N3Error as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(THREADS) as pool:
        images = tqdm(pool.map(check, index.paths), "checking images", len(index.paths), disable=None)
        problems += [problem for problem in images if problem]
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [f"... and {len(problems) - MAX_PROBLEMS} more"]
    return problems


def reduced(index: Index, split: Split) -> np.ndarray:
    """Indices of the images that stay when a fifth of every seen class is left out (see the top of the file).

    Returns:
        int64, in image order.
    """
    stay = np.ones(len(index.paths), dtype=bool)
    for label in split.part("trainval"):
        images = np.flatnonzero(index.labels == label).tolist()
        images.sort(key=lambda i: hashlib.sha256(_relative(index, i).encode()).digest())
        stay[images[: len(images) // 5]] = False
    return np.flatnonzero(stay)


def _is_unpacked(source: Source, folder: Path) -> bool:
    """Whether a folder holds a dataset and none of its archives."""
    packed = [archive for archive in source.archives if archive.unpack]
    if not folder.is_dir() or archives.found_in(packed, folder):
        return False
    try:
        return source.index(folder).paths[0].is_file()  # the lists alone are no dataset
    except N3Error:
        return False


def _relative(index: Index, image: int) -> str:
    return index.paths[image].relative_to(index.folder).as_posix()


def _check_official(source: Source, index: Index, split: str) -> None:
    """Refuse a named split for other classes, or the same in another order, than it was made for."""
    remedy = "Unpack it again, or give a split of your own (n3lib.data.Split)"
    if index.classes != source.names:
        raise N3Error(f"split {split} is not for these classes: {_difference(source, index)}", remedy)
    counts = tuple(np.bincount(index.labels, minlength=len(index.classes)).tolist())
    if source.counts and len(index.paths) == source.images and counts != source.counts:
        odd = next(i for i in range(len(counts)) if counts[i] != source.counts[i])
        raise N3Error(
            f"split {split} is not for these classes: {index.classes[odd]} has {counts[odd]} images in"
            f" {index.folder}, and {source.counts[odd]} where the split was published",
            remedy,
        )


def _difference(source: Source, index: Index) -> str:
    """How the classes differ from the official ones."""
    if len(index.classes) != source.classes:
        return f"{index.folder} has {len(index.classes)} classes, not {source.classes}"
    odd = next(i for i in range(source.classes) if index.classes[i] != source.names[i])
    return f"class {odd + 1} of {index.folder} is {index.classes[odd]!r}, not {source.names[odd]!r}"


def _some(items: list[str]) -> str:
    """The number of classes and what is said of the first five."""
    listed = "; ".join(items[:5]) + ("; ..." if len(items) > 5 else "")
    return f"{len(items)} {'class' if len(items) == 1 else 'classes'} ({listed})"


def _find_text(source: Source, root: Path, folder: Path, text: Path | str | None) -> Path:
    if text is not None:
        return expand(text)
    for place in (root, folder, folder.resolve().parent):
        if (place / source.text).is_file():
            return place / source.text
    example = human_name(source.names[0])
    raise N3Error(
        f"{source.name} comes without descriptions, and there is no {root / source.text}",
        f"Collect them with n3 data describe {source.name}, or give a JSON file"
        f' {{"{example}": "text", ...}} with --data.text=FILE (n3 data: --text FILE)',
    )


def _stat(paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Lengths in bytes and modification times in nanoseconds of the files, each `(N,)`."""
    try:
        found = [path.stat() for path in paths]
    except OSError as error:
        raise N3Error(f"image {error.filename} is listed but missing", "Unpack the dataset again") from None
    lengths = np.array([one.st_size for one in found], dtype="<i8")
    return lengths, np.array([one.st_mtime_ns for one in found], dtype="<i8")

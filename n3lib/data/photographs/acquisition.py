"""Bringing a dataset of photographs onto the disk, and checking that all of it is there."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from n3lib.data.fetch.archives import fetch_archives, found_in
from n3lib.data.images import THREADS, load_image
from n3lib.data.photographs.source import Source
from n3lib.io.errors import N3Error
from n3lib.io.files import expand

MAX_PROBLEMS = 20


def fetch_dataset(source: Source, root: Path | str, given: Path | None = None) -> list[str]:
    """Bring a dataset into `root` and unpack it.

    Args:
        source: which dataset.
        root: the folder that is to hold it.
        given: an archive that is on the disk already, or the folder that holds it. With another hash than the
            published one, it is taken if `verify` finds nothing wrong with what it holds.

    Returns:
        What is odd about the archives, a line each.

    Raises:
        N3Error: see `fetch_archives`; or `given` is the dataset itself, unpacked already.
    """
    if given is not None and _is_unpacked(source, given):
        raise N3Error(f"{given} holds {source.name} unpacked", f"Fetch nothing: use --root {given}")
    return fetch_archives(source.archives, Path(root), given, source.terms, lambda: verify(source, root))


def verify(source: Source, root: Path | str) -> list[str]:
    """Look at every file of a dataset; takes minutes.

    Returns:
        What is wrong, a line each, `MAX_PROBLEMS` at most and then how many more; empty if all is well.
    """
    try:
        index = source.index(expand(root))
    except N3Error as error:
        return [str(error)]
    problems = [difference] if (difference := source.difference(index)) else []
    if len(index.paths) != source.images:
        problems.append(f"{index.folder} has {len(index.paths):,} images listed, not {source.images:,}")
    counts = np.bincount(index.labels, minlength=len(index.classes)).tolist()
    empty = [name for name, count in zip(index.classes, counts, strict=True) if not count]
    if empty:
        problems.append(f"without any image: {_some(empty)}")
    if source.counts and not difference:
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


def _is_unpacked(source: Source, folder: Path) -> bool:
    """Whether a folder holds a dataset and none of its archives."""
    packed = [archive for archive in source.archives if archive.unpack]
    if not folder.is_dir() or found_in(packed, folder):
        return False
    try:
        return source.index(folder).paths[0].is_file()  # the lists alone are no dataset
    except N3Error:
        return False


def _some(items: list[str]) -> str:
    """The number of classes and what is said of the first five."""
    listed = "; ".join(items[:5]) + ("; ..." if len(items) > 5 else "")
    return f"{len(items)} {'class' if len(items) == 1 else 'classes'} ({listed})"

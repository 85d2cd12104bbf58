"""Bringing a dataset of photographs onto the disk, and checking that all of it is there."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from n3lib.data.fetch.archives import fetch_archives, found_in
from n3lib.data.images import THREADS, load_image
from n3lib.data.photographs.source import Source
from n3lib.io import N3Error

MAX_PROBLEMS = 20


def fetch_dataset(source: Source, root: Path, given: Path | None = None) -> list[str]:
    """Bring a dataset into `root` and unpack it.

    `given` is an archive that is on the disk already, or the folder that holds it. One with another hash than
    the published one is taken if `verify` finds nothing wrong with what it holds.

    Returns:
        What is odd about the archives, a line each.

    Raises:
        N3Error: see `fetch_archives`; or `given` is the dataset itself, unpacked already.
    """
    if given is not None and _is_unpacked(source, given):
        raise N3Error(f"{given} holds {source.name} unpacked", f"Fetch nothing: use --root {given}")
    return fetch_archives(source.archives, root, given, source.terms, lambda: verify(source, root))


def verify(source: Source, root: Path) -> list[str]:
    """What is wrong with a dataset, a line each; at most `MAX_PROBLEMS`, then how many more.

    It decodes every image, which takes minutes.
    """
    try:
        index = source.index(root)
    except N3Error as error:
        return [str(error)]
    problems = [difference] if (difference := source.difference(index)) else []
    if len(index.paths) != source.images:
        problems.append(f"{index.folder} has {len(index.paths):,} images listed, not {source.images:,}")
    filled = set(index.labels.tolist())
    if empty := [name for label, name in enumerate(index.classes) if label not in filled]:
        problems.append(f"without any image: {_some(empty)}")
    if not difference and (other := source.miscounted(index)):
        listed = [f"{name} {count}, not {official}" for name, count, official in other]
        problems.append(f"other numbers of images than published: {_some(listed)}")

    def check(path: Path) -> str:
        try:
            load_image(path, 8)  # decodes it whole, keeps little
        except N3Error as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(THREADS) as pool:
        images = tqdm(pool.map(check, index.paths), "checking images", len(index.paths), disable=None)
        problems += filter(None, images)
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

"""The lists that datasets of photographs come with, as text files: of classes, of images and of labels."""

from collections.abc import Iterable
from pathlib import Path

from n3lib.data.fetch.unpack import leads_out
from n3lib.io.errors import N3Error
from n3lib.io.files import read_text, sha256


def find_folder(source: str, root: Path, names: tuple[str, ...], lists: tuple[str, ...], remedy: str) -> Path:
    """The dataset's folder: `root` or one of `names` in it, known by any of the files `lists`."""
    for folder in (root, *(root / name for name in names)):
        if any((folder / name).is_file() for name in lists):
            return folder
    raise N3Error(f"no {source} in {root}: {lists[0]} is missing", remedy)


def read_lines(path: Path, remedy: str) -> list[tuple[int, str]]:
    """The lines of a list that are not blank, stripped, with their numbers.

    Raises:
        N3Error: there is no such file, it cannot be read (see `read_text`), or it says nothing.
    """
    if not path.exists():
        raise N3Error(f"{path} does not exist", remedy)
    lines = enumerate(read_text(path).splitlines(), 1)
    found = [(number, line.strip()) for number, line in lines if line.strip()]
    if not found:
        raise N3Error(f"{path} is empty", remedy)
    return found


def read_pairs(path: Path, remedy: str, numbered: bool = True, spaces: bool = False) -> dict[str, str]:
    """Read lines of `id value` as `{id: value}`, in the order of the file.

    Args:
        path: the list.
        remedy: what the reader of an error can do.
        numbered: whether ids must be whole numbers; their leading zeros go.
        spaces: whether values may have spaces in them.

    Raises:
        N3Error: the file cannot be read, a line is not of that form, or an id stands there twice.
    """
    found: dict[str, str] = {}
    for number, line in read_lines(path, remedy):
        fields = line.split(maxsplit=1) if spaces else line.split()
        if len(fields) != 2 or (numbered and not fields[0].isdecimal()):
            raise N3Error(f"{path}, line {number}: {line[:80]!r} is not `id value`", remedy)
        key = str(int(fields[0])) if numbered else fields[0]
        if key in found:
            raise N3Error(f"{path}, line {number}: id {key} stands there twice", remedy)
        found[key] = fields[1]
    return found


def paths_in(folder: Path, names: Iterable[str], told: Path, remedy: str) -> list[Path]:
    """The files or folders in `folder` that the list `told` names.

    Raises:
        N3Error: a name is absolute, has `..` or a backslash in it, and so may lead out of the folder.
    """
    found = []
    for name in names:
        if leads_out(name):
            raise N3Error(f"{told} has a name that leads out of {folder}: {name[:80]!r}", remedy)
        found.append(folder / name)
    return found


def check_same_images(path: Path, labels: dict[str, str], images: dict[str, str], remedy: str) -> None:
    """Refuse a list of labels that is not about the same images as the list of images."""
    if labels.keys() != images.keys():
        odd = min(labels.keys() ^ images.keys())
        raise N3Error(f"{path} and images.txt do not agree on image {odd}", remedy)


def hash_lists(*paths: Path) -> str:
    """SHA-256 over files, wherever they lie."""
    return sha256(*(path.read_bytes() for path in paths))

"""The archives that datasets come in: those on the disk first, then from the web; verified and unpacked."""

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from n3lib.data.fetch import Archive
from n3lib.data.fetch.download import download_file, verify
from n3lib.data.fetch.unpack import extract
from n3lib.io import N3Error, read_json, write_json, writing
from n3lib.io.files import atomic

# A name, the number that browsers add to a second copy, and what `extract` unpacks.
_PACKED = re.compile(r"(.+?)(?: ?\(\d+\))?\.(?:zip|tar|tar\.gz|tgz)", re.IGNORECASE)


def fetch_archives(
    archives: Sequence[Archive], root: Path, given: Path | None, terms: str, prove: Callable[[], list[str]]
) -> list[str]:
    """Bring archives into `root`: from the disk if they are there, else from the web; then unpack them.

    What lies in `given` is taken first, then what lies in `root`. A downloaded archive stays in `root` and
    may be deleted once it is unpacked: the small file `.NAME.done` remembers that. Delete that file to have
    the archive unpacked again.

    An archive in `given` may have been packed anew, with another hash and perhaps another name. It is taken
    if `prove` finds nothing wrong with what it holds. Whatever else has another hash is refused.

    Args:
        given: one of the archives, or a folder that holds some of them.
        terms: for archives without a `url`, what must be agreed to and where, as one sentence.

    Returns:
        What is odd about the archives that were taken with another hash, a line each.

    Raises:
        N3Error: an archive is absent, unsafe or has a wrong hash; or see `download_file` and `extract`.
    """
    named = {} if given is None else _named(archives, given)
    places = [(one.filename, path) for one in archives for path in (root / one.filename, _kept(one, root))]
    local = {name: path for name, path in places if path.is_file()} | named
    waiting = [archive for archive in archives if not _is_done(archive, root)]
    # Before any download: hours of it should not end in a wish.
    absent = [archive for archive in waiting if not archive.url and archive.filename not in local]
    if absent:
        what = f"{_listed(absent)} must be fetched by hand and is not in {given or root}. {terms}"
        raise N3Error(what, f"Put it in {root}, or name the folder that holds it")
    if given is not None and waiting and not named:
        what = f"{given} holds no archive of this dataset ({_listed(archives)})"
        raise N3Error(what, "Name the folder that does, or none to download them")

    unproved: list[tuple[Archive, list[str]]] = []
    odd = []
    for archive in waiting:
        target = root / archive.filename if archive.unpack else _kept(archive, root)
        path = local.get(archive.filename, target)
        proved = True
        try:
            if archive.filename in local:
                verify(path, archive.md5)
            else:
                download_file(archive.url, path, archive.md5)
        except N3Error as error:
            # What is not unpacked cannot have been packed anew.
            if not archive.unpack or archive.filename not in named:
                raise
            odd.append(error.problem)
            proved = False
        names = extract(path, root / archive.into) if archive.unpack else _keep(path, _kept(archive, root))
        if proved:
            _mark(archive, root, names)
        else:
            unproved.append((archive, names))
    if unproved and (problems := prove()):
        taken = ", ".join(str(root / one.into / name) for one, names in unproved for name in names)
        what = f"{'; '.join(odd)}, and does not hold the dataset: {problems[0]}"
        raise N3Error(what, f"Delete {taken} and give an archive as published")
    for archive, names in unproved:
        _mark(archive, root, names)
    return odd


def found_in(archives: Sequence[Archive], folder: Path) -> dict[str, Path]:
    """The archives that lie in a folder, by their published names; under those, or packed anew."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise N3Error(f"{folder} cannot be read: {error.strerror}", "Check the folder") from None
    found = {}
    for archive in archives:
        if fitting := [path for path in files if _fits(path, archive)]:
            found[archive.filename] = min(fitting, key=lambda path: path.name != archive.filename)
    return found


def _fits(path: Path, archive: Archive) -> bool:
    """Whether a file is called like an archive, but for a number of a browser and the kind of archive."""
    if path.name == archive.filename:
        return True
    packed, official = _PACKED.fullmatch(path.name), _PACKED.fullmatch(archive.filename)
    return archive.unpack and packed is not None and official is not None and packed[1] == official[1]


def _named(archives: Sequence[Archive], given: Path) -> dict[str, Path]:
    """The archives that the user names, by their published names."""
    if given.is_dir():
        return found_in(archives, given)
    if not given.is_file():
        raise N3Error(f"{given} does not exist", "Name an archive or the folder that holds it")
    fitting = [archive.filename for archive in archives if len(archives) == 1 or _fits(given, archive)]
    if not fitting:
        raise N3Error(f"{given} is none of {_listed(archives)}", "Name the folder that holds them")
    return {fitting[0]: given}


def _listed(archives: Sequence[Archive]) -> str:
    return ", ".join(archive.filename for archive in archives)


def _kept(archive: Archive, root: Path) -> Path:
    """Where a file that is not unpacked belongs."""
    return root / archive.into / archive.filename


def _keep(path: Path, target: Path) -> list[str]:
    if path.resolve() != target.resolve():
        with writing(target, "Choose a writable folder"), atomic(target) as temporary:
            shutil.copyfile(path, temporary)
    return [target.name]


def _mark(archive: Archive, root: Path, names: list[str]) -> None:
    """Remember that an archive is unpacked, and into what."""
    marker = root / f".{archive.filename}.done"
    record = {"md5": archive.md5, "into": archive.into, "unpack": archive.unpack, "names": names}
    with writing(marker, "Choose a writable folder"):
        write_json(marker, record)


def _is_done(archive: Archive, root: Path) -> bool:
    """Whether the marker speaks of this very archive and what came out of it is still there."""
    try:
        found = read_json(root / f".{archive.filename}.done")
    except N3Error:
        return False
    if not isinstance(found, dict) or not isinstance(names := found.pop("names", None), list):
        return False
    same = found == {"md5": archive.md5, "into": archive.into, "unpack": archive.unpack}
    return same and all((root / archive.into / str(name)).exists() for name in names)

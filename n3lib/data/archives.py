"""The archives that datasets come in: those on the disk first, then from the web; verified and unpacked."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from n3lib.data.download import download, verify
from n3lib.data.unpack import extract
from n3lib.errors import N3Error
from n3lib.files import atomic, read_json, write_json, writing


@dataclass(frozen=True)
class Archive:
    """A file that a dataset comes in.

    Args:
        filename: its name in the dataset's root folder.
        url: where it is published; empty if it must be fetched by hand.
        md5: its hash in hexadecimal; empty if none is published.
        into: the folder below the root that it is unpacked in.
        unpack: whether to unpack it; if not, it is kept as it is, in `into`.
    """

    filename: str
    url: str = ""
    md5: str = ""
    into: str = ""
    unpack: bool = True


def fetch(archives: Sequence[Archive], root: Path, source: Path | None = None, terms: str = "") -> Path:
    """Bring archives into `root`: from the disk if they are there, else from the web; then unpack them.

    What lies in `source` is taken first, then what lies in `root`. A downloaded archive stays in `root` and
    may be deleted once it is unpacked: the small file `.NAME.done` remembers that. Delete that file to have
    the archive unpacked again.

    Args:
        archives: what the dataset comes in.
        root: the dataset's folder; made if needed.
        source: one of the archives, or a folder that holds some of them.
        terms: for archives without a `url`, what must be agreed to and where, as one sentence.

    Returns:
        `root`.

    Raises:
        N3Error: an archive has to be fetched by hand and is not there, has a wrong hash, or is unsafe; or see
            `download` and `extract`.
    """
    root = Path(root)
    local = _local(archives, root, source)
    waiting = [archive for archive in archives if not _is_done(archive, root)]
    # Before any download: hours of it should not end in a wish.
    absent = [archive.filename for archive in waiting if not archive.url and archive.filename not in local]
    if absent:
        raise N3Error(
            f"{', '.join(absent)} must be fetched by hand and is not in {source or root}"
            + (f". {terms}" if terms else ""),
            f"Put it in {root}, or name the folder that holds it",
        )
    for archive in waiting:
        if archive.filename in local:
            path = local[archive.filename]
            verify(path, archive.md5)
        else:
            path = root / (archive.filename if archive.unpack else _kept(archive))
            download(archive.url, path, archive.md5)
        names = extract(path, root / archive.into) if archive.unpack else _keep(path, root / _kept(archive))
        marker = _marker(archive, root)
        with writing(marker, "Choose a writable folder"):
            write_json(marker, _record(archive) | {"names": names})
    return root


def _local(archives: Sequence[Archive], root: Path, source: Path | None) -> dict[str, Path]:
    """Archives on the disk, by their file names."""
    found = {}
    for archive in archives:
        for path in (root / archive.filename, root / _kept(archive)):
            if path.is_file():
                found[archive.filename] = path
    if source is None:
        return found
    source = Path(source)
    if source.is_dir():
        given = {archive.filename: source / archive.filename for archive in archives}
        return found | {name: path for name, path in given.items() if path.is_file()}
    if not source.is_file():
        raise N3Error(f"{source} does not exist", "Name an archive or the folder that holds it")
    names = [archive.filename for archive in archives]
    if source.name in names:
        return found | {source.name: source}
    if len(names) == 1:
        return {names[0]: source}
    raise N3Error(f"{source} is none of {', '.join(names)}", "Name the folder that holds them")


def _kept(archive: Archive) -> Path:
    """Where a file that is not unpacked belongs, below the root."""
    return Path(archive.into) / archive.filename


def _keep(path: Path, target: Path) -> list[str]:
    if path.resolve() != target.resolve():
        with writing(target, "Choose a writable folder"), atomic(target) as temporary:
            shutil.copyfile(path, temporary)
    return [target.name]


def _marker(archive: Archive, root: Path) -> Path:
    return root / f".{archive.filename}.done"


def _record(archive: Archive) -> dict[str, Any]:
    return {"md5": archive.md5, "into": archive.into, "unpack": archive.unpack}


def _is_done(archive: Archive, root: Path) -> bool:
    """Whether the marker speaks of this very archive and what came out of it is still there."""
    try:
        record = read_json(_marker(archive, root))
    except N3Error:
        return False
    if not isinstance(record, dict) or not isinstance(names := record.pop("names", None), list):
        return False
    return record == _record(archive) and all((root / archive.into / str(name)).exists() for name in names)

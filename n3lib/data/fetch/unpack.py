"""Archives, unpacked so that nothing gets out of their folder and no small file fills the disk."""

import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from gzip import BadGzipFile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, NamedTuple

from tqdm import tqdm

from n3lib.io import N3Error, printable
from n3lib.io.files import check_space

# An archive that asks for more than this is refused as a bomb. Images hardly compress: 100 is far off.
MAX_BYTES = 200 * 10**9
MAX_RATIO = 100
MAX_MEMBERS = 1_000_000

_CHUNK = 1 << 20
_SLACK = 10**7  # what a tiny archive may hold however well it is compressed
_UNSAFE = "Do not use it: fetch it again from its publisher"
_TARS = (".tar", ".tar.gz", ".tgz")
_KINDS = {tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "symbolic link", tarfile.LNKTYPE: "hard link"}
# Members that say something of the next one.
_TEXTS = frozenset([tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE])
_TEXTS |= {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
# ValueError and its like: what tarfile and zipfile make of damaged numbers and names.
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, BadGzipFile, EOFError, zlib.error, lzma.LZMAError,
    ValueError, OverflowError, struct.error, IndexError,
)  # fmt: skip


def extract(archive_path: Path, folder: Path) -> list[str]:
    """Unpack a .zip, .tar, .tar.gz or .tgz into `folder`.

    Everything is checked before anything is written. Files appear under their names only when they are whole,
    and those already there with the right size are left alone, so an interrupted call can be repeated. Times,
    owners and modes in the archive are not used.

    Returns:
        The names at the top of the archive, sorted.

    Raises:
        N3Error: the archive is damaged or unsafe (links, devices, names that lead out, one file twice, far
            more than its size explains), or there is no space.
    """
    try:
        with _open_members(archive_path) as members:
            files = _check(archive_path, members)
            folder.mkdir(parents=True, exist_ok=True)
            for parent in {folder / name.parent for name in files}:  # by way of links that are there already
                if not parent.resolve().is_relative_to(folder.resolve()):
                    raise N3Error(f"{archive_path}: {parent} leads out of its folder", "Remove the link")
            todo = {name: file for name, file in files.items() if _size(folder / name) != file.size}
            check_space(folder, sum(file.size for file in todo.values()))
            bar = tqdm(todo.items(), printable(f"unpacking {archive_path.name}"), disable=None)
            for name, file in bar:
                _place(file, folder / name)
    except (*_DAMAGE, NotImplementedError) as error:
        what = f"{archive_path} is damaged or no such archive: {error}"
        raise N3Error(what, "Delete it and fetch it again") from None
    except FileNotFoundError as error:
        raise N3Error(f"{error.filename or archive_path} does not exist", "Check the path") from None
    except OSError as error:
        what = f"cannot unpack {archive_path} into {folder}: {error}"
        raise N3Error(what, "Make room, or choose another folder") from None
    return sorted({name.parts[0] for name in files})


def _size(path: Path) -> int:
    """The bytes of a file, -1 where there is none."""
    return path.stat().st_size if path.is_file() else -1


def leads_out(name: str) -> bool:
    """Whether a relative path with `/` may end outside the folder that it is taken in, on any system."""
    windows = PureWindowsPath(name)  # its parts end at both kinds of slash
    return ".." in windows.parts or bool(windows.anchor) or "\\" in name or "\0" in name


class _Member(NamedTuple):
    name: str
    size: int
    kind: str  # "file", "folder", or what it is instead
    open: Callable[[], IO[bytes] | None]


@contextmanager
def _open_members(path: Path) -> Iterator[Iterator[_Member]]:
    """The members of an archive, which can be opened as long as the context lasts."""
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            files = archive.infolist()
            if locked := next((info.filename for info in files if info.flag_bits & 1), None):
                raise N3Error(f"{path}: {locked!r} is encrypted", "Unpack it yourself")
            yield (_Member(i.filename, i.file_size, _zip_kind(i), partial(archive.open, i)) for i in files)
    elif path.name.lower().endswith(_TARS):
        with tarfile.open(path, tarinfo=_Header) as tar:
            yield (_Member(i.name, i.size, _tar_kind(i), partial(tar.extractfile, i)) for i in tar)
    else:
        raise N3Error(f"{path} is no archive by its name", f"Give a .zip, {', '.join(_TARS)}")


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "symbolic link" if mode == stat.S_IFLNK else "device"
    return "folder" if info.is_dir() else "file"


def _tar_kind(info: tarfile.TarInfo) -> str:
    return "file" if info.isreg() else _KINDS.get(info.type, "device")


class _Header(tarfile.TarInfo):
    """A header; one of a long text, which tarfile would read whole before any member is seen, is refused."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        header = super().frombuf(buf, encoding, errors)
        if header.type in _TEXTS and header.size > _CHUNK:
            raise N3Error(f"the archive has a header of {header.size / 1e6:.0f} MB", _UNSAFE)
        return header


def _check(path: Path, members: Iterator[_Member]) -> dict[PurePosixPath, _Member]:
    """The files of an archive by their path in the folder; refused if anything in it is not safe."""
    limit = min(MAX_BYTES, MAX_RATIO * path.stat().st_size + _SLACK)
    files: dict[PurePosixPath, _Member] = {}
    kinds: dict[str, str] = {}
    total = 0
    # The sum is looked at member by member, so that a bomb goes no further than the limit.
    for count, member in enumerate(members, 1):
        total += member.size
        if total > limit or member.size < 0 or count > MAX_MEMBERS:
            bound = f"{limit / 1e9:.2f} GB or {MAX_MEMBERS} files"
            raise N3Error(f"{path} would unpack into more than {bound}", _UNSAFE)
        if member.kind not in ("file", "folder"):
            raise N3Error(f"{path} holds a {member.kind}: {member.name!r}", _UNSAFE)
        place = PurePosixPath(member.name)
        if leads_out(member.name):
            raise N3Error(f"{path} holds a name that leads out of its folder: {member.name!r}", _UNSAFE)
        taken = [str(parent) for parent in place.parents if parent.parts]
        if member.kind == "folder":
            taken.append(str(place))
        clash = any(kinds.setdefault(os.path.normcase(folder), "folder") != "folder" for folder in taken)
        if member.kind == "file":
            clash = clash or not place.parts or os.path.normcase(place) in kinds
            kinds[os.path.normcase(place)] = "file"
            files[place] = member
        if clash:
            raise N3Error(f"{path} holds {member.name!r} twice", _UNSAFE)
    return files


def _place(file: _Member, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # No fsync for each of thousands of small files: a file cut short by a power failure has a wrong size.
    temporary = path.with_name(f".{path.name}.part")
    try:
        source = file.open()
        if source is None:
            raise EOFError(f"{file.name} has no content")
        with source, temporary.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
        if temporary.stat().st_size != file.size:
            raise EOFError(f"{file.name} is cut short")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

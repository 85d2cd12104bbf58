"""Archives of datasets: fetched so that a cut loses nothing, verified, unpacked so that nothing gets out.

A download is kept in `NAME.part` until it is whole and its hash is right, and is taken up where it stopped.
`fetch` takes files that are already on the disk first, and a second call finds everything done.
"""

import email.utils
import hashlib
import lzma
import os
import shutil
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from gzip import BadGzipFile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

import httpx
from tqdm import tqdm

from n3lib.errors import N3Error
from n3lib.files import atomic, read_json, write_json

TRIES = 5
# The longest wait, in seconds, that a server is granted before the call gives up.
PATIENCE = 60.0
# An archive that asks for more than this is refused as a bomb. Images hardly compress: 100 is far off.
MAX_BYTES = 200 * 10**9
MAX_RATIO = 100
MAX_MEMBERS = 1_000_000

_CHUNK = 1 << 20
_SLACK = 10**7  # what a tiny archive may hold however well it is compressed
_UNSAFE = "Do not use it: fetch it again from its publisher"
_TARS = (".tar", ".tar.gz", ".tgz")
# Members that say something of the next one.
_TEXTS = frozenset([tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE])
_TEXTS |= {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
# ValueError and its like: what tarfile and zipfile make of damaged numbers and names.
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, BadGzipFile, EOFError, zlib.error, lzma.LZMAError,
    ValueError, OverflowError, struct.error, IndexError,
)  # fmt: skip


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
            _verify(path, archive.md5)
        else:
            path = root / (archive.filename if archive.unpack else _kept(archive))
            download(archive.url, path, archive.md5)
        names = extract(path, root / archive.into) if archive.unpack else _keep(path, root / _kept(archive))
        _write(write_json, _marker(archive, root), _record(archive) | {"names": names})
    return root


def download(url: str, target: Path, md5: str = "") -> Path:
    """Fetch `url` into the file `target`, which appears only when it is whole and its hash is right.

    An earlier attempt is taken up where it stopped if the server can do that and its file is still the same.
    Cuts and server errors are tried again, up to `TRIES` times in a row without progress.

    Args:
        url: an http or https address.
        target: the file to write; one that is there already is verified and kept.
        md5: the expected hash in hexadecimal; empty to accept any.

    Returns:
        `target`.

    Raises:
        N3Error: no such address, no answer, no space, a wrong hash, or `target` cannot be written.
    """
    target = Path(target)
    _check_address(url)
    if target.is_file():
        _verify(target, md5)
        return target
    part = target.with_name(f"{target.name}.part")
    note = part.with_name(f"{part.name}.json")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _collect(url, part, note, bool(md5))
        found = md5_file(part)
        if md5 and found != md5.lower():
            part.unlink()
            note.unlink(missing_ok=True)
            raise N3Error(
                f"{url} arrived with MD5 {found} instead of {md5.lower()}",
                "Try again; if it stays so, the publisher has changed the file",
            )
        part.replace(target)
        note.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(target, error) from None
    return target


def md5_file(path: Path) -> str:
    """MD5 of a file in hexadecimal: what publishers of datasets give. It guards against accidents only."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def wait(attempt: int, retry_after: str = "") -> None:
    """Wait before the next try: 1, 2, 4, ... seconds, or what the server asks for.

    Args:
        attempt: how many tries have failed, from 1.
        retry_after: the server's `Retry-After`, in seconds or as a date; empty if it gave none.

    Raises:
        N3Error: the server asks for more than `PATIENCE` seconds.
    """
    seconds = 2.0 ** (attempt - 1)
    if retry_after.strip().isdecimal():
        seconds = float(retry_after)
    elif retry_after:
        try:
            date = email.utils.parsedate_to_datetime(retry_after)
            seconds = max(0.0, (date - datetime.now(UTC)).total_seconds())
        except (TypeError, ValueError):
            pass  # not a date either: wait as if it had said nothing
    if seconds > PATIENCE:
        raise N3Error(
            f"the server asks to wait {seconds:.0f} seconds", "Call again then: what is done so far is kept"
        )
    time.sleep(seconds)


def extract(archive_path: Path, folder: Path) -> list[str]:
    """Unpack a .zip, .tar, .tar.gz or .tgz into `folder`.

    Everything is checked before anything is written. Files appear under their names only when they are whole,
    and those already there with the right size are left alone, so an interrupted call can be repeated. Times,
    owners and modes in the archive are not used.

    Returns:
        The names at the top of the archive, sorted.

    Raises:
        N3Error: the archive is no such archive or damaged; it holds links, devices, absolute names, `..`, one
            file twice, or far more than its size explains (`MAX_BYTES`, `MAX_RATIO`, `MAX_MEMBERS`); or there
            is no space.
    """
    archive_path, folder = Path(archive_path), Path(folder)
    try:
        with _open_members(archive_path, folder) as members:
            files = _check(archive_path, members)
            folder.mkdir(parents=True, exist_ok=True)
            todo = {name: file for name, file in files.items() if not _is_there(folder / name, file.size)}
            _check_space(folder, sum(file.size for file in todo.values()))
            for name, file in tqdm(todo.items(), desc=f"unpacking {archive_path.name}", disable=None):
                _place(file, folder / name)
    except (*_DAMAGE, NotImplementedError) as error:
        raise N3Error(
            f"{archive_path} is damaged or no such archive: {error}", "Delete it and fetch it again"
        ) from None
    except FileNotFoundError as error:
        raise N3Error(f"{error.filename or archive_path} does not exist", "Check the path") from None
    except OSError as error:
        raise N3Error(
            f"cannot unpack {archive_path} into {folder}: {error}", "Make room, or choose another folder"
        ) from None
    return sorted({name.parts[0] for name in files})


# Files that are there already.


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
        _write(_copy, target, path)
    return [target.name]


def _copy(target: Path, path: Path) -> None:
    with atomic(target) as temporary:
        shutil.copyfile(path, temporary)


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


def _verify(path: Path, md5: str) -> None:
    if not md5:
        return
    try:
        found = md5_file(path)
    except OSError as error:
        raise N3Error(f"{path} cannot be read: {error.strerror}", "Check the file") from None
    if found != md5.lower():
        raise N3Error(f"{path} has MD5 {found} instead of {md5.lower()}", "It is not whole: fetch it again")


def _write(write: Callable[[Path, Any], None], target: Path, value: Any) -> None:
    try:
        write(target, value)
    except OSError as error:
        raise _unwritable(target, error) from None


def _unwritable(target: Path, error: OSError) -> N3Error:
    return N3Error(f"cannot write {target}: {error.strerror or error}", "Choose a writable folder")


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise N3Error(
            f"{folder} needs {needed / 1e9:.1f} GB more and has {free / 1e9:.1f} GB free", "Make room there"
        )


# Over the network.


class _Failure(Exception):
    """A request that is worth trying again."""

    def __init__(self, problem: str, retry_after: str = "") -> None:
        super().__init__(problem)
        self.retry_after = retry_after


def _check_address(url: str) -> None:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise N3Error(f"{url!r} is no address: {error}", "Correct it") from None
    if address.scheme not in ("http", "https") or not address.host:
        raise N3Error(f"{url!r} is no http or https address", "Correct it")


def _collect(url: str, part: Path, note: Path, hashed: bool) -> None:
    """Receive into `part` until it is whole."""
    failures = 0
    with httpx.Client(timeout=30, follow_redirects=True, headers={"User-Agent": "n3lib"}) as client:
        while True:
            before = _size(part)
            try:
                _receive(client, url, part, note, hashed)
                return
            except (httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
                raise N3Error(f"{url} leads nowhere: {error}", "Fetch the file by hand") from None
            except (_Failure, httpx.TransportError) as error:
                # A long download may be cut many times; only cuts without progress count.
                failures = 1 if _size(part) >= before + _CHUNK else failures + 1
                if failures >= TRIES:
                    raise N3Error(
                        f"{url} cannot be fetched: {error or type(error).__name__} ({TRIES} tries)",
                        "Call again later: what has arrived is kept",
                    ) from None
                wait(failures, getattr(error, "retry_after", ""))


def _receive(client: httpx.Client, url: str, part: Path, note: Path, hashed: bool) -> None:
    """One request: the rest of the file if that can be had, else the whole."""
    have, known = _resumable(url, part, note, hashed)
    if have and have == known["length"]:
        return  # all had arrived, only the name was missing
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if known["validator"]:
            headers["If-Range"] = known["validator"]
    with client.stream("GET", url, headers=headers) as response:
        status = response.status_code
        if status == 429 or status >= 500:
            raise _Failure(f"the server says {status}", response.headers.get("Retry-After", ""))
        if have and (status == 416 or (status == 206 and not _continues(response, have, known))):
            note.unlink(missing_ok=True)  # the next try starts afresh
            raise _Failure("the file has changed on the server")
        if status != 200 and not (have and status == 206):
            raise N3Error(f"{url} cannot be fetched: the server says {status}", "Fetch the file by hand")
        if response.headers.get("Content-Type", "").startswith("text/html") and ".htm" not in part.name:
            raise N3Error(f"{url} is a web page, not the file", "Open it and fetch the file by hand")
        if status == 200:
            have = 0
            length = int(response.headers.get("Content-Length", -1))
            known = {"url": url, "validator": _validator(response), "length": length}
        total = known["length"]
        _check_space(part.parent, max(0, total - have))
        with part.open("ab" if have else "wb") as file:
            if not have:
                write_json(note, known)
            size = max(total, have) or None
            with tqdm(
                desc=part.stem, total=size, initial=have, unit="B", unit_scale=True, disable=None
            ) as bar:
                # As the pieces come: collecting them into larger ones would lose the last one to a cut.
                for chunk in response.iter_raw():
                    file.write(chunk)
                    bar.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())
    if total >= 0 and _size(part) != total:
        raise _Failure(f"{_size(part)} of {total} bytes arrived")


def _resumable(url: str, part: Path, note: Path, hashed: bool) -> tuple[int, dict[str, Any]]:
    """How many bytes of the file are there, and what is known of it; 0 if they cannot be relied on."""
    have = _size(part)
    if not have or not note.is_file():
        return 0, {}
    try:
        known = read_json(note)
        usable = known["url"] == url and known["length"] >= have and (known["validator"] or hashed)
    except (N3Error, KeyError, TypeError):
        return 0, {}
    return (have, known) if usable else (0, {})


def _continues(response: httpx.Response, have: int, known: dict[str, Any]) -> bool:
    """Whether a partial answer is the rest of the same file."""
    rest = f"bytes {have}-{known['length'] - 1}/{known['length']}"
    if response.headers.get("Content-Range") != rest:
        return False
    # Some servers send a range of the new file where If-Range asked for the old one.
    return _validator(response) in ("", known["validator"])


def _validator(response: httpx.Response) -> str:
    """What tells this version of the file from another: a strong ETag, or its date."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


# Unpacking.


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    kind: str  # "file", "folder", or what it is instead
    open: Callable[[], IO[bytes] | None]


@contextmanager
def _open_members(path: Path, folder: Path) -> Iterator[Iterator[_Member]]:
    """The members of an archive, which can be opened as long as the context lasts."""
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            yield (_zip_member(path, archive, info) for info in archive.infolist())
    elif path.name.lower().endswith(_TARS):
        with tarfile.open(path, tarinfo=_Header) as tar:
            yield (_tar_member(path, folder, tar, info) for info in tar)
    else:
        raise N3Error(f"{path} is no archive by its name", f"Give a .zip, {', '.join(_TARS)}")


class _Header(tarfile.TarInfo):
    """A header; one of a long text, which tarfile would read whole before any member is seen, is refused."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        header = super().frombuf(buf, encoding, errors)
        if header.type in _TEXTS and header.size > _CHUNK:
            raise N3Error(f"the archive has a header of {header.size / 1e6:.0f} MB", _UNSAFE)
        return header


def _zip_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    if info.flag_bits & 1:
        raise N3Error(f"{path}: {info.filename!r} is encrypted", "Unpack it yourself")
    mode = stat.S_IFMT(info.external_attr >> 16)
    kind = "folder" if info.is_dir() else "file"
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind = "symbolic link" if mode == stat.S_IFLNK else "device"
    return _Member(info.filename, info.file_size, kind, lambda: archive.open(info))


def _tar_member(path: Path, folder: Path, tar: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    kind = "file" if info.isreg() else "folder" if info.isdir() else "device"
    if info.issym() or info.islnk():
        kind = "symbolic link" if info.issym() else "hard link"
    elif kind != "device" and hasattr(tarfile, "data_filter"):  # from Python 3.11.4
        try:
            tarfile.data_filter(info, str(folder))
        except tarfile.FilterError as error:
            raise N3Error(f"{path} is not safe to unpack: {error}", _UNSAFE) from None
    return _Member(info.name, info.size, kind, lambda: tar.extractfile(info))


def _check(path: Path, members: Iterator[_Member]) -> dict[PurePosixPath, _Member]:
    """The files of an archive by their place in the folder; refused if anything in it is not safe."""
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
        windows = PureWindowsPath(member.name)
        if ".." in windows.parts or windows.anchor or "\\" in member.name or "\0" in member.name:
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


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


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

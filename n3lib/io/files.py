"""Paths, atomic writes, hashes and safe reads: no file is ever seen half written."""

import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from n3lib.io.errors import N3Error

# No text comes near: the articles about NABirds' 404 species have 20 MB.
MAX_TEXT = 256 * 2**20
PARTIAL = ".n3-partial"  # ends the names of what is being written, and of nothing else

_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def expand(path: str | Path) -> Path:
    """A path in which `~` stands for the home folder; an `N3Error` where there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise N3Error(f"{path}: there is no such home folder", "Write the path without ~") from None


def cache_dir(cache: Path | str | None = None) -> Path:
    """The folder for what can be made again: `cache`, else the variable `N3_CACHE`, else `~/.cache/n3lib`."""
    if named := cache or os.environ.get("N3_CACHE"):
        return expand(named)
    try:
        return Path.home() / ".cache" / "n3lib"
    except RuntimeError:
        raise N3Error("there is no home folder for the cache", "Set N3_CACHE to a folder") from None


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it only when the block ends without an error."""
    path, temporary = Path(path), None
    if path.is_symlink():  # what it points to is written, and it stays
        path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as file:  # Windows syncs only what is open for writing
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        if os.name == "posix":  # the new name is on the disk only when its folder is
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        if PARTIAL in str(error.filename):  # a name that nobody knows
            error.filename = str(path)
        raise
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left half written; only where nobody else is writing."""
    for left in Path(folder).glob(f".?*{PARTIAL}"):  # as `atomic` names them
        shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextmanager
def writing(folder: Path, remedy: str) -> Iterator[None]:
    """Turn an `OSError` of the block, such as on a full disk, into an `N3Error` about `folder`."""
    try:
        yield
    except OSError as error:
        raise N3Error(f"{folder} cannot be written: {error.strerror or error}", remedy) from None


def check_writable(path: Path, folder: bool = False, remedy: str = "Choose a writable folder") -> None:
    """Refuse a file (or `folder`) that could not be written, before the work; make the folder that holds it.

    Raises:
        N3Error: a folder is in the file's place or a file in a folder's, or nothing can be written there.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() if folder else path.is_file()):
        kind = "a folder" if path.is_dir() else "a file" if path.is_file() else "a device or a pipe"
        raise N3Error(f"{path} is {kind}, not {'a folder' if folder else 'a file'}", "Choose another name")
    home = path if folder else path.parent
    if blocking := next((place for place in (home, *home.parents) if place.is_file()), None):
        raise N3Error(f"{path} cannot be written: {blocking} is a file", remedy)
    with writing(path, remedy):
        home.mkdir(parents=True, exist_ok=True)
        # By a name that `sweep` knows, should the process be killed here.
        with tempfile.NamedTemporaryFile(dir=home, prefix=".", suffix=PARTIAL):
            pass


def check_space(folder: Path, needed: int) -> None:
    """Refuse, with an `N3Error`, what a disk has no room for; `needed` in bytes."""
    if (free := shutil.disk_usage(folder).free) < needed:
        what = f"{folder} needs {needed / 1e9:.1f} GB more and has {free / 1e9:.1f} GB free"
        raise N3Error(what, "Make room there")


def write_text(path: Path, text: str) -> None:
    """Write `text` atomically, as UTF-8; an `N3Error` if it holds a file name that is not."""
    try:
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except UnicodeEncodeError as error:
        part = text[: error.end].rpartition("\n")[2].strip()[-80:]
        raise N3Error(f"{path} cannot hold {part}, which is not UTF-8", "Rename what is called so") from None


def write_json(path: Path, value: Any, by_field: bool = False) -> None:
    """Write `value` atomically as indented JSON; a dict `by_field` with a line for each of its fields.

    Raises:
        N3Error: a number in it is not finite.
    """
    dumps = partial(json.dumps, ensure_ascii=False, allow_nan=False)
    try:
        if by_field:
            text = "{\n" + ",\n".join(f"{dumps(name)}: {dumps(one)}" for name, one in value.items()) + "\n}"
        else:
            text = dumps(value, indent=1)
    except ValueError as error:
        raise N3Error(f"{path} is not written: {error}", "See where the number comes from") from None
    write_text(path, text + "\n")


def read_text(path: Path, most: int = 0) -> str:
    """Read a text file as people's programs save it: as UTF-8, or as UTF-16 with a byte order mark.

    Other encodings do not say which they are, and a wrong guess turns letters into others unseen.

    Raises:
        N3Error: it cannot be read, is in another encoding, or has more than `most` bytes (0: `MAX_TEXT`).
    """
    most = most or MAX_TEXT
    try:
        with Path(path).open("rb") as file:
            raw = file.read(most + 1)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        why = "does not exist" if missing else f"cannot be read: {error.strerror}"
        raise N3Error(f"{path} {why}", "Check the path") from None
    if len(raw) > most:
        raise N3Error(f"{path} is larger than {most / 1e6:g} MB", "Divide it, or check what it is")
    codec = _UTF16.get(raw[:2], "utf-8")
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError as error:
        line = raw[: error.start].decode(codec, "ignore").count("\n") + 1
        problem = f"{path}, line {line}: byte 0x{raw[error.start]:02X} is not {codec[:6].upper()}"
        remedy = "Save the file as UTF-8: it is in another encoding, such as Windows-1252, or damaged"
        raise N3Error(problem, remedy) from None
    if "\0" in text:  # the bytes of UTF-16 without its mark are UTF-8, with a NUL after each letter
        line = text[: text.index("\0")].count("\n") + 1
        raise N3Error(f"{path}, line {line}: a NUL character: this is no text in UTF-8", "Save it as UTF-8")
    return text.removeprefix("\ufeff")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        N3Error: `read_text` refuses it, or it is not JSON, or has one key twice, a number that is not finite,
            or half of a character: `json` takes these, but nobody means them.
    """
    text = read_text(path)
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite)
        if re.search(r"\\u[dD][89a-fA-F]", text):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except KeyError as error:
        raise N3Error(f"{path} has {error} twice", "Keep one of them") from None
    except (ValueError, RecursionError) as error:  # ValueError: of JSON, or a number of 5,000 digits
        raise N3Error(f"{path} is not valid JSON: {error}", "Correct the file") from None


def read_record(path: Path, remedy: str, **parts: Callable[[Any], bool]) -> dict[str, Any]:
    """Read a JSON object that may come from anybody; an `N3Error` if a part is not what is relied on.

    `parts` says that, by key, of a value; one that is missing is `...`.
    """
    value = read_json(path)
    for part, sound in parts.items():
        if not isinstance(value, dict) or not sound(value.get(part, ...)):
            raise N3Error(f"{path} is damaged or of another version: see its {part!r}", remedy)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise KeyError(name)
        found[name] = value
    return found


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not a finite number")
    return number


def sha256(*parts: bytes | str) -> str:
    """Hex digest over the parts; lengths are hashed too, so that ("ab", "c") and ("a", "bc") differ."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

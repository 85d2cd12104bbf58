"""Atomic writes, hashes and safe reads: no file is ever seen half written, none is unpickled."""

import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from n3lib.errors import N3Error

# No file of descriptions comes near: the articles about NABirds' 404 species have 20 MB.
MAX_JSON = 256 * 2**20


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it only when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
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
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left half written; only where nobody else is writing."""
    for left in Path(folder).glob(".?*.????????"):  # as `atomic` names them
        left.unlink()


@contextmanager
def writing(folder: Path, remedy: str) -> Iterator[None]:
    """Say in one line that `folder` cannot be written, such as on a full disk.

    Raises:
        N3Error: the block ended with an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise N3Error(f"{folder} cannot be written: {error.strerror or error}", remedy) from None


def check_writable(path: Path, folder: bool = False, remedy: str = "Choose a writable folder") -> None:
    """Refuse a file that could not be written, before the work whose result goes there. Its folder is made.

    Args:
        path: the file.
        folder: whether `path` is a folder, which is made.
        remedy: what to do where it cannot be written.

    Raises:
        N3Error: a folder is in the file's place or a file in a folder's, or nothing can be written there.
    """
    path = Path(path)
    if path.exists() and path.is_dir() != folder:
        kinds = ("a file", "a folder")
        raise N3Error(f"{path} is {kinds[not folder]}, not {kinds[folder]}", "Choose another name")
    home = path if folder else path.parent
    if blocking := next((place for place in (home, *home.parents) if place.is_file()), None):
        raise N3Error(f"{path} cannot be written: {blocking} is a file", remedy)
    with writing(path, remedy):
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass


def check_space(folder: Path, needed: int) -> None:
    """Refuse what a disk has no room for, before it is begun; `needed` in bytes.

    Raises:
        N3Error: it has less.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise N3Error(
            f"{folder} needs {needed / 1e9:.1f} GB more and has {free / 1e9:.1f} GB free", "Make room there"
        )


def write_text(path: Path, text: str) -> None:
    """Write `text` atomically, as UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as indented JSON; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file, or say in one line what is wrong with it.

    Raises:
        N3Error: it is not there, not JSON, larger than `MAX_JSON`, or has one key twice, a number that is not
            finite, or half of a character: `json` takes these, but nobody means them.
    """
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            text = file.read(MAX_JSON + 1)
        if len(text) > MAX_JSON:
            raise N3Error(f"{path} is larger than {MAX_JSON >> 20} MB", "Divide it, or check what it is")
        value = json.loads(text, object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite)
        if re.search(r"\\u[dD][89a-fA-F]", text):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except FileNotFoundError:
        raise N3Error(f"{path} does not exist", "Check the path") from None
    except OSError as error:
        raise N3Error(f"{path} cannot be read: {error.strerror}", "Check the path") from None
    except KeyError as error:
        raise N3Error(f"{path} has {error} twice", "Keep one of them") from None
    except (ValueError, RecursionError) as error:  # ValueError: of JSON, UTF-8 or a number of 5,000 digits
        raise N3Error(f"{path} is not valid JSON: {error}", "Correct the file") from None


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


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors atomically as safetensors, with a hash by which `read_tensors` knows damage.

    Raises:
        OSError: it cannot be written, such as on a full disk.
    """
    # safetensors refuses tensors that share memory, so each goes in as its own contiguous copy.
    ready = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    told = dict(metadata or {})
    with atomic(path) as temporary:
        try:
            save_file(ready, temporary, metadata=told | {"sha256": _digest(ready, told)})
        except SafetensorError as error:
            raise OSError(str(error)) from None


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: its tensors and its metadata.

    Raises:
        N3Error: it is not there, no such file, or not as `write_tensors` left it. Files of others have no
            hash; they are read as they are.
    """
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in list(file.keys())}
        metadata = dict(file.metadata() or {})
    expected = metadata.pop("sha256", None)
    if expected is not None and expected != _digest(tensors, metadata):
        raise N3Error(f"{path} is damaged: its hash is another", "Make or download it again")
    return tensors, metadata


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors in a safetensors file, of which none is read.

    The format makes sure that the file is as large as they say: a header alone cannot claim memory.

    Raises:
        N3Error: it is not there, or no such file.
    """
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in list(file.keys())}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise N3Error(f"{path} does not exist", "Check the path, or make the file again") from None
    except (SafetensorError, OSError) as error:
        raise N3Error(
            f"{path} is not a readable safetensors file: {error}", "Make or download it again"
        ) from None


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Hash of all that a safetensors file says. The format itself does not notice a flipped bit."""
    names = sorted(tensors)
    form = [(name, str(tensors[name].dtype), list(tensors[name].shape)) for name in names]
    digest = hashlib.sha256(json.dumps([dict(metadata), form], sort_keys=True).encode())
    for name in names:
        digest.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


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

"""Atomic writes, hashes and safe reads: no file is ever seen half written, none is unpickled."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from n3lib.errors import N3Error


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
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` atomically, as UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as indented JSON; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file, or say in one line what is wrong with it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise N3Error(f"{path} does not exist", "Check the path") from None
    except OSError as error:
        raise N3Error(f"{path} cannot be read: {error.strerror}", "Check the path") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise N3Error(f"{path} is not valid JSON: {error}", "Correct the file") from None


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors atomically as safetensors."""
    # safetensors refuses tensors that share memory, so each goes in as its own contiguous copy.
    ready = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with atomic(path) as temporary:
        save_file(ready, temporary, metadata=dict(metadata or {}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: its tensors and its metadata."""
    try:
        with safe_open(str(path), framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except FileNotFoundError:
        raise N3Error(f"{path} does not exist", "Check the path, or make the file again") from None
    except (SafetensorError, OSError) as error:
        raise N3Error(
            f"{path} is not a readable safetensors file: {error}", "Make or download it again"
        ) from None


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

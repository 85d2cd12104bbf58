"""Tensors on disk: safetensors with a hash, so that damage is noticed and nothing is unpickled."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from n3lib.io import N3Error
from n3lib.io.files import PARTIAL, atomic

_AGAIN = "Make or download it again"


def check_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    """Refuse, with an `N3Error`, numbers that are not finite; `what` they are of."""
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise N3Error(f"{what}: {name} is not finite", "See where the numbers come from")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] = {}) -> None:
    """Write tensors atomically as safetensors, with a hash by which `read_tensors` knows damage.

    An `N3Error` for a number that is not finite; an `OSError` such as on a full disk.
    """
    check_finite(tensors, str(path))
    # safetensors refuses tensors that share memory, so each goes in as its own contiguous copy.
    ready = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {**metadata, "sha256": _digest(ready, metadata)}
    # In a folder of its own, as safetensors writes a temporary file beside its target.
    with atomic(path) as new, TemporaryDirectory(PARTIAL, f"{new.name}.", new.parent) as home:
        try:
            save_file(ready, Path(home) / "tensors", metadata)
        except SafetensorError as error:
            raise OSError(str(error)) from None
        (Path(home) / "tensors").replace(new)


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
        raise N3Error(f"{path} is damaged: its hash is another", _AGAIN)
    return tensors, metadata


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of a safetensors file, none of its tensors read; the format ensures that they are there."""
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in list(file.keys())}


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file, none of its tensors read."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise N3Error(f"{path} does not exist", "Check the path, or make the file again") from None
    except (SafetensorError, OSError) as error:
        raise N3Error(f"{path} is not a readable safetensors file: {error}", _AGAIN) from None


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Hash of all that a safetensors file says. The format itself does not notice a flipped bit."""
    names = sorted(tensors)
    form = [(name, str(tensors[name].dtype), list(tensors[name].shape)) for name in names]
    digest = hashlib.sha256(json.dumps([dict(metadata), form], sort_keys=True).encode())
    for name in names:
        digest.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()

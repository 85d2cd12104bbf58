"""Tensors on disk: safetensors with a hash, so that damage is noticed and nothing is unpickled."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from n3lib.io import N3Error
from n3lib.io.files import PARTIAL, atomic

_AGAIN = "Make or download it again"
SPARSE = ("@bits", "@values", "@shape")  # ends of the names of what a tensor with many zeros is kept as
SMALL, MOST = 1_000, 5 * 10**7  # numbers: of fewer, zeros are kept as they are; of more, none are believed


def check_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    """Refuse, with an `N3Error`, numbers that are not finite; `what` they are of."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.itemsize == 1:
            raise N3Error(f"{what}: {name} is of a type with eight bits", "Use float16 or float32")
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


def without_zeros(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same in less room: of large tensors with many zeros, a bit per number, and the other numbers."""
    found = dict[str, Tensor]()
    for name, tensor in tensors.items():
        other = tensor != 0
        if tensor.numel() < SMALL or int(other.sum()) > 7 * tensor.numel() / 8:
            found[name] = tensor
        else:
            bits = torch.from_numpy(np.packbits(other.flatten().cpu().numpy()))
            parts = bits, tensor[other], torch.tensor(tensor.shape)
            found |= {f"{name}{part}": one for part, one in zip(SPARSE, parts, strict=True)}
    return found


def with_zeros(tensors: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """The inverse of `without_zeros`; an `N3Error` if parts do not fit, `what` they are of."""
    found, room = {name: one for name, one in tensors.items() if not name.endswith(SPARSE)}, MOST
    for name in (name.removesuffix(SPARSE[0]) for name in tensors if name.endswith(SPARSE[0])):
        try:
            bits, values, shape = (tensors[f"{name}{part}"] for part in SPARSE)
            size = math.prod(shape.tolist())
            room -= size  # a small file may claim much
            if room < 0:
                raise ValueError
            other = torch.from_numpy(np.unpackbits(bits.numpy())[:size]).bool()
            if len(other) != size or int(other.sum()) != len(values):  # no more is claimed than is there
                raise ValueError
            dense = torch.zeros(size, dtype=values.dtype).masked_scatter_(other, values)
            found[name] = dense.reshape(shape.tolist())
        except (LookupError, RuntimeError, TypeError, ValueError):
            raise N3Error(f"{what}: its {name} does not fit together", _AGAIN) from None
    return found


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Hash of all that a safetensors file says. The format itself does not notice a flipped bit."""
    names = sorted(tensors)
    form = [(name, str(tensors[name].dtype), list(tensors[name].shape)) for name in names]
    digest = hashlib.sha256(json.dumps([dict(metadata), form], sort_keys=True).encode())
    for name in names:
        digest.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()

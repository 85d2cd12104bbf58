"""What a run or a result was made with."""

import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ["n3lib", "torch", "torchvision", "transformers", "numpy", "scipy", "scikit-learn", "accelerate"]


def environment(hashes: Mapping[str, str]) -> dict[str, Any]:
    """Packages, device, threads, code revision, and the `hashes` of the data, as JSON holds them."""
    found = [next(iter(distributions(name=name)), None) for name in _PACKAGES]
    command, revision = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"], ""
    with suppress(OSError):  # there is no git here
        revision = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace").stdout
    return {
        "packages": {name: one.version for name, one in zip(_PACKAGES, found, strict=True) if one},
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "data_hashes": hashes,
        "code_revision": revision.strip() or None,
    }

"""What a run or a result was made with."""

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def environment(hashes: Mapping[str, str]) -> dict[str, Any]:
    """What a result was made with: packages, device, threads, data hashes, code revision."""
    packages = (
        "n3lib",
        "torch",
        "torchvision",
        "transformers",
        "numpy",
        "scipy",
        "scikit-learn",
        "accelerate",
    )
    installed = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    try:
        command, here = ["git", "describe", "--always", "--dirty"], Path(__file__).parent
        git = subprocess.run(
            command, cwd=here, capture_output=True, encoding="utf-8", errors="replace"
        ).stdout.strip()
    except OSError:  # there is no git here
        git = ""
    return {
        "packages": {name: installed[name] for name in packages if name in installed},
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "data_hashes": hashes,
        "code_revision": git or None,
    }

"""What every test gets: fixed seeds, two threads, and a cache folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def _session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two threads, so that numbers do not depend on the machine, and never the user's cache."""
    torch.set_num_threads(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("N3_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session")
def pack() -> Path:
    """The folder of real data that lies beside the repository on development machines."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"needs the development data in {path}: this test runs only where that folder exists")
    return path

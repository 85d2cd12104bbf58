"""Tensors are written whole or not at all, and come back as they were."""

from pathlib import Path
from typing import Any

import pytest
import torch

from n3lib.io.errors import N3Error
from n3lib.io.tensors import read_tensors, write_tensors


def test_tensors_round_trip_even_where_they_share_memory(tmp_path: Path) -> None:
    base = torch.arange(12.0).view(3, 4)
    tensors = {"whole": base, "turned": base.T, "half": base[:2].half(), "empty": torch.zeros(0)}
    write_tensors(tmp_path / "t.safetensors", tensors, {"step": "3"})
    found, metadata = read_tensors(tmp_path / "t.safetensors")
    assert metadata == {"step": "3"}
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_tensors_that_are_not_finite_are_not_written(number: float, tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    with pytest.raises(N3Error, match="weight"):
        write_tensors(path, {"fine": torch.arange(3), "weight": torch.tensor([0.0, number])})
    assert not list(tmp_path.iterdir())


def test_a_library_s_temporary_files_never_lie_beside_the_users(tmp_path: Path, monkeypatch: Any) -> None:
    def killed(tensors: object, path: Path, metadata: object) -> None:
        (path.parent / ".tmpHynjPy").write_bytes(b"half")  # as safetensors writes
        raise KeyboardInterrupt

    monkeypatch.setattr("n3lib.io.tensors.save_file", killed)
    with pytest.raises(KeyboardInterrupt):
        write_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(1)})
    assert list(tmp_path.iterdir()) == []

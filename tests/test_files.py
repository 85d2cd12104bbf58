"""Files are written whole or not at all, and what is wrong with one is told in one line."""

import errno
import json
from pathlib import Path

import pytest
import torch

from n3lib.errors import N3Error
from n3lib.files import (
    atomic,
    check_writable,
    read_json,
    read_tensors,
    sha256,
    sha256_file,
    write_json,
    write_tensors,
)


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file"
    with atomic(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_where_a_file_can_go_is_known_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("old")
    check_writable(tmp_path / "file")
    check_writable(tmp_path / "new" / "below" / "file")
    check_writable(tmp_path / "folder", folder=True)
    assert {path.name for path in tmp_path.rglob("*")} == {"file", "new", "below", "folder"}
    for path, folder in [("folder", False), ("file", True), ("file/below", False), ("file/below", True)]:
        with pytest.raises(N3Error, match=path):
            check_writable(tmp_path / path, folder)
    assert (tmp_path / "file").read_text() == "old"

    def refused(*_: object, **how: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", f"{how['dir']}/tmpabcdefgh")

    monkeypatch.setattr("n3lib.files.tempfile.TemporaryFile", refused)
    with pytest.raises(N3Error, match="new/result.json cannot be written: Permission denied") as caught:
        check_writable(tmp_path / "new" / "result.json")
    assert "tmpabcdefgh" not in str(caught.value)


def test_json_round_trip_and_no_nan(tmp_path: Path) -> None:
    value = {"bird": ["grün", 1.5, None]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == value


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


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe", b"\x10\0\0\0\0\0\0\0{"])
@pytest.mark.parametrize("read", [read_json, read_tensors])
def test_unreadable_files_are_named_in_one_line(read, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(N3Error, match="file") as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_json, read_tensors])
def test_a_folder_is_no_file(read, tmp_path: Path) -> None:
    with pytest.raises(N3Error, match=tmp_path.name):
        read(tmp_path)


def test_errors_are_one_sentence_each_in_one_line() -> None:
    error = N3Error("no weights: proxy\nrefused.", "Connect once.")
    assert str(error) == "no weights: proxy refused. Connect once."
    assert str(N3Error("too large")) == "too large."
    assert error.remedy == "Connect once"


def test_hashes(tmp_path: Path) -> None:
    assert sha256("ab", "c") != sha256("a", "bc")
    assert sha256("a") == sha256(b"a")
    (tmp_path / "abc").write_bytes(b"abc")
    # The first test vector of FIPS 180-2.
    assert sha256_file(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")

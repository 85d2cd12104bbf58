"""Files are written whole or not at all, and what is wrong with one is told in one line."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from n3lib.io import files
from n3lib.io.errors import N3Error
from n3lib.io.files import (
    PARTIAL,
    atomic,
    check_writable,
    expand,
    read_json,
    read_record,
    read_text,
    sha256,
    sha256_file,
    sweep,
    write_json,
)
from n3lib.io.tensors import read_tensors


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file"
    with atomic(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_reported_of_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, atomic(tmp_path / "result.json") as temporary:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(temporary))
    assert caught.value.filename == str(tmp_path / "result.json")
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_what_a_link_points_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "target.json")
    write_json(tmp_path / "link.json", [1])
    assert (tmp_path / "link.json").is_symlink() and read_json(tmp_path / "target.json") == [1]


def test_a_pipe_is_no_place_for_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(N3Error, match="pipe"):
        check_writable(tmp_path / "pipe")


def test_a_name_that_is_not_utf_8_is_refused_and_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"root": "birds"})
    with pytest.raises(N3Error, match=r"root.*birds-\\udcff"):
        write_json(tmp_path / "a.json", {"root": os.fsdecode(b"birds-\xff")})
    assert read_json(tmp_path / "a.json") == {"root": "birds"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


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

    monkeypatch.setattr("n3lib.io.files.tempfile.NamedTemporaryFile", refused)
    with pytest.raises(N3Error, match="new/result.json") as caught:
        check_writable(tmp_path / "new" / "result.json")
    assert "tmpabcdefgh" not in str(caught.value)


def test_json_round_trip_and_no_nan(tmp_path: Path) -> None:
    value = {"bird": ["grün", 1.5, None]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    with pytest.raises(N3Error, match="a.json"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == value


@pytest.mark.parametrize("name", [".env.template", ".bashrc.20241128", ".vimrc.original", ".a.b.c3d4e5f6"])
def test_sweeping_takes_only_what_a_killed_writer_left(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    (tmp_path / f".a.safetensors.x1y2z3{PARTIAL}").mkdir()  # as a kill leaves them
    (tmp_path / f".a.safetensors.x1y2z3{PARTIAL}" / ".tmpHynjPy").write_text("of a library")
    (tmp_path / f".a.json.x1y2z3{PARTIAL}").write_text("half")
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {name}


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


def test_hashes(tmp_path: Path) -> None:
    assert sha256("ab", "c") != sha256("a", "bc")
    assert sha256("a") == sha256(b"a")
    (tmp_path / "abc").write_bytes(b"abc")
    # The first test vector of FIPS 180-2.
    assert sha256_file(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le with a mark", "utf-16-be with a mark"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_texts_as_editors_save_them(tmp_path: Path, encoding: str) -> None:
    codec, _, mark = encoding.partition(" ")
    text = '{"Café 鳥 \U0001f426": ["größer"]}\r\n'
    (tmp_path / "a.json").write_bytes((("\ufeff" if mark else "") + text).encode(codec))
    assert read_text(tmp_path / "a.json") == text
    assert read_json(tmp_path / "a.json") == {"Café 鳥 \U0001f426": ["größer"]}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("one\ntwo\ncafé".encode("latin-1"), "line 3"),
        ("one\n“two”".encode("cp1252"), "line 2"),
        ("one\ntwo\n".encode("utf-16-le"), "line 1"),  # without its mark
        ("one\ntwo".encode("utf-16")[:-1], "line 2"),  # cut in a character
        (b"\xff\xfeo\0\n\0\x00\xd8o\0", "line 2"),  # half of a character
        (b"\x89PNG\r\n\x1a\n\0\0", "line 1"),
    ],
)
@pytest.mark.parametrize("read", [read_text, read_json])
def test_other_encodings_are_refused_with_their_line(read, tmp_path: Path, content: bytes, line: str) -> None:
    (tmp_path / "birds").write_bytes(content)
    with pytest.raises(N3Error, match=rf"birds, {line}\b") as error:
        read(tmp_path / "birds")
    assert "UTF-8" in error.value.remedy


def test_no_text_is_read_beyond_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_TEXT", 8)
    (tmp_path / "large").write_text('["1234"]')
    assert read_json(tmp_path / "large") == ["1234"]
    (tmp_path / "large").write_text('["12345"]')
    with pytest.raises(N3Error, match="large"):
        read_json(tmp_path / "large")


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert expand("~/run") == expand(Path("~/run")) == tmp_path / "run"
    assert [expand(path) for path in ("a/~/b", "/a", ".")] == [Path("a/~/b"), Path("/a"), Path(".")]


def test_no_home_folder() -> None:
    with pytest.raises(N3Error, match="~no-such-user/run"):
        expand("~no-such-user/run")


@pytest.mark.parametrize("value", [[], 3, {}, {"size": "3"}, {"size": 0}])
def test_a_record_of_anybody_is_read_as_far_as_it_is_relied_on(value: Any, tmp_path: Path) -> None:
    def sound(size: Any) -> bool:
        return isinstance(size, int) and size > 0

    write_json(tmp_path / "card.json", {"size": 3, "more": None})
    assert read_record(tmp_path / "card.json", "Make it", size=sound)["size"] == 3
    write_json(tmp_path / "card.json", value)
    with pytest.raises(N3Error, match=r"card.json.*size"):
        read_record(tmp_path / "card.json", "Make it", size=sound)

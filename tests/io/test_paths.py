"""`~` in a path is the home folder; where there is none, one line says so."""

from pathlib import Path

import pytest

from n3lib.io.errors import N3Error
from n3lib.io.paths import expand


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert expand("~/run") == expand(Path("~/run")) == tmp_path / "run"
    assert [expand(path) for path in ("a/~/b", "/a", ".")] == [Path("a/~/b"), Path("/a"), Path(".")]


def test_no_home_folder() -> None:
    with pytest.raises(N3Error, match="~no-such-user/run"):
        expand("~no-such-user/run")

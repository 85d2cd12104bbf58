"""Small archives, and the files in a folder."""

import io
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

FILES = [("./birds/jay/1.jpg", b"one"), ("birds/jay/2.jpg", b""), ("classes.txt", b"1 jay")]


@pytest.fixture
def make_archive() -> Callable[..., Path]:
    """Writes an archive of (name, content); a TarInfo instead of content goes in as it is."""

    def make(path: Path, members: Sequence[tuple[Any, Any]] = FILES) -> Path:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in members:
                    archive.writestr(name, content)
            return path
        with tarfile.open(path, "w" if path.suffix.lower() == ".tar" else "w:gz") as tar:
            for name, content in members:
                info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
                info.name = name
                if isinstance(content, bytes):
                    info.size, info.mode = len(content), 0o6777
                tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
        return path

    return make


@pytest.fixture
def names() -> Callable[[Path], list[str]]:
    """The files below a folder, sorted."""
    return lambda folder: sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


class Site:
    """Sends `body`; each request first takes the next instruction from `script`.

    An instruction is a status to answer with, `("cut", n)` to break off after n bytes, or None.
    """

    def __init__(self) -> None:
        self.url, self.body, self.tag, self.type = "", bytes(range(256)) * 40, '"one"', ""  # 10,240 bytes
        self.ranges, self.stubborn = True, False
        self.script: list[Any] = []
        self.requests: list[tuple[str | None, str | None]] = []
        self.failure: dict[str, str] = {}

    def answer(self, request: Any) -> None:
        range_, condition = request.headers.get("Range"), request.headers.get("If-Range")
        self.requests.append((range_, condition))
        step = self.script.pop(0) if self.script else None
        if isinstance(step, int):
            return request.reply(step, headers=self.failure)
        body, status, headers = self.body, 200, {"ETag": self.tag, "Content-Type": self.type}
        headers = {name: value for name, value in headers.items() if value}
        if range_ and self.ranges and (condition in (None, self.tag) or self.stubborn):
            start = int(range_.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                return request.reply(416)
            status, headers["Content-Range"] = 206, f"bytes {start}-{len(body) - 1}/{len(body)}"
            body = body[start:]
        request.reply(status, body, headers, step[1] if step else -1)


@pytest.fixture
def site(serve: Callable[..., str]) -> Site:
    """A server of one file."""
    site = Site()
    site.url = f"{serve(site.answer)}/birds.tgz"
    return site

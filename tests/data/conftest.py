"""Small datasets of photographs, each in exactly its official layout, and a server on this machine."""

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from n3lib.data import SOURCES
from n3lib.data.dataset import Split
from n3lib.data.names import human_name
from n3lib.data.photographs.acquisition import verify
from n3lib.data.photographs.awa2 import AWA2
from n3lib.data.photographs.cub import CUB, CUB2010
from n3lib.data.photographs.flowers import FLOWERS, FLOWERS_SPECIES
from n3lib.data.photographs.nabirds import NABIRDS
from n3lib.data.photographs.source import Source


class Request(BaseHTTPRequestHandler):
    """A GET that the server's function answers."""

    def do_GET(self) -> None:
        self.server.answer(self)  # type: ignore[attr-defined]

    def reply(self, status: int, body: bytes = b"", headers: Any = None, sent: int = -1) -> None:
        """Send `body`, or break off after `sent` bytes of it."""
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if sent < 0 else body[:sent])
        self.close_connection = sent >= 0

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Request], None]], str]]:
    """Starts a server that answers by a function; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Request)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})

    def start(answer: Callable[[Request], None]) -> str:
        server.answer = answer  # type: ignore[attr-defined]
        thread.start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    if thread.is_alive():
        server.shutdown()
        thread.join()
    server.server_close()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been slept."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


OWN = Split("own", (0,), (1,), (2,))


@dataclass(frozen=True)
class Tree:
    """A small dataset: what holds it, its own folder, its images in order and their class ids, its lists."""

    source: Source
    root: Path
    folder: Path
    images: list[Path]
    labels: list[int]
    lists: list[Path]

    def whole(self) -> Source:
        """The source, as if the small tree were all there is of it."""
        index = self.source.index(self.root)
        return dataclasses.replace(
            self.source, names=index.classes, images=len(index.paths), counts=(), splits={"PS": OWN}
        )

    def problems(self) -> list[str]:
        """What is wrong with it, but that the flowers have 102 or 55 classes and few images."""
        found = verify(self.whole(), self.root)
        return [one for one in found if not one.startswith("without any image: ")]

    def edit(self, name: str, old: str, new: Any) -> None:
        """Put `new` for the first `old` in a list; in a file of MATLAB, as its one array, called `old`."""
        path = next(path for path in self.lists if path.name == name)
        if path.suffix == ".mat":
            savemat(path, {old: np.array(new)})
            return
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def paint(paths: list[Path]) -> list[Path]:
    """Pictures of 30 by 20 pixels; the red of the first is 40, of the next 80 and so on."""
    for number, path in enumerate(paths, 1):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 20), (40 * number, 0, 0)).save(path)
    return paths


def cub(root: Path) -> Tree:
    folder, names = root / "CUB_200_2011", ("001.Blue_Jay", "002.Black_footed_Albatross", "003.Cardinal")
    files = [f"{name}/{name[4:]}_{2 * i + k:04}.jpg" for i, name in enumerate(names) for k in (1, 2)]
    lists = [
        write(folder / "classes.txt", *(f"{i} {name}" for i, name in enumerate(names, 1))),
        write(folder / "images.txt", *(f"{i} {file}" for i, file in enumerate(files, 1))),
        write(folder / "image_class_labels.txt", *(f"{i} {(i + 1) // 2}" for i in range(1, 7))),
    ]
    return Tree(
        CUB, root, folder, paint([folder / "images" / file for file in files]), [0, 0, 1, 1, 2, 2], lists
    )


def cub2010(root: Path) -> Tree:
    folder, names = root / "CUB_200", ("001.Blue_Jay", "002.Black_footed_Albatross", "003.Cardinal")
    files = [f"{name}/{name[4:]}_{k:04}_29501631.jpg" for name in names for k in (1, 2)]
    lists = [write(folder / "lists/classes.txt", *names), write(folder / "lists/files.txt", *files)]
    images = paint([folder / "images" / file for file in files])
    return Tree(CUB2010, root, folder, images, [0, 0, 1, 1, 2, 2], lists)


def awa2(root: Path) -> Tree:
    folder, names = root / "Animals_with_Attributes2", ("antelope", "grizzly+bear", "killer+whale")
    lists = [write(folder / "classes.txt", *(f"{i:6}\t{name}" for i, name in enumerate(names, 1)))]
    write(folder / "licenses/antelope/antelope_10001.txt", "CC BY 2.0")
    images = [folder / f"JPEGImages/{name}/{name}_{k}.jpg" for name in names for k in (10001, 10002)]
    return Tree(AWA2, root, folder, paint(images), [0, 0, 1, 1, 2, 2], lists)


def nabirds(root: Path) -> Tree:
    """Wood Duck has two categories, 5 and 7, and so the number 3 of its species; the others one each."""
    folder = root / "nabirds"
    classes = ["0 Birds", "1 Ducks, Geese, and Swans", "2 Owls", "3 Wood Duck", "4 Barn Owl"]
    classes += ["5 Wood Duck (Breeding male)", "6 Barn Owl", "7 Wood Duck (Female/Eclipse male)"]
    classes += ["8 Snowy Owl", "9 Snowy Owl"]
    above = ["1 0", "2 0", "3 1", "4 2", "5 3", "6 4", "7 3", "8 9", "9 2"]
    own = [8, 5, 7, 6, 8, 7]
    ids = [f"0000139e-21dc-4d0c-bfe1-4cae3c85c82{i}" for i in range(6)]
    files = [f"{category:04}/{name.replace('-', '')}.jpg" for name, category in zip(ids, own, strict=True)]
    lists = [
        write(folder / "classes.txt", *classes),
        write(folder / "hierarchy.txt", *above),
        write(folder / "images.txt", *map(" ".join, zip(ids, files, strict=True))),
        write(folder / "image_class_labels.txt", *(f"{i} {c}" for i, c in zip(ids, own, strict=True))),
    ]
    images = paint([folder / "images" / file for file in files])
    return Tree(NABIRDS, root, folder, images, [2, 0, 0, 1, 2, 0], lists)


def flowers(root: Path, source: Source = FLOWERS) -> Tree:
    """Labels 1, 1, 8, 2, 3, 3; number 8, the bird of paradise, is not in Flowers-Species."""
    folder, labels = root / "flowers-102", [1, 1, 8, 2, 3, 3]
    images = paint([folder / f"jpg/image_{i:05}.jpg" for i in range(1, 7)])
    savemat(folder / "imagelabels.mat", {"labels": np.array([labels], dtype=np.uint8)})
    lists = [folder / "imagelabels.mat"]
    if source is FLOWERS:
        return Tree(source, root, folder, images, [0, 0, 7, 1, 2, 2], lists)
    return Tree(source, root, folder, images[:2] + images[3:], [0, 0, 1, 2, 2], lists)


BUILDERS: dict[str, Callable[[Path], Tree]] = {
    "cub": cub,
    "cub2010": cub2010,
    "awa2": awa2,
    "nabirds": nabirds,
    "flowers": flowers,
    "flowers-species": lambda root: flowers(root, FLOWERS_SPECIES),
}
assert BUILDERS.keys() == SOURCES.keys()


@pytest.fixture
def make_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Tree]:
    """Writes the small dataset of a name, with descriptions beside it; nothing of it is in the cache."""
    monkeypatch.setenv("N3_CACHE", str(tmp_path / "cache"))

    def make(name: str) -> Tree:
        tree = BUILDERS[name](tmp_path / "data")
        names = map(human_name, tree.source.index(tree.root).classes)
        text = {name: [f"The {name.replace('+', ' ')}."] for name in names}
        (tree.root / tree.source.text).write_text(json.dumps(text))
        return tree

    return make


@pytest.fixture(params=sorted(SOURCES))
def tree(request: pytest.FixtureRequest, make_tree: Callable[[str], Tree]) -> Tree:
    """Every small dataset in turn."""
    return make_tree(request.param)

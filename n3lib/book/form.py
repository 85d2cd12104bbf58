"""Your own classes: a folder of pictures, what a network answers, and a form for JupyterLab.

The form updates the predictions while somebody types descriptions. What it decides is in functions that need
no widgets.
"""

import asyncio
import html
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from n3lib.data.images import load_image
from n3lib.data.texts import parse_classes, read_classes, sentence_weights, sentences
from n3lib.experiments import plots
from n3lib.io import N3Error, check_writable, expand, read_json, write_json
from n3lib.run import Run
from n3lib.synthesis import SynthesizedNetwork, save, synthesize

SHOWN = 8  # pictures side by side; more would be too small
PAUSE = 0.5  # seconds without a key before the form answers
_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class Pictures(NamedTuple):
    """Image files as input of a network."""

    names: list[str]  # of the files, without folder and ending
    pixels: UInt8[Tensor, "B H W 3"]  # cut to squares
    problems: list[str]  # one line per file that could not be read


def image_files(folder: str | Path) -> list[Path]:
    """The image files of a folder, by name.

    Raises:
        N3Error: there is no such folder.
    """
    folder = expand(folder)
    if not os.path.isdir(folder):  # unlike Path's, it takes whatever is typed
        raise N3Error(f"there is no folder {folder}", "Check the path")
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)


def read_pictures(files: Sequence[Path], size: int) -> Pictures:
    """Read the image files that can be read, as squares of `size` pixels."""
    found, problems = [], []
    for path in files:
        try:
            found.append((path.stem, load_image(path, size)))
        except N3Error as error:
            problems.append(str(error))
    pixels = np.array([image for _, image in found], np.uint8).reshape(-1, size, size, 3)
    return Pictures([name for name, _ in found], torch.from_numpy(pixels), problems)


def answers(network: SynthesizedNetwork, pictures: Pictures) -> plots.Picture:
    """The first `SHOWN` pictures, each above the probabilities of the network's classes, or called unknown.

    Raises:
        N3Error: there is no picture.
    """
    names, pixels = pictures.names[:SHOWN], pictures.pixels[:SHOWN]
    if not names:
        raise N3Error("there is no picture to classify", "Name a folder with image files, or upload some")
    return plots.predictions(network, pixels, [None] * len(names), names)


def described(entries: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Classes from typed names and running text; entries without both are left out.

    Raises:
        N3Error: a text without a name, or a name given twice.
    """
    classes: dict[str, tuple[str, ...]] = {}
    for name, text in entries:
        name = " ".join(name.split())
        if not name and text.strip():
            raise N3Error(f"a class has no name: {text.strip()[:40]!r}", "Name every class")
        if name in classes:
            raise N3Error(f"two classes are called {name!r}", "Rename one of them")
        if name:
            classes[name] = sentences(text)
    return classes


class Row(NamedTuple):
    """The widgets of one class in the form."""

    name: Any
    text: Any
    unknown: Any  # a line for the words that training never met
    box: Any


class Form:
    """Descriptions to edit, and below them the answers of the network synthesized from them.

    JupyterLab shows the widgets. A page without a kernel, as in a built book, shows the first answers as a
    picture. Input that cannot be used (an empty description, one class, a broken image) is reported in one
    line, and the typed text stays. Uploaded pictures come before those of the folder; the next upload
    replaces them. A class that the run was trained on needs no text. `Save`, `Load` and `Export` write and
    read the files whose names stand beside them.

    Raises:
        N3Error: ipywidgets is not installed.
    """

    def __init__(self, run: Run, classes: Mapping[str, Any], folder: str | Path) -> None:
        try:
            import ipywidgets
        except ImportError:
            raise N3Error("the form needs ipywidgets", "pip install 'n3lib[book]'") from None
        self.run, self.make = run, ipywidgets
        self.rows: list[Row] = []
        self._uploaded = TemporaryDirectory()
        self._timer: asyncio.TimerHandle | None = None
        self.list = ipywidgets.VBox()
        self.add = ipywidgets.Button(description="Add a class", icon="plus")
        self.folder = ipywidgets.Text(str(folder), description="Pictures in", layout={"width": "60%"})
        self.upload = ipywidgets.FileUpload(accept="image/*", multiple=True, description="Pictures")
        self.forget = ipywidgets.Button(description="Remove uploads", icon="trash")
        self.file = ipywidgets.Text("classes.json", description="Classes", layout={"width": "40%"})
        self.target = ipywidgets.Text("network", description="Network", layout={"width": "40%"})
        self.message = ipywidgets.HTML()
        self.picture = ipywidgets.Image(format="jpeg", layout={"max_width": "100%", "object_fit": "contain"})
        keep = [self.file, self._button("Save", self.save), self._button("Load", self.load)]
        sources = ipywidgets.HBox([self.upload, self.forget, self.folder])
        files = [ipywidgets.HBox(keep), ipywidgets.HBox([self.target, self._button("Export", self.export)])]
        self.box = ipywidgets.VBox([sources, self.list, self.add, self.message, self.picture, *files])
        for name, text in parse_classes(classes, known=run.seen).items():
            self.add_class(name, " ".join(text))
        self.add.on_click(lambda _: self.add_class())
        self.forget.on_click(lambda _: setattr(self.upload, "value", ()))
        for source in (self.folder, self.upload):
            source.observe(self._later, "value")
        self.update()

    def add_class(self, name: str = "", text: str = "") -> None:
        """One more class at the end of the form."""
        title = self.make.Text(name, placeholder="name", layout={"width": "12em"})
        words = self.make.Textarea(text, placeholder="what it looks like", rows=2, layout={"width": "70%"})
        remove = self.make.Button(icon="trash", tooltip="Remove this class", layout={"width": "3em"})
        unknown = self.make.HTML()
        line = self.make.HBox([title, words, remove])
        row = Row(title, words, unknown, self.make.VBox([line, unknown]))
        remove.on_click(lambda _: self.remove_class(row))
        for field in (title, words):
            field.observe(self._later, "value")
        self.rows.append(row)
        self.list.children = [row.box for row in self.rows]

    def remove_class(self, row: Row) -> None:
        """Take a class out of the form."""
        self.rows.remove(row)
        self.list.children = [row.box for row in self.rows]
        self._later()

    def update(self) -> None:
        """Synthesize a network from the descriptions in the form, and show its answers."""
        lines, jpeg = list[str](), b""  # no picture after an error: answers to another text would mislead
        self.message.value = "reading the text and the pictures ..."
        try:
            self._mark_unknown_words()
            network = synthesize(self.run, self.classes())
            pictures = read_pictures(self._files(), self.run.image_size)
            lines += pictures.problems
            jpeg = answers(network, pictures)._repr_jpeg_()
            count = len(pictures.names)
            lines += [f"The first {SHOWN} of {count} pictures are shown."] if count > SHOWN else []
        except (N3Error, OSError) as error:  # an OSError: a folder that may not be read
            lines.append(str(error))
        except Exception as error:
            lines.append(f"{type(error).__name__}: {error}")
            raise  # into the log of the kernel
        finally:
            self.picture.value = jpeg
            self.picture.layout.display = None if jpeg else "none"  # browsers draw a broken image otherwise
            self.message.value = "".join(f"<div>{html.escape(line)}</div>" for line in lines)

    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes in the form; an `N3Error` where `described` gives one."""
        return described([(row.name.value, row.text.value) for row in self.rows])

    def save(self) -> str:
        """Write the classes of the form into its file."""
        path = expand(self.file.value.strip())
        if path.suffix.lower() != ".json":
            raise N3Error(f"{path} is no name of a JSON file", "Let it end in .json")
        check_writable(path)
        # Without a text it is a class that the run knows.
        write_json(path, kept := {name: list(text) or None for name, text in self.classes().items()})
        return f"{len(kept)} classes saved: {path}"

    def load(self) -> str:
        """Replace the classes of the form by those of its file."""
        path = expand(self.file.value.strip())
        found = read_classes(path, self.run.seen)
        weighted = any({*sentence_weights(text)} - {1} for text in found.values())
        self.rows.clear()
        for name, text in found.items():
            self.add_class(name, " ".join(text))
        self.update()
        lost = "; weights of sentences are not shown, and not saved" if weighted else ""
        return f"{len(found)} classes loaded: {path}{lost}"

    def export(self) -> str:
        """Write the network of these classes into its folder."""
        if not (target := self.target.value.strip()):
            raise N3Error("the network has no folder", "Name one")
        folder = save(synthesize(self.run, self.classes()), target)
        return f"a network for {len(self.classes())} classes: {folder}"

    def _button(self, label: str, act: Callable[[], str]) -> Any:
        """A button that reports what it did, or in one line why it could not."""

        def click(_: Any) -> None:
            try:
                told = act()
            except (N3Error, OSError) as error:
                told = str(error)
            self.message.value += f"<div>{html.escape(told)}</div>"

        button = self.make.Button(description=label)
        button.on_click(click)
        return button

    def _repr_mimebundle_(self, **how: Any) -> dict[str, Any]:
        """The widgets, and the answers as a picture for pages without a kernel."""
        bundle: dict[str, Any] = dict(self.box._repr_mimebundle_(**how))
        return {**bundle, "image/jpeg": bytes(self.picture.value)} if self.picture.value else bundle

    def _files(self) -> list[Path]:
        """The last upload, then the pictures of the folder."""
        uploads = []
        for number, one in enumerate(self.upload.value):
            place = Path(self._uploaded.name) / str(number)  # each in a folder of its own: names may be equal
            place.mkdir(exist_ok=True)
            name = re.sub(r"[^\w$ .()+-]|^\.+", "_", Path(one["name"]).name)[-60:]
            uploads.append(place / (name or "upload"))
            uploads[-1].write_bytes(one["content"])
        folder = self.folder.value.strip()
        return [*uploads, *(image_files(folder) if folder else [])]

    def _mark_unknown_words(self) -> None:
        for row in self.rows:
            met = self.run.pipeline.met(sentences(row.text.value))
            never = html.escape(", ".join(word for word, known in met.items() if not known))
            row.unknown.value = f"<small>never met in training: {never}</small>" if never else ""

    def _later(self, _: Any = None) -> None:
        """Answer `PAUSE` seconds after the last key."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel, so nobody types
            self.update()
            return
        if self._timer:
            self._timer.cancel()
        self._timer = loop.call_later(PAUSE, self.update)


def open_form(run: Path, classes: Path | None = None, pictures: str = "") -> int:
    """Write `n3-form.ipynb` here, a notebook that shows the form, and open it in JupyterLab until that ends.

    Raises:
        N3Error: JupyterLab is not installed, or another notebook has that name.
    """
    if not find_spec("jupyterlab") or not find_spec("ipywidgets"):
        raise N3Error("the form needs JupyterLab", "pip install 'n3lib[book]'")
    path, metadata = Path("n3-form.ipynb"), {"n3": "form"}
    if path.exists() and read_json(path).get("metadata") != metadata:
        raise N3Error(f"{path} is another notebook", "Start in another folder")
    start = f"read_classes({str(classes)!r}, run.seen)" if classes else "dict.fromkeys(run.seen[:2])"
    lines = [
        "from n3lib import Run",
        "from n3lib.book.form import Form",
        *(["from n3lib.data.texts import read_classes"] if classes else []),
        "",
        f"run = Run.load({str(run)!r})",
        f"Form(run, {start}, {pictures!r})",
    ]
    text = {"cell_type": "markdown", "id": "how", "metadata": {}, "source": "Shift+Enter in the next cell."}
    code: dict[str, Any] = {"cell_type": "code", "id": "form", "metadata": {}, "execution_count": None}
    cells = [text, {**code, "outputs": [], "source": "\n".join(lines)}]
    write_json(path, {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})
    return subprocess.run([sys.executable, "-m", "jupyterlab", str(path)], check=False).returncode

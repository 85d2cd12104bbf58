"""The datasets: what is on this machine, the splits beside the paper's Table 1, and a page of the guide."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from n3lib.data import SOURCES, find_source, photographs
from n3lib.data.photographs.source import Source, read_text
from n3lib.experiments import plots
from n3lib.experiments.lettering import apart, literal, plain
from n3lib.experiments.results import Markup, Table, escape
from n3lib.io import N3Error, expand, read_json

# Of every split, the origin; and classes for training, validation and test in the paper's Table 1.
_KNOWN = read_json(Path(photographs.__file__).with_name("origins.json"))


def datasets(root: str | Path | None) -> Table:
    """Every dataset of photographs: whether it and its texts are in `root`, and what brings them."""
    rows, notes = [], []
    for source in SOURCES.values():
        *present, problem = _state(source, root)
        command = ""
        if not present[0]:
            by_hand = "" if all(archive.url for archive in source.archives) else " --from FOLDER"
            command = f"`n3 data download {source.name} --root DIR{by_hand}`"
        elif not present[1]:
            command = f"`n3 data describe {source.name} --root DIR --section all --contact you@example.org`"
        size = [str(source.classes), f"{source.images:,}", ", ".join(source.splits)]
        states = ["present" if there else "missing" for there in present]
        rows.append([source.name, *size, *states, Markup(command)])
        notes += [escape(problem)] if problem else []
    head = ["dataset", "classes", "images", "splits", "photographs", "texts", "what brings what is missing"]
    return Table(head, rows, "\n\n".join(notes))


def is_here(name: str, root: str | Path | None) -> bool:
    """Whether a dataset of photographs and its texts are in `root`."""
    photographs, texts, _ = _state(find_source(name), root)
    return photographs and texts


def _state(source: Source, root: str | Path | None) -> tuple[bool, bool, str]:
    """Whether there are photographs, whether there are texts, and why texts that are there do not fit."""
    if not root:
        return False, False, ""
    root = expand(root)
    there = (root / source.text).is_file()
    try:
        index = source.index(root)
    except N3Error:
        return False, there, ""
    try:
        read_text(source, root, index)
    except N3Error as error:
        return True, False, str(error) if there else ""
    return True, True, ""


def splits() -> Table:
    """The number of classes in each part of every split, and the origin of the split."""
    rows = []
    for source in SOURCES.values():
        if source.name == "cub2010":  # those of cub
            continue
        for name in source.splits:
            split = source.split(name)
            counts = [str(len(split.part(part))) for part in ("train", "val", "test")]
            published = _KNOWN["table1"].get(source.name, "") if name in ("PS", "SS") else ""
            rows.append([source.name, name, *counts, published, _KNOWN["origins"][source.name][name]])
    head = ["dataset", "split", "training", "validation", "test", "Table 1 of the paper", "where from"]
    return Table(head, rows)


def lengths(texts: Sequence[Sequence[str]]) -> list[int]:
    """The length of each description in words."""
    return [len(" ".join(sentences).split()) for sentences in texts]


def pages(
    classes: Mapping[str, Sequence[str]], images: Sequence[Any] | np.ndarray | torch.Tensor
) -> plots.Picture:
    """Each class's images, as many for each, beside its description, which is cut where it is long."""
    each = len(images) // len(classes)
    size = (5.25 + 1.35 * each, 1.35 * len(classes))
    figure, axes = plots.canvas(len(classes), each + 1, size, width_ratios=[*[1] * each, 4])
    for axis, image in zip(axes[:, :each].flat, images, strict=True):
        plots.show(axis, image)
    names = apart(list(classes), 4.4)
    for name, sentences, right in zip(names, classes.values(), axes[:, each], strict=True):
        right.set_axis_off()
        how = {"va": "top", "transform": right.transAxes}
        text = plain(" ".join(sentences), 4.4, 7.5, 7)
        literal([right.text(0, 0.98, name, size=9, color=plots.BLUE, **how)])
        literal([right.text(0, 0.82, text, size=7.5, **how)])
    return plots.Picture(figure)

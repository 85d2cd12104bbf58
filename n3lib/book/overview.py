"""The datasets: what is on this machine, the splits beside the paper's Table 1, and a page of the guide."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from n3lib.data import find_source, sources
from n3lib.data.photographs.source import Source, read_text
from n3lib.experiments import plots
from n3lib.experiments.lettering import apart, literal, plain
from n3lib.experiments.results import Markup, Table, escape
from n3lib.io.errors import N3Error
from n3lib.io.files import expand

# Classes for training, validation and test in the paper's Table 1.
_TABLE1 = {"cub": "100 / 50 / 50", "awa2": "30 / 10 / 10", "nabirds": "324 / 40 / 40"}
_TABLE1 |= {"flowers-species": "35 / 10 / 10"}
# Details: n3lib/data/photographs/splits.py.
_ORIGIN = {
    ("cub", "PS"): "Xian et al., 2017",
    ("cub", "SS"): "Akata et al., 2013; validation drawn here",
    ("cub", "SCE"): "Elhoseiny et al., 2017; validation drawn here",
    ("cub", "160/40"): "drawn here, as Lei Ba et al., 2015, did",
    ("awa2", "PS"): "Xian et al., 2017, with 10 of their 13 validation classes",
    ("awa2", "SS"): "Lampert et al., 2014; validation drawn here",
    ("nabirds", "PS"): "drawn here, no test class in ImageNet",
    ("nabirds", "SS"): "drawn here from the SCS test classes of Elhoseiny et al., 2017",
    ("nabirds", "SCE"): "Elhoseiny et al., 2017; validation drawn here",
    ("flowers", "82/20"): "drawn here, as Lei Ba et al., 2015, did",
    ("flowers-species", "PS"): "drawn here, no test class in ImageNet",
    ("flowers-species", "SS"): "drawn here",
}


def datasets(root: str | Path | None) -> Table:
    """Every dataset of photographs: whether it and its texts are in `root`, and the command that brings them.

    Args:
        root: the folder that holds the datasets, or None for none.
    """
    rows, notes = [], []
    for source in sources().values():
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
    for source in sources().values():
        if source.name == "cub2010":  # those of cub
            continue
        for name in source.splits:
            split = source.split(name)
            counts = [str(len(split.part(part))) for part in ("train", "val", "test")]
            published = _TABLE1.get(source.name, "") if name in ("PS", "SS") else ""
            rows.append([source.name, name, *counts, published, _ORIGIN[source.name, name]])
    head = ["dataset", "split", "training", "validation", "test", "Table 1 of the paper", "where from"]
    return Table(head, rows)


def lengths(texts: Sequence[Sequence[str]]) -> list[int]:
    """The length of each description in words."""
    return [len(" ".join(sentences).split()) for sentences in texts]


def pages(
    classes: Mapping[str, Sequence[str]], images: Sequence[Any] | np.ndarray | torch.Tensor
) -> plots.Picture:
    """One image of each class beside its description, cut where it is long."""
    figure, axes = plots.canvas(len(classes), 2, (6.6, 1.35 * len(classes)), width_ratios=[1, 4])
    names = apart(list(classes), 4.4)
    for name, sentences, image, (left, right) in zip(names, classes.values(), images, axes, strict=True):
        plots.show(left, image)
        right.set_axis_off()
        how = {"va": "top", "transform": right.transAxes}
        text = plain(" ".join(sentences), 4.4, 7.5, 5)
        literal([right.text(0, 0.98, name, size=9, color=plots.BLUE, **how)])
        literal([right.text(0, 0.82, text, size=7.5, **how)])
    return plots.Picture(figure)

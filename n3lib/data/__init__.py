"""Datasets: the embedded aviary, and photographs with the texts of others."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from n3lib.data.aviary.dialects import make_dialects
from n3lib.data.aviary.generation import make_aviary
from n3lib.data.dataset import Split, ZeroShotDataset
from n3lib.data.images import MAX_SIDE
from n3lib.data.photographs.awa2 import AWA2
from n3lib.data.photographs.cub import CUB, CUB2010
from n3lib.data.photographs.flowers import FLOWERS, FLOWERS_SPECIES
from n3lib.data.photographs.nabirds import NABIRDS
from n3lib.data.photographs.source import Source, load, read_text
from n3lib.io import N3Error, Range, check_ranges, expand
from n3lib.io.errors import choose

__all__ = [
    "GENERATED", "SOURCES", "DataConfig", "Split", "ZeroShotDataset", "find_photographs", "find_source",
    "load_data", "read_descriptions",
]  # fmt: skip

GENERATED: dict[str, Callable[..., ZeroShotDataset]] = {"aviary": make_aviary, "dialects": make_dialects}
SOURCES = {one.name: one for one in (CUB, CUB2010, AWA2, NABIRDS, FLOWERS, FLOWERS_SPECIES)}
MOST_SPECIES = 9_000  # with those for validation, no more classes than a run can hold


@dataclass(frozen=True)
class DataConfig:
    """Which images, texts and split.

    Attributes:
        name: `aviary` or `dialects` (generated, no download), `cub`, `cub2010`, `awa2`, `nabirds`, `flowers`
            or `flowers-species`.
        preset: size of what is generated: `default` or `tiny`.
        species: training species of what is generated; 0 for the preset's.
        size: side of the images in pixels; 0 for the preset's, or 144 for photographs.
        root: folder that holds the photographs.
        split: of the photographs, such as PS, SS or SCE.
        text: JSON file of the descriptions; empty for the one in `root`; `names` for the class names alone.
        also: JSON files of further descriptions, by other authors: in training, a class has one from each.
    """

    name: str = "aviary"
    preset: str = "default"
    species: int = 0
    size: int = 0
    root: str = ""
    split: str = "PS"
    text: str = ""
    also: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_ranges(self, "data", species=Range(0, MOST_SPECIES), size=Range(0, MAX_SIDE))


def load_data(config: DataConfig) -> ZeroShotDataset:
    """Load what the configuration names.

    Raises:
        N3Error: an unknown name, a split or texts for what is generated, or whatever is wrong with the files.
    """
    if config.name in GENERATED:
        if config.split not in ("", DataConfig.split) or config.text or config.also:
            texts = config.text or "".join(config.also[:1])
            what = f"texts {texts}" if texts else f"split {config.split}"
            raise N3Error(f"{config.name} is generated and has no {what}", "Leave it out")
        return GENERATED[config.name](config.preset, train=config.species or None, size=config.size or None)
    source, root = find_photographs(config.name, config.root)
    return load(source, root, config.split, config.text or None, config.size or 144, config.also)


def read_descriptions(config: DataConfig) -> tuple[tuple[str, ...], ...]:
    """The texts alone of what the configuration names, in class order; no image is decoded."""
    if config.name in GENERATED:
        return load_data(config).texts
    source, root = find_photographs(config.name, config.root)
    return read_text(source, root, source.index(root), config.text or None)[0]


def find_source(name: str) -> Source:
    """The dataset of photographs of this name; an N3Error if there is none."""
    return choose(name, SOURCES, "there is no dataset of photographs")


def find_photographs(name: str, root: str) -> tuple[Source, Path]:
    """The dataset of this name and its folder; an N3Error if there is none or no folder is named."""
    source = find_source(name)
    if not root:
        remedy = f"Name it with --data-root DIR (n3 data: --root DIR); n3 data download {name} brings it"
        raise N3Error(f"{name} needs the folder that holds it", remedy)
    return source, expand(root)

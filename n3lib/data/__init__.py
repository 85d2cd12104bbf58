"""Datasets: the embedded aviary, and photographs with the texts of others."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from n3lib.data.dataset import Split, ZeroShotDataset
from n3lib.data.images import MAX_SIDE
from n3lib.io.errors import N3Error
from n3lib.io.files import expand
from n3lib.io.ranges import SEED, Range, check_ranges

if TYPE_CHECKING:
    from n3lib.data.photographs.source import Source

__all__ = [
    "GENERATED",
    "DataConfig",
    "Split",
    "ZeroShotDataset",
    "find_root",
    "find_source",
    "load_data",
    "read_descriptions",
    "sources",
]


GENERATED = ("aviary", "dialects")
MOST_SPECIES = 9_000  # with those for validation, no more classes than a run can hold


@dataclass(frozen=True)
class DataConfig:
    """Which images, texts and split.

    Attributes:
        name: `aviary` or `dialects` (generated, no download), `cub`, `cub2010`, `awa2`, `nabirds`, `flowers`
            or `flowers-species`.
        preset: size of what is generated: `default` or `tiny`.
        seed: of what is generated.
        species: training species of what is generated; 0 for the preset's.
        size: side of the images in pixels; 0 for the preset's, or 144 for photographs.
        root: folder that holds the photographs.
        split: of the photographs, such as PS, SS or SCE.
        text: JSON file of the descriptions; empty for the one in `root`; `names` for no description but the
            name of the class.
        visual: leave out sentences marked less than this as telling of appearance, where a file marks them.
    """

    name: str = "aviary"
    preset: str = "default"
    seed: int = 0
    species: int = 0
    size: int = 0
    root: str = ""
    split: str = "PS"
    text: str = ""
    visual: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, "data", seed=Range(0, SEED), visual=Range(0, 1))
        check_ranges(self, "data", species=Range(0, MOST_SPECIES), size=Range(0, MAX_SIDE))


def load_data(config: DataConfig) -> ZeroShotDataset:
    """Load what the configuration names.

    Raises:
        N3Error: an unknown name, a split or texts for what is generated, or whatever is wrong with the files.
    """
    if config.name in GENERATED:
        if config.split not in ("", DataConfig.split) or config.text:
            what = f"texts {config.text}" if config.text else f"split {config.split}"
            raise N3Error(f"{config.name} is generated and has no {what}", "Leave it out")
        from n3lib.data.aviary.dialects import dialects
        from n3lib.data.aviary.species import aviary

        generate = aviary if config.name == "aviary" else dialects
        return generate(config.preset, config.seed, train=config.species or None, size=config.size or None)
    from n3lib.data.photographs.source import load

    source = find_source(config.name)
    root = find_root(source, config.root)
    return load(source, root, config.split, config.text or None, config.size or 144, visual=config.visual)


def sources() -> dict[str, "Source"]:
    """Every dataset of photographs by its name."""
    from n3lib.data.photographs.awa2 import AWA2
    from n3lib.data.photographs.cub import CUB, CUB2010
    from n3lib.data.photographs.flowers import FLOWERS, FLOWERS_SPECIES
    from n3lib.data.photographs.nabirds import NABIRDS

    return {source.name: source for source in (CUB, CUB2010, AWA2, NABIRDS, FLOWERS, FLOWERS_SPECIES)}


def find_source(name: str) -> "Source":
    """The dataset of photographs of this name.

    Raises:
        N3Error: there is none.
    """
    known = sources()
    if name not in known:
        raise N3Error(f"there is no dataset of photographs {name!r}", f"Use one of {', '.join(known)}")
    return known[name]


def read_descriptions(config: DataConfig) -> tuple[tuple[str, ...], ...]:
    """The texts alone of what the configuration names, in class order; no image is decoded."""
    if config.name in GENERATED:
        return load_data(config).texts
    from n3lib.data.photographs.source import read_text

    source = find_source(config.name)
    root = find_root(source, config.root)
    return read_text(source, root, source.index(root), config.text or None, config.visual)[0]


def find_root(source: "Source", root: str) -> Path:
    """The folder of a dataset of photographs, which has to be named."""
    if not root:
        raise N3Error(
            f"{source.name} needs the folder that holds it",
            f"Name it with --data-root DIR (n3 data: --root DIR); n3 data download {source.name} brings it",
        )
    return expand(root)

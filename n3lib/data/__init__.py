"""Datasets: the embedded aviary, and CUB."""

from dataclasses import dataclass
from pathlib import Path

from n3lib.data.base import Split, ZeroShotDataset
from n3lib.errors import N3Error

__all__ = ["DataConfig", "Split", "ZeroShotDataset", "load_data"]


@dataclass(frozen=True)
class DataConfig:
    """Which images, texts and split.

    Attributes:
        name: `aviary` (generated, no download) or `cub`.
        preset: size of the aviary: `default` or `tiny`.
        seed: of the aviary.
        size: side of the images in pixels; 0 for the preset's (aviary) or 144 (CUB).
        root: folder that holds the dataset (CUB).
        split: PS, SS or SCE (CUB).
        text: JSON file of the descriptions; empty for the one in `root` (CUB).
    """

    name: str = "aviary"
    preset: str = "default"
    seed: int = 0
    size: int = 0
    root: str = ""
    split: str = "PS"
    text: str = ""


def load_data(config: DataConfig) -> ZeroShotDataset:
    """Load what the configuration names.

    Raises:
        N3Error: an unknown name, or whatever is wrong with the files.
    """
    if config.name == "aviary":
        from n3lib.data.aviary import aviary

        return aviary(config.preset, config.seed, size=config.size or None)
    if config.name == "cub":
        from n3lib.data.cub import cub

        if not config.root:
            raise N3Error("CUB needs the folder that holds it", "Name it with --data-root DIR")
        return cub(Path(config.root), config.split, config.text or None, config.size or 144)
    raise N3Error(f"unknown dataset {config.name!r}", "Use aviary or cub")

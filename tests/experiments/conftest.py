"""What the tests of chapters share: results in a folder, and what a figure shows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from n3lib.experiments.registry import EXPERIMENTS
from n3lib.io import write_json


@pytest.fixture(scope="session")
def moved() -> list[str]:
    """The data, the text encoder and the weights are elsewhere: no other settings."""
    return [
        "--data.root=",
        "--text.encoder=../elsewhere/minilm-l6-bert",
        "--backbone.weights=../elsewhere/resnet18_imagenet_bnfolded_conv1_to_layer3.safetensors",
    ]


@pytest.fixture(scope="session")
def refuse() -> Callable[..., Any]:
    """Stands for work that no result needs any more."""

    def work(*_: object, **__: object) -> Any:
        raise AssertionError("the result is there already")

    return work


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Writes a result, `save("mu", "absolute-1-0.001", seed, accuracy)`, and returns the folder of all."""

    def write(study: str, variant: str, seed: int, accuracy: float, **more: Any) -> Path:
        told = {"study": study, "variant": variant, "seed": seed, "ways": 100, "chance": 1.0}
        told |= {"metrics": {"per_class_accuracy": accuracy}, "config": {"episodes": {"ways": 40}}, **more}
        write_json(EXPERIMENTS[study].home(tmp_path) / f"{variant}-seed{seed}.json", told)
        return tmp_path

    return write


@pytest.fixture
def save_cub(tmp_path: Path) -> Callable[..., Path]:
    """Writes a result on CUB, `save_cub(split, method, seed, accuracy)`, and returns the folder."""

    def write(split: str, method: str, seed: int, accuracy: float, folder: str = "", **more: Any) -> Path:
        told = {"study": "benchmark", "dataset": "cub", "split": split, "method": method, "seed": seed}
        told |= {"chance": 2, "metrics": {"per_class_accuracy": accuracy}, **more}
        write_json(tmp_path / folder / f"{method}-{seed}.json", told)
        return tmp_path

    return write


@pytest.fixture
def shown() -> Callable[[Figure], dict[str, list[list[float]]]]:
    """The lines of each panel of a figure, by title."""
    return lambda figure: {
        axis.get_title(): [line.get_xydata().tolist() for line in axis.lines] for axis in figure.axes
    }

"""A small world in which texts tell linearly how classes look."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from n3lib.baselines.base import Images, Seen, unit


class World(NamedTuple):
    """Seen classes, texts of the classes asked for, and images of these."""

    seen: Seen
    text: np.ndarray  # (K, a)
    images: Images
    labels: np.ndarray  # 0 to K - 1

    def accuracy(self, scores: np.ndarray) -> float:
        """Share of images given their own class; chance is 1 / K."""
        return float((scores.argmax(1) == self.labels).mean())


def make_world(related: bool = True, seed: int = 0, maps: bool = False) -> World:
    """40 seen and 8 asked classes of 12 images, 16 features, texts of 30 numbers that vary in 10 ways.

    Args:
        related: False for texts that say nothing of the images.
        seed: of everything.
        maps: whether there are feature maps, 4 channels of 3 x 3 cells.
    """
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((48, 10))
    text = (hidden if related else rng.standard_normal((48, 10))) @ rng.standard_normal((10, 30))
    means = hidden @ rng.standard_normal((10, 16))
    labels = np.repeat(np.arange(48), 12)
    features = means[labels] + rng.standard_normal((len(labels), 16))
    cells = None
    if maps:
        cells = np.maximum(hidden @ rng.standard_normal((10, 36)), 0)[labels].reshape(-1, 4, 3, 3)
        cells = (cells + 0.3 * rng.random(cells.shape)).astype(np.float16)
    known = labels < 40
    mean, scale = features[known].mean(0), features[known].std(0)
    features, text = (features - mean) / scale, unit(text - text[:40].mean(0))

    def images(some: np.ndarray) -> Images:
        return Images(features[some], None if cells is None else cells[some])

    return World(
        Seen(images(known), labels[known], text[:40]), text[40:], images(~known), labels[~known] - 40
    )


@pytest.fixture
def linear_world() -> Callable[..., World]:
    return make_world

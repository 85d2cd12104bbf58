"""What is drawn can be seen, and does not depend on anything else."""

import numpy as np
import pytest

from n3lib.data.aviary.drawing import draw, draw_with_mask
from n3lib.data.aviary.species import ATTRIBUTES, make_species
from n3lib.data.aviary.worlds import WORLDS
from n3lib.io import N3Error


@pytest.mark.parametrize("name", list(ATTRIBUTES))
@pytest.mark.parametrize("base", [0, 1, 2])
def test_every_attribute_can_be_seen(wren: dict[str, str], name: str, base: int) -> None:
    """Change one attribute, all else equal: some pixels of the bird change by much."""
    bird = [
        wren,
        wren | {"build": "leggy", "pattern": "streaked"},
        wren | {"build": "slender", "size": "small"},
    ][base]
    values = ATTRIBUTES[name]
    pictures = [draw(bird | {name: value}, np.random.default_rng([5, base]), 64) for value in values]
    for i in range(len(values)):
        for j in range(i):
            change = np.abs(pictures[i].astype(int) - pictures[j].astype(int)).max(-1)
            assert (change > 30).sum() >= 6, f"{name}: {values[i]} looks like {values[j]}"


def test_the_scene_does_not_depend_on_the_bird(wren: dict[str, str]) -> None:
    one, other = (
        draw_with_mask(wren | {"crown": color}, np.random.default_rng(6), 64)[0] for color in ("red", "green")
    )
    changed = (one != other).any(-1)
    mask = draw_with_mask(wren, np.random.default_rng(6), 64)[1]
    assert changed.any()
    grown = mask | np.roll(mask, 1, 0) | np.roll(mask, -1, 0) | np.roll(mask, 1, 1) | np.roll(mask, -1, 1)
    assert not (changed & ~grown).any()


@pytest.mark.parametrize("world", list(WORLDS))
def test_pictures_and_masks(world: str) -> None:
    shares = []
    for k, one in enumerate(make_species(12, seed=10, world=world)):
        image, mask = draw_with_mask(one.attributes, np.random.default_rng(k), 48, world)
        assert image.shape == (48, 48, 3) and image.dtype == np.uint8
        assert mask.shape == (48, 48) and mask.dtype == np.bool_
        assert image.std() > 10
        shares.append(mask.mean())
    assert min(shares) > 0.03 and max(shares) < 0.5
    assert 0.08 < np.mean(shares) < 0.35


def test_the_same_picture_at_any_size(wren: dict[str, str]) -> None:
    large, small = (draw(wren, np.random.default_rng(11), size).astype(float) for size in (128, 32))
    shrunk = large.reshape(32, 4, 32, 4, 3).mean((1, 3))
    assert np.abs(shrunk - small).mean() < 8
    assert draw(wren, np.random.default_rng(0), 1).shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("change", "size", "world", "word"),
    [
        ({}, -2, "aviary", "-2"),
        ({"crown": "beige"}, 8, "aviary", "beige"),
        ({}, 8, "islands", "rufous"),
        ({}, 8, "moon", "moon"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    wren: dict[str, str], change: dict[str, str], size: int, world: str, word: str
) -> None:
    with pytest.raises(N3Error, match=word):
        draw(wren | change, np.random.default_rng(0), size, world)

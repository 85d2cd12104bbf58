"""Dialects: birds whose colors three observers name differently, so that no one network serves all tasks.

The species differ in size and in the colors of their parts, which are red, green or blue. Every class is
described by one of three observers, and what the first calls red, the second calls green and the third blue,
and so on around. Pictures do not depend on the observer, whom each sentence names. A task is described by one
observer throughout (`ZeroShotDataset.groups`), so a network synthesized for it can know what the words mean
there. One that is the same for all tasks cannot: over all observers, a color's word tells little.

The first observer describes half of the species, the others a quarter each.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from n3lib.data.aviary.generation import make_aviary
from n3lib.data.aviary.guide import describe
from n3lib.data.aviary.species import Species, make_species
from n3lib.data.aviary.worlds import WORLDS, frozen
from n3lib.data.dataset import ZeroShotDataset
from n3lib.io import read_json
from n3lib.io.files import sha256

COLORS = ("red", "green", "blue")
OBSERVERS = ("Alder", "Birch", "Cedar")
_TURNS = (0, 0, 1, 2)  # the observer of species k is that of k mod 4


# The aviary's birds in three colors, on gray: nothing but plumage has a color that could be named.
_LOOK = frozen(read_json(Path(__file__).with_name("dialects.json")))
WORLD = dataclasses.replace(WORLDS["aviary"], **_LOOK)
_TEXT = 5  # a stream of random numbers beside the aviary's own


def make_dialects(preset: str = "default", seed: int = 0, **numbers: int | None) -> ZeroShotDataset:
    """The species of a field guide that three observers wrote; the group of a class is its observer.

    Arguments and errors are those of `make_aviary`.
    """
    data = make_aviary(preset, seed, WORLD, **numbers)
    species = make_species(len(data.classes), seed, WORLD)
    observers = tuple(_TURNS[k % len(_TURNS)] for k in range(len(species)))
    rngs = [np.random.default_rng([seed, WORLD.stream, _TEXT, k]) for k in range(len(species))]
    texts = tuple(map(tell, species, observers, rngs))
    hashes = data.hashes | {"text": sha256(*(line for lines in texts for line in lines))}
    return dataclasses.replace(data, texts=texts, groups=observers, hashes=hashes)


def tell(species: Species, observer: int, rng: np.random.Generator) -> tuple[str, ...]:
    """What this observer says of a species, in sentences that begin with the observer's name."""
    lines = describe(in_words_of(observer, species.attributes), rng)
    return tuple(f"{OBSERVERS[observer]}: {line}" for line in lines)


def in_words_of(observer: int, attributes: Mapping[str, str]) -> dict[str, str]:
    """The attributes as the observer names them: each color is called like the one that many further."""
    turned = {color: COLORS[(i + observer) % len(COLORS)] for i, color in enumerate(COLORS)}
    return {name: turned.get(value, value) for name, value in attributes.items()}

"""The species of the aviary: combinations of attributes that are seen in pictures and described in texts.

What is learned from the descriptions of some species holds for others never seen. Species come in families
that share shapes and some colors, so that there are look-alikes, as in a real guide.

Everything follows from integer seeds: species k does not depend on how many are made, and image i of species
k only on the seed, the world, k and i. Attributes and text are the same everywhere; a pixel may differ by one
level between platforms, whose C libraries round sines differently.
"""

import math
from dataclasses import dataclass

import numpy as np

from n3lib.data.aviary.drawing import draw
from n3lib.data.aviary.guide import COLOR_ATTRIBUTES, WORDS, choose, describe
from n3lib.data.aviary.worlds import WORLDS, World, find_world
from n3lib.io import N3Error

# What a bird of the field guide can be; `WORLDS[name].values` says the same of any world.
ATTRIBUTES: dict[str, tuple[str, ...]] = dict(WORLDS["aviary"].values)

# Streams keep the random numbers of the parts of a world apart: a change in one leaves the others.
_FAMILY, _SPECIES, _NAME, _TEXT, _IMAGE = range(5)

_NEW_FAMILY = 0.18  # so a family has five or six species on average
_FAMILY_SHAPES = ("build", "bill_shape", "tail_shape", "crest")
_FAMILY_COLORS = 2
_LIKE_FAMILY = 0.3  # how often a species keeps its family's value of any other attribute
_LIKE_NEIGHBOR = {"wing": "back", "tail": "wing", "belly": "breast"}  # often of one color, as in real birds
_TRIES = 500


@dataclass(frozen=True)
class Species:
    """A kind of bird.

    Attributes:
        name: invented, unique, and silent about looks and family.
        family: id of the family; its species share their shapes and some colors.
        attributes: attribute to value, for example `{"crown": "rufous", "size": "small", ...}`.
    """

    name: str
    family: int
    attributes: dict[str, str]
    sentences: tuple[str, ...]


def make_species(count: int, seed: int = 0, world: str | World = "aviary") -> list[Species]:
    """Draw `count` different species; a longer list extends a shorter one.

    Two species differ in at least two attributes (in one, when the world grows crowded).

    Raises:
        N3Error: unknown world, a count below one, a negative seed, or too many species for the world.
    """
    world = find_world(world)
    check_positive(count=count)
    if seed < 0:
        raise N3Error(f"the seed cannot be {seed}", "Give a seed of 0 or more")
    tied = {attribute for attribute, _ in world.ties}
    combinations = math.prod(len(values) for name, values in world.values.items() if name not in tied)
    if count > combinations:
        what = f"the world {world.name} has {combinations} combinations of attributes, but {count} species"
        raise N3Error(what, "Ask for at most that many")
    codes = np.empty((count, len(world.values)), np.int64)
    families: list[int] = []
    result: list[Species] = []
    for k in range(count):
        rng = np.random.default_rng([seed, world.stream, _SPECIES, k])
        for attempt in range(_TRIES):
            family = max(families, default=-1) + 1
            if family and rng.random() >= _NEW_FAMILY:
                family = int(rng.integers(0, family))
            attributes = _draw_attributes(world, seed, family, rng)
            codes[k] = [values.index(attributes[name]) for name, values in world.values.items()]
            nearest = (codes[:k] != codes[k]).sum(axis=1).min(initial=codes.shape[1])
            if nearest >= (2 if attempt < _TRIES // 2 else 1):
                break
        else:
            what = f"no room for species {k} in the world {world.name}"
            raise N3Error(what, f"Ask for {k} species or fewer")
        families.append(family)
        sentences = describe(attributes, np.random.default_rng([seed, world.stream, _TEXT, k, 0]))
        rng = np.random.default_rng([seed, world.stream, _NAME, k])
        name = _invent_name(rng, {one.name for one in result})
        result.append(Species(name, family, attributes, tuple(sentences)))
    return result


def picture(
    species: Species, number: int, image: int, seed: int = 0, size: int = 64, world: str | World = "aviary"
) -> np.ndarray:
    """Image `image` of species `number` (its index in the list), uint8 `(size, size, 3)`."""
    rng = np.random.default_rng([seed, find_world(world).stream, _IMAGE, number, image])
    return draw(species.attributes, rng, size, world)


def check_positive(**numbers: int) -> None:
    """Refuse a number below one, by its name."""
    for name, number in numbers.items():
        if number < 1:
            raise N3Error(f"{name} cannot be {number}", "Give a positive number")


def _draw_attributes(world: World, seed: int, family: int, rng: np.random.Generator) -> dict[str, str]:
    """A member of the family: its shapes and some colors, the rest its own or, now and then, the family's."""
    origin = np.random.default_rng([seed, world.stream, _FAMILY, family])
    shared = {name: choose(values, origin) for name, values in world.values.items()}
    kept = [COLOR_ATTRIBUTES[i] for i in origin.permutation(len(COLOR_ATTRIBUTES))[:_FAMILY_COLORS]]
    attributes: dict[str, str] = {}
    for name, values in world.values.items():
        own, like, neighborly = choose(values, rng), rng.random(), rng.random()
        if name in _FAMILY_SHAPES or name in kept or like < _LIKE_FAMILY:
            own = shared[name]
        elif name in _LIKE_NEIGHBOR and neighborly < 0.3:
            own = attributes[_LIKE_NEIGHBOR[name]]
        attributes[name] = own
    for attribute, other in world.ties:
        attributes[attribute] = attributes[other]
    return attributes


def _invent_name(rng: np.random.Generator, used: set[str]) -> str:
    """A name no other species has. The kind is drawn apart from the family: names must not tell of looks."""
    words = WORDS["names"]
    while True:
        place = "".join(choose(syllables, rng) for syllables in words["places"])
        place += "'s" if rng.random() < 0.5 else ""
        habit = choose(words["habits"], rng) + " " if rng.random() < 0.5 else ""
        if (name := f"{place} {habit}{choose(words['kinds'], rng)}") not in used:
            return name

"""The aviary: a generated field guide of imaginary birds, a zero-shot task that needs no download.

A species is a combination of attributes. Each attribute can be seen in its pictures (`draw`) and is told in
its text (`describe`), so what is learned from the descriptions of some species holds for others never seen.
Species come in families that share shapes and some colors, so that there are look-alikes, as in a real guide.

Everything follows from integer seeds: species k does not depend on how many are made, and image i of species
k only on the seed, the world, k and i. Attributes and text are the same everywhere; a pixel may differ by one
level between platforms, whose C libraries round sines differently.
"""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from n3lib.data.aviary.drawing import draw, draw_with_mask
from n3lib.data.aviary.guide import COLOR_ATTRIBUTES, describe, words_for
from n3lib.data.aviary.worlds import WORLDS, World, find_world
from n3lib.data.dataset import Split, ZeroShotDataset
from n3lib.data.images import cached_images
from n3lib.io.errors import N3Error
from n3lib.io.files import sha256

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "ATTRIBUTES", "PRESETS", "WORLDS", "Species", "World", "aviary", "contact_sheet", "describe", "draw",
    "draw_with_mask", "make_species", "picture", "words_for",
]  # fmt: skip

# Raise it whenever the same seed gives other text or pictures: it is part of the dataset's hash.
VERSION = 1

# What a bird of the field guide can be; `WORLDS[name].values` says the same of any world.
ATTRIBUTES: dict[str, tuple[str, ...]] = dict(WORLDS["aviary"].values)

# Numbers of species in each part, images for each species, and the width of an image in pixels.
PRESETS: dict[str, dict[str, int]] = {
    "tiny": {"train": 24, "val": 8, "test": 8, "train_images": 6, "eval_images": 6, "size": 32},
    "default": {"train": 500, "val": 40, "test": 100, "train_images": 16, "eval_images": 20, "size": 64},
}

# Streams keep the random numbers of the parts of a world apart: a change in one leaves the others as they
# are.
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
        sentences: the description, one or several accounts joined.
    """

    name: str
    family: int
    attributes: dict[str, str]
    sentences: tuple[str, ...]


def make_species(
    count: int, seed: int = 0, world: str | World = "aviary", accounts: int = 1
) -> list[Species]:
    """Draw `count` different species; a longer list extends a shorter one.

    Two species differ in at least two attributes (in one, when the world grows crowded).

    Args:
        seed: a nonnegative integer; other seeds give other guides.
        world: a name in `WORLDS` or a `World`.
        accounts: how many authors, independent of one another, describe each species.

    Raises:
        N3Error: unknown world, a count below one, a negative seed, or more species than there are
            combinations.
    """
    world = find_world(world)
    _check(count=count, accounts=accounts)
    if seed < 0:
        raise N3Error(f"the seed cannot be {seed}", "Give a seed of 0 or more")
    names = list(world.values)
    tied = {attribute for attribute, _ in world.ties}
    combinations = int(np.prod([float(len(world.values[name])) for name in names if name not in tied]))
    if count > combinations:
        raise N3Error(
            f"the world {world.name} has {combinations} combinations of attributes, but {count} species",
            "Ask for at most that many",
        )
    codes = np.empty((count, len(names)), np.int64)
    families: list[int] = []
    used: set[str] = set()
    result = []
    for k in range(count):
        rng = np.random.default_rng([seed, world.stream, _SPECIES, k])
        for attempt in range(_TRIES):
            family = max(families, default=-1) + 1
            if family and rng.random() >= _NEW_FAMILY:
                family = int(rng.integers(0, family))
            attributes = _draw_attributes(world, seed, family, rng)
            code = [world.values[name].index(attributes[name]) for name in names]
            nearest = (codes[:k] != code).sum(axis=1).min(initial=len(names))
            if nearest >= (2 if attempt < _TRIES // 2 else 1):
                break
        else:
            raise N3Error(
                f"no room for species {k} in the world {world.name}", f"Ask for {k} species or fewer"
            )
        codes[k] = code
        families.append(family)
        sentences: list[str] = []
        for author in range(accounts):
            sentences += describe(attributes, np.random.default_rng([seed, world.stream, _TEXT, k, author]))
        name = _invent_name(np.random.default_rng([seed, world.stream, _NAME, k]), used)
        result.append(Species(name, family, attributes, tuple(sentences)))
    return result


def picture(
    species: Species, number: int, image: int, seed: int = 0, size: int = 64, world: str | World = "aviary"
) -> np.ndarray:
    """Image `image` of species `number` (its place in the list), uint8 `(size, size, 3)`."""
    return draw(species.attributes, _image_rng(seed, find_world(world), number, image), size, world)


def aviary(
    preset: str = "default",
    seed: int = 0,
    *,
    world: str | World = "aviary",
    accounts: int = 1,
    train: int | None = None,
    val: int | None = None,
    test: int | None = None,
    train_images: int | None = None,
    eval_images: int | None = None,
    size: int | None = None,
) -> ZeroShotDataset:
    """The field guide as a dataset: species are the classes, and test species are never seen in training.

    Class ids run over the test species first, then validation, then training: so another number of
    training species leaves the others, and all their pictures, as they are.

    Args:
        preset: a name in `PRESETS`; every number in it can be replaced by the keyword of that name.
        seed: of species, text and images.
        world: `aviary`, or `islands` to pretrain a backbone on related but different birds.
        accounts: independent descriptions for each species, joined.
        train, val, test: numbers of species.
        train_images, eval_images: images for each training species, and for each validation and test species.
        size: height and width of the images in pixels.

    Returns:
        Images uint8 `(N, size, size, 3)`, in class order; the one split is named `aviary`.

    Raises:
        N3Error: unknown preset or world, a number that is not positive, or too many species.
    """
    if preset not in PRESETS:
        raise N3Error(f"the aviary has no preset {preset!r}", f"Use one of {', '.join(PRESETS)}")
    given = {
        "train": train,
        "val": val,
        "test": test,
        "train_images": train_images,
        "eval_images": eval_images,
    }
    numbers = PRESETS[preset] | {k: v for k, v in {**given, "size": size}.items() if v is not None}
    _check(**{name: number for name, number in numbers.items() if name != "val" or number < 0})
    world = find_world(world)
    n_eval = numbers["test"] + numbers["val"]
    species = make_species(n_eval + numbers["train"], seed, world, accounts)
    counts = [numbers["eval_images"]] * n_eval + [numbers["train_images"]] * numbers["train"]
    labels = np.repeat(np.arange(len(species), dtype=np.int64), counts)
    settings = {**numbers, "seed": seed, "world": repr(world), "accounts": accounts, "version": VERSION}
    generator = sha256("aviary", json.dumps(settings, sort_keys=True))
    first = np.cumsum([0, *counts])

    def make(row: int) -> np.ndarray:
        k = int(labels[row])
        return picture(species[k], k, row - int(first[k]), seed, numbers["size"], world)

    images = cached_images(generator, len(labels), numbers["size"], make, "drawing birds")
    ids = range(len(species))
    return ZeroShotDataset(
        name=world.name,
        classes=tuple(one.name for one in species),
        texts=tuple(one.sentences for one in species),
        images=images,
        labels=labels,
        split=Split(
            "aviary",
            train=tuple(ids[n_eval:]),
            val=tuple(ids[numbers["test"] : n_eval]),
            test=tuple(ids[: numbers["test"]]),
        ),
        hashes={
            "text": sha256(*(part for one in species for part in (one.name, *one.sentences))),
            "generator": generator,
        },
    )


def contact_sheet(
    species: Sequence[Species], seed: int = 0, size: int = 160, images: int = 4, world: str | World = "aviary"
) -> "Figure":
    """A page of the guide: each species' name, description and `images` pictures, `size` pixels wide."""
    from matplotlib.figure import Figure

    _check(species=len(species), size=size, images=images)
    world = find_world(world)
    style: dict[str, Any] = {"family": "serif", "color": "#3b352d", "va": "top"}
    text_width, row_height, margin = 3.9, 1.75, 0.2  # inches
    width, height = text_width + images * row_height, len(species) * row_height + 0.3
    figure = Figure(figsize=(width, height), facecolor="#fbf7ee", dpi=110)
    for k, one in enumerate(species):
        top = height - 0.15 - k * row_height
        figure.text(margin / width, (top - 0.14) / height, one.name, size=13, weight="bold", **style)
        lines = textwrap.wrap(" ".join(one.sentences), 56, break_on_hyphens=False)
        text = "\n".join(lines[:9]) + (" ..." if len(lines) > 9 else "")
        figure.text(margin / width, (top - 0.43) / height, text, size=8, linespacing=1.25, **style)
        for i in range(images):
            left, side = text_width + i * row_height, row_height - 0.1
            axes = figure.add_axes((left / width, (top - side - 0.05) / height, side / width, side / height))
            axes.imshow(picture(one, k, i, seed, size, world), interpolation="lanczos")
            axes.set_axis_off()
    return figure


def _check(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise N3Error(f"{name} cannot be {number}", "Give a positive number")


def _image_rng(seed: int, world: World, species: int, image: int) -> np.random.Generator:
    return np.random.default_rng([seed, world.stream, _IMAGE, species, image])


def _draw_attributes(world: World, seed: int, family: int, rng: np.random.Generator) -> dict[str, str]:
    """A member of the family: its shapes and some colors, the rest its own or, now and then, the family's."""
    origin = np.random.default_rng([seed, world.stream, _FAMILY, family])
    shared = {name: values[int(origin.integers(0, len(values)))] for name, values in world.values.items()}
    kept = [COLOR_ATTRIBUTES[int(i)] for i in origin.permutation(len(COLOR_ATTRIBUTES))[:_FAMILY_COLORS]]
    attributes: dict[str, str] = {}
    for name, values in world.values.items():
        own, like, neighborly = values[int(rng.integers(0, len(values)))], rng.random(), rng.random()
        if name in _FAMILY_SHAPES or name in kept or like < _LIKE_FAMILY:
            own = shared[name]
        elif name in _LIKE_NEIGHBOR and neighborly < 0.3:
            own = attributes[_LIKE_NEIGHBOR[name]]
        attributes[name] = own
    for attribute, other in world.ties:
        attributes[attribute] = attributes[other]
    return attributes


_PLACES = (
    """Al Bram Corv Dun Ever Fen Gar Har Ing Kel Lin Low Mar Nor Oss Pen Quin Ros Sel Thorn Ul Ver Wick Wold
    Yar Zell Cald Esk Hax Tarn""",
    """beck bury combe croft dale den don field ford gate ham holm hurst ley low mere more ness shaw stead
    stow thorpe ton wick wold worth""",
)
_KINDS = """Thrush Warbler Finch Wren Pipit Bunting Chat Tanager Lark Starling Robin Sparrow Tinker Piper
    Linnet Flycatcher Babbler Creeper Sylph Weaver Bulbul Honeyeater Thicketbird Shrike Oriole Vireo Siskin
    Dipper Nuthatch Cotinga Manakin Whistler Gleaner Swift Roller Jay Accentor"""
_HABITS = "Wood Marsh Hill River Dawn Winter Hermit Singing Garden Thicket"


def _invent_name(rng: np.random.Generator, used: set[str]) -> str:
    """A name no other species has. The kind is drawn apart from the family: names must not tell of looks."""

    def choose(words: str) -> str:
        options = words.split()
        return options[int(rng.integers(0, len(options)))]

    while True:
        place = choose(_PLACES[0]) + choose(_PLACES[1]) + ("'s" if rng.random() < 0.5 else "")
        habit = choose(_HABITS) + " " if rng.random() < 0.5 else ""
        name = f"{place} {habit}{choose(_KINDS)}"
        if name not in used:
            used.add(name)
            return name

"""The aviary: a generated field guide of imaginary birds, a zero-shot task that needs no download."""

import json

import numpy as np

from n3lib.data.aviary.species import check_positive, make_species, picture
from n3lib.data.aviary.worlds import World, find_world
from n3lib.data.dataset import Split, ZeroShotDataset
from n3lib.data.images import cached_images
from n3lib.io.errors import choose
from n3lib.io.files import sha256

# Raise it whenever the same seed gives other text or pictures: it is part of the dataset's hash.
VERSION = 1

# Numbers of species in each part, images for each species, and the width of an image in pixels.
PRESETS: dict[str, dict[str, int]] = {
    "tiny": {"train": 24, "val": 8, "test": 8, "train_images": 6, "eval_images": 6, "size": 32},
    "default": {"train": 500, "val": 40, "test": 100, "train_images": 16, "eval_images": 20, "size": 64},
}


def make_aviary(
    preset: str = "default", seed: int = 0, world: str | World = "aviary", **numbers: int | None
) -> ZeroShotDataset:
    """The field guide as a dataset: species are the classes, and test species are never seen in training.

    Class ids run over the test species first, then validation, then training: so another number of
    training species leaves the others, and all their pictures, as they are.

    The world `islands` is there to pretrain a backbone on related but different birds. Each of the `numbers`
    that is not None replaces that of the preset (`PRESETS`). Images are in class order.

    Raises:
        N3Error: unknown preset, number or world, a number that is not positive, or too many species.
    """
    sizes = choose(preset, PRESETS, "the aviary has no preset")
    for name in numbers:
        choose(name, sizes, "a preset has no number")
    sizes = sizes | {name: number for name, number in numbers.items() if number is not None}
    check_positive(**{name: number for name, number in sizes.items() if name != "val" or number < 0})
    world = find_world(world)
    n_eval = sizes["test"] + sizes["val"]
    species = make_species(n_eval + sizes["train"], seed, world)
    counts = [sizes["eval_images"]] * n_eval + [sizes["train_images"]] * sizes["train"]
    ids = tuple(range(len(species)))
    labels = np.repeat(np.array(ids, dtype=np.int64), counts)
    # "accounts": descriptions per species, always one; older datasets have it in their hash.
    settings = {**sizes, "seed": seed, "world": repr(world), "accounts": 1, "version": VERSION}
    generator = sha256("aviary", json.dumps(settings, sort_keys=True))
    plan = [(k, image) for k in ids for image in range(counts[k])]

    def make(row: int) -> np.ndarray:
        k, image = plan[row]
        return picture(species[k], k, image, seed, sizes["size"], world)

    images = cached_images(generator, len(plan), sizes["size"], make, "drawing birds")
    split = Split("aviary", train=ids[n_eval:], val=ids[sizes["test"] : n_eval], test=ids[: sizes["test"]])
    names, texts = tuple(one.name for one in species), tuple(one.sentences for one in species)
    text = sha256(*(part for one in species for part in (one.name, *one.sentences)))
    hashes = {"text": text, "generator": generator}
    return ZeroShotDataset(world.name, names, texts, images, labels, split, hashes)

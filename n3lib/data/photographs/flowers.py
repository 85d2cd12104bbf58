"""Oxford Flowers-102 (Nilsback and Zisserman, 2008), and the paper's Flowers-Species: the 55 of its 102
labels that name a species rather than a genus (which ones, and why: `NOT_SPECIES` in `classes.py`).
The layout is that of torchvision's `Flowers102`, so that a folder filled by either serves both.

    flowers-102/
        imagelabels.mat         labels: a number from 1 to 102 for every image
        jpg/image_00001.jpg

`Flowers102` itself is not used: it takes nothing but the complete dataset, in three parts.
"""

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from n3lib.data.fetch.archives import Archive
from n3lib.data.photographs.classes import FLOWERS_NAMES, FLOWERS_SPECIES_NAMES
from n3lib.data.photographs.lists import find_folder, hash_lists
from n3lib.data.photographs.source import Index, Source
from n3lib.data.photographs.splits import (
    FLOWERS_SPECIES_SPLITS,
    FLOWERS_SPLITS,
    flowers_species_split,
    flowers_split,
)
from n3lib.io.errors import N3Error

_HOST = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
_FOLDER = "flowers-102"
_REMEDY = f"Fetch 102flowers.tgz and imagelabels.mat again, from {_HOST}"


def _index(root: Path) -> Index:
    folder = find_folder(_FOLDER, root, (_FOLDER,), ("imagelabels.mat",), _REMEDY)
    path = folder / "imagelabels.mat"
    try:
        given = np.asarray(loadmat(path)["labels"]).ravel()
    except KeyError:
        raise N3Error(f"{path} holds no `labels`", _REMEDY) from None
    except Exception as error:  # scipy's reader raises errors of many kinds on broken files
        raise N3Error(f"{path} cannot be read: {error}", _REMEDY) from None
    if not len(given):
        raise N3Error(f"{path} is empty", _REMEDY)
    for image, label in enumerate(given.tolist(), 1):
        if label not in range(1, len(FLOWERS_NAMES) + 1):
            raise N3Error(
                f"{path}: label {label} of image {image} is not in 1 to {len(FLOWERS_NAMES)}", _REMEDY
            )
    paths = [folder / "jpg" / f"image_{image:05}.jpg" for image in range(1, len(given) + 1)]
    return Index(folder, FLOWERS_NAMES, paths, given.astype(np.int64) - 1, hash_lists(path))


def _index_species(root: Path) -> Index:
    whole = _index(root)
    place = {FLOWERS_NAMES.index(name): label for label, name in enumerate(FLOWERS_SPECIES_NAMES)}
    kept = [image for image, label in enumerate(whole.labels.tolist()) if label in place]
    labels = np.array([place[label] for label in whole.labels[kept].tolist()], dtype=np.int64)
    return whole._replace(
        classes=FLOWERS_SPECIES_NAMES, paths=[whole.paths[image] for image in kept], labels=labels
    )


_ARCHIVES = (
    Archive("102flowers.tgz", f"{_HOST}102flowers.tgz", "52808999861908f626f3c1f4e79d11fa", _FOLDER),
    Archive("imagelabels.mat", f"{_HOST}imagelabels.mat", "e0620be6f572b9609742df49c70aed4d", _FOLDER, False),
    Archive("setid.mat", f"{_HOST}setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c", _FOLDER, False),
)
_TERMS = "No license is stated; the photographs were gathered on the web, for research."

FLOWERS = Source(
    name="flowers",
    title="Oxford Flowers-102: 8,189 photographs of 102 kinds of flowers (Nilsback and Zisserman, 2008)",
    names=FLOWERS_NAMES,
    images=8_189,
    splits=FLOWERS_SPLITS,
    index=_index,
    split=flowers_split,
    archives=_ARCHIVES,
    terms=_TERMS,
    text="flowers_wikipedia.json",
)

FLOWERS_SPECIES = Source(
    name="flowers-species",
    title="Flowers-Species: the 3,545 photographs of Oxford Flowers-102 of 55 labels that are a species",
    names=FLOWERS_SPECIES_NAMES,
    images=3_545,
    splits=FLOWERS_SPECIES_SPLITS,
    index=_index_species,
    split=flowers_species_split,
    archives=_ARCHIVES,
    terms=_TERMS,
    text="flowers_species_wikipedia.json",
)

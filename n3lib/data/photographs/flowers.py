"""Oxford Flowers-102 (Nilsback and Zisserman, 2008), and the paper's Flowers-Species: the 55 of its 102
labels that name a species rather than a genus (which ones, and why: `NOT_SPECIES` in `classes.py`).
The layout is that of torchvision's `Flowers102`, so that a folder filled by either serves both.

    flowers-102/
        imagelabels.mat         labels: a number from 1 to 102 for every image
        jpg/image_00001.jpg
"""

from pathlib import Path

import numpy as np

from n3lib.data.photographs.classes import FLOWERS_NAMES, FLOWERS_SPECIES_NAMES, NOT_SPECIES
from n3lib.data.photographs.lists import Index, Lists
from n3lib.data.photographs.source import read_source

_LABELS = "imagelabels.mat"
_REMEDY = f"Fetch 102flowers.tgz and {_LABELS} again, from https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"


def _index(root: Path) -> Index:
    from scipy.io import loadmat  # large, and for this dataset alone

    lists = Lists.find(root, _REMEDY, (_LABELS,), "flowers-102")
    try:
        labels = np.asarray(loadmat(lists.folder / _LABELS)["labels"]).ravel().tolist()
    except KeyError:
        raise lists.error(_LABELS, " holds no `labels`") from None
    except Exception as error:  # scipy's reader raises errors of many kinds on broken files
        raise lists.error(_LABELS, f" cannot be read: {error}") from None
    if not labels:
        raise lists.error(_LABELS, " is empty")
    for image, label in enumerate(labels, 1):
        if label not in range(1, len(FLOWERS_NAMES) + 1):
            what = f"label {label} of image {image} is not in 1 to {len(FLOWERS_NAMES)}"
            raise lists.error(_LABELS, f": {what}")
    paths = [lists.folder / f"jpg/image_{image:05}.jpg" for image in range(1, len(labels) + 1)]
    return lists.index(FLOWERS_NAMES, paths, (int(label) - 1 for label in labels), _LABELS)


def _index_species(root: Path) -> Index:
    whole = _index(root)
    species = [FLOWERS_NAMES.index(name) for name in FLOWERS_SPECIES_NAMES]  # in ascending order
    kept = np.flatnonzero(np.isin(whole.labels, species))
    paths, labels = [whole.paths[image] for image in kept], np.searchsorted(species, whole.labels[kept])
    return whole._replace(classes=FLOWERS_SPECIES_NAMES, paths=paths, labels=labels)


FLOWERS = read_source("flowers", FLOWERS_NAMES, _index)
FLOWERS_SPECIES = read_source(
    "flowers-species", FLOWERS_SPECIES_NAMES, _index_species, others=tuple(NOT_SPECIES)
)

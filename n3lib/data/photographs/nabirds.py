"""NABirds: 48,562 photographs of North American birds (Van Horn et al., 2015), in its official layout.

    nabirds/
        classes.txt             295 Common Eider (Adult male)
        hierarchy.txt           295 179
        images.txt              0000139e-21dc-4d0c-bfe1-4cae3c85c829 0817/0000139e21dc4d0cbfe14cae3c85c829.jpg
        image_class_labels.txt  0000139e-21dc-4d0c-bfe1-4cae3c85c829 817
        images/0817/...

Its 555 categories tell sexes, ages and plumages apart: what stands in parentheses is stripped here, which
leaves 404 species, as in the paper and in Elhoseiny et al., CVPR 2017.

The published splits count these 404 in the order of a number that is the category's own id, or, where several
categories are merged, the id of the species above them in the hierarchy. That order is nowhere written down;
it was found from the published numbers of images per class, and by it the classes of the published SCE test
part are exactly whole orders and families. `load` refuses a complete dataset in which the numbers differ.
"""

import re
from pathlib import Path

import numpy as np

from n3lib.data.fetch.archives import Archive
from n3lib.data.photographs.classes import NABIRDS_COUNTS, NABIRDS_NAMES
from n3lib.data.photographs.lists import check_same_images, find_folder, hash_lists, paths_in, read_pairs
from n3lib.data.photographs.source import Index, Source
from n3lib.data.photographs.splits import NABIRDS_SPLITS, nabirds_split
from n3lib.io.errors import N3Error

_REMEDY = "Unpack nabirds.tar.gz again, from https://dl.allaboutbirds.org/nabirds"


def species(name: str) -> str:
    """A category without sex, age and plumage: `Wood Duck` for `Wood Duck (Breeding male)`."""
    return " ".join(re.sub(r"\(.*\)", "", name).split())


def _index(root: Path) -> Index:
    folder = find_folder("nabirds", root, ("nabirds",), ("images.txt", "classes.txt"), _REMEDY)
    names = ("classes.txt", "hierarchy.txt", "images.txt", "image_class_labels.txt")
    lists = [folder / name for name in names]
    categories = read_pairs(lists[0], _REMEDY, spaces=True)
    parents = read_pairs(lists[1], _REMEDY)
    images = read_pairs(lists[2], _REMEDY, numbered=False)
    given = read_pairs(lists[3], _REMEDY, numbered=False)
    check_same_images(lists[3], given, images, _REMEDY)
    above = set(parents.values())
    odd = (parents.keys() | above) - categories.keys()
    if odd:
        raise N3Error(f"{lists[1]}: category {min(odd)} is not in classes.txt", _REMEDY)

    leaves: dict[str, list[str]] = {}
    for category in categories:
        if category in parents and category not in above:
            leaves.setdefault(species(categories[category]), []).append(category)
    # The id of a species that stands for several categories is that of their parent.
    ids = {bird: int(parents[own[0]] if len(own) > 1 else own[0]) for bird, own in leaves.items()}
    birds = sorted(leaves, key=ids.__getitem__)
    place = {category: label for label, bird in enumerate(birds) for category in leaves[bird]}

    labels = []
    for image in images:
        category = given[image]
        if category not in place:
            raise N3Error(f"{lists[3]}: label {category!r} of image {image} is no category", _REMEDY)
        labels.append(place[category])
    paths = paths_in(folder / "images", images.values(), lists[2], _REMEDY)
    return Index(folder, tuple(birds), paths, np.array(labels, dtype=np.int64), hash_lists(*lists))


NABIRDS = Source(
    name="nabirds",
    title="NABirds: 48,562 photographs of 404 species of North American birds (Van Horn et al., 2015)",
    names=NABIRDS_NAMES,
    images=48_562,
    splits=NABIRDS_SPLITS,
    index=_index,
    split=nabirds_split,
    archives=(Archive("nabirds.tar.gz", md5="df21a9e4db349a14e2b08adfd45873bd"),),
    terms="Agree to the terms of the Cornell Lab of Ornithology at https://dl.allaboutbirds.org/nabirds, then"
    " download nabirds.tar.gz from the address that they give you. For non-commercial use.",
    text="nabirds_wikipedia.json",
    counts=NABIRDS_COUNTS,
)

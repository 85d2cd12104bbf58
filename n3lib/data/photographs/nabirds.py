"""NABirds: 48,562 photographs of North American birds (Van Horn et al., 2015), in its official layout.

    nabirds/
        classes.txt             295 Common Eider (Adult male)
        hierarchy.txt           295 179
        images.txt              0000139e-21dc-4d0c-bfe1-4cae3c85c829 0817/0000139e21dc4d0cbfe14cae3c85c829.jpg
        image_class_labels.txt  0000139e-21dc-4d0c-bfe1-4cae3c85c829 817
        images/0817/...

Its 555 categories tell sexes, ages and plumages apart: what is in parentheses is stripped here, which leaves
404 species, as in the paper and in Elhoseiny et al., CVPR 2017.

The published splits count these 404 in the order of the category's own id, or, where several categories are
merged, of the id of the species above them. That order is nowhere written down; it was found from the
published numbers of images per class. `load` refuses a complete dataset in which the numbers differ.
"""

import re
from pathlib import Path

from n3lib.data.photographs.classes import NABIRDS_COUNTS, NABIRDS_NAMES
from n3lib.data.photographs.lists import Index, Lists
from n3lib.data.photographs.source import read_source

_REMEDY = "Unpack nabirds.tar.gz again, from https://dl.allaboutbirds.org/nabirds"


def species_name(category: str) -> str:
    """A category without sex, age and plumage: `Wood Duck` for `Wood Duck (Breeding male)`."""
    return " ".join(re.sub(r"\(.*\)", "", category).split())


def _index(root: Path) -> Index:
    lists = Lists.find(root, _REMEDY, ("images.txt", "classes.txt"), "nabirds")
    names = ("classes.txt", "hierarchy.txt", "images.txt", "image_class_labels.txt")
    categories, parents = lists.pairs(names[0], spaces=True), lists.pairs(names[1])
    images = lists.pairs(names[2], numbered=False)
    given = lists.labels(names[3], images, numbered=False)
    above = set(parents.values())
    if odd := (parents.keys() | above) - categories.keys():
        raise lists.error(names[1], f": category {min(odd)} is not in classes.txt")

    leaves: dict[str, list[str]] = {}
    for category in categories:
        if category in parents and category not in above:
            leaves.setdefault(species_name(categories[category]), []).append(category)
    # The id of a species that merges several categories is that of their parent.
    ids = {bird: int(parents[own[0]] if len(own) > 1 else own[0]) for bird, own in leaves.items()}
    birds = sorted(leaves, key=ids.__getitem__)
    label = {category: label for label, bird in enumerate(birds) for category in leaves[bird]}
    for image, category in given.items():
        if category not in label:
            raise lists.error(names[3], f": label {category!r} of image {image} is no category")
    paths = lists.paths("images", images.values(), names[2])
    return lists.index(birds, paths, map(label.__getitem__, given.values()), *names)


NABIRDS = read_source("nabirds", NABIRDS_NAMES, _index, counts=NABIRDS_COUNTS)

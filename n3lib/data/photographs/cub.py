"""Caltech-UCSD Birds: photographs of 200 bird species, in the edition of 2011 (Wah et al.) and the smaller
one of 2010 (Welinder et al.), each in its official layout.

    CUB_200_2011/                     CUB_200_2011.tgz
        classes.txt                   1 001.Black_footed_Albatross
        images.txt                    1 001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg
        image_class_labels.txt        1 1
        images/001.Black_footed_Albatross/...
    CUB_200/
        lists/classes.txt             001.Black_footed_Albatross
        lists/files.txt               001.Black_footed_Albatross/Black_footed_Albatross_0001_2950163169.jpg
        images/001.Black_footed_Albatross/...

Other files are not read. Both editions have the same classes under the same numbers. Where the names of the
complete edition of 2010 are spelled otherwise, those of 2011 are used, so that descriptions serve both.
"""

from pathlib import Path

from n3lib.data.photographs.classes import CUB_NAMES
from n3lib.data.photographs.lists import Index, Lists
from n3lib.data.photographs.source import read_source

_REMEDY = "Unpack CUB_200_2011.tgz again, from https://www.vision.caltech.edu/datasets/cub_200_2011/"
_REMEDY_2010 = "Unpack images.tgz and lists.tgz of CUB-200 (2010) again into one folder, CUB_200"


def find_lists(root: Path) -> Lists:
    """The lists of CUB-200-2011."""
    return Lists.find(root, _REMEDY, ("images.txt", "classes.txt"), "CUB_200_2011")


def _index(root: Path) -> Index:
    lists, names = find_lists(root), ("classes.txt", "images.txt", "image_class_labels.txt")
    classes, images = lists.classes(names[0]), lists.pairs(names[1])
    labels = lists.labels(names[2], images)
    for image, label in labels.items():
        if not label.isdecimal() or not 1 <= int(label) <= len(classes):
            raise lists.error(names[2], f": label {label!r} of image {image} is not in 1 to {len(classes)}")
    paths = lists.paths("images", images.values(), names[1])
    return lists.index(classes, paths, (int(label) - 1 for label in labels.values()), *names)


def _index_2010(root: Path) -> Index:
    names = ("lists/classes.txt", "lists/files.txt")
    lists = Lists.find(root, _REMEDY_2010, names[::-1], "CUB_200", "CUB-200", "CUB_200_2010")
    ids: dict[str, int] = {}
    for number, name in lists.lines(names[0]):
        if not name.startswith(f"{len(ids) + 1:03}."):
            raise lists.error(names[0], f", line {number}: {name[:80]!r} is not class {len(ids) + 1}")
        ids[name] = len(ids)
    labels: dict[str, int] = {}
    for number, file in lists.lines(names[1]):
        name = file.split("/")[0]
        if name not in ids or file in labels:
            what = "is there twice" if name in ids else "is of no class in classes.txt"
            raise lists.error(names[1], f", line {number}: {file[:80]!r} {what}")
        labels[file] = ids[name]
    classes = tuple(ids)
    # Most names are equal, which tells that the numbers mean the same classes.
    if len(classes) == len(CUB_NAMES) and sum(map(str.__eq__, classes, CUB_NAMES)) > 100:
        classes = CUB_NAMES
    return lists.index(classes, lists.paths("images", labels, names[1]), labels.values(), *names)


CUB = read_source("cub", CUB_NAMES, _index)
CUB2010 = read_source("cub2010", CUB_NAMES, _index_2010, splits="cub")

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

from n3lib.data.fetch import Archive
from n3lib.data.photographs.classes import CUB_NAMES
from n3lib.data.photographs.lists import Index, Lists
from n3lib.data.photographs.source import Source
from n3lib.data.photographs.splits import read_splits

_PAGE = "https://www.vision.caltech.edu/datasets/cub_200_2011/"
_REMEDY = f"Unpack CUB_200_2011.tgz again, from {_PAGE}"
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


_SPLITS = read_splits("cub", len(CUB_NAMES))
_TERMS = (
    "The photographs belong to those who took them (Flickr) and are offered for non-commercial research and"
    " education."
)

CUB = Source(
    name="cub",
    title="CUB-200-2011: 11,788 photographs of 200 bird species (Wah et al., 2011)",
    names=CUB_NAMES,
    images=11_788,
    splits=_SPLITS,
    index=_index,
    archives=(
        Archive(
            "CUB_200_2011.tgz",
            url="https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
            md5="97eceeb196236b17998738112f37df78",
        ),
    ),
    terms=_TERMS,
    text="cub_wikipedia.json",
)

CUB2010 = Source(
    name="cub2010",
    title="CUB-200: 6,033 photographs of the same 200 bird species (Welinder et al., 2010)",
    names=CUB_NAMES,
    images=6_033,
    splits=_SPLITS,
    index=_index_2010,
    archives=(
        Archive("images.tgz", md5="2bbe304ef1aa3ddb6094aa8f53487cf2", into="CUB_200"),
        Archive("lists.tgz", into="CUB_200"),
    ),
    terms=f"{_TERMS} This older edition has no lasting address: look for CUB-200 (2010) beside {_PAGE}",
    text="cub_wikipedia.json",
)

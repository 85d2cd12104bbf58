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

import numpy as np

from n3lib.data.fetch.archives import Archive
from n3lib.data.photographs.classes import CUB_NAMES
from n3lib.data.photographs.lists import (
    check_same_images,
    find_folder,
    hash_lists,
    paths_in,
    read_lines,
    read_pairs,
)
from n3lib.data.photographs.source import Index, Source
from n3lib.data.photographs.splits import CUB_SPLITS, cub_split
from n3lib.io.errors import N3Error

_PAGE = "https://www.vision.caltech.edu/datasets/cub_200_2011/"
_REMEDY = f"Unpack CUB_200_2011.tgz again, from {_PAGE}"
_REMEDY_2010 = "Unpack images.tgz and lists.tgz of CUB-200 (2010) again into one folder, CUB_200"


def _index(root: Path) -> Index:
    folder = find_folder("CUB_200_2011", root, ("CUB_200_2011",), ("images.txt", "classes.txt"), _REMEDY)
    lists = [folder / name for name in ("classes.txt", "images.txt", "image_class_labels.txt")]
    names = read_pairs(lists[0], _REMEDY)
    if list(names) != [str(number) for number in range(1, len(names) + 1)]:
        raise N3Error(f"{lists[0]}: class ids do not run from 1 to {len(names)}", _REMEDY)
    images = read_pairs(lists[1], _REMEDY)
    given = read_pairs(lists[2], _REMEDY)
    check_same_images(lists[2], given, images, _REMEDY)
    labels = []
    for image in images:
        label = given[image]
        if not label.isdecimal() or not 1 <= int(label) <= len(names):
            raise N3Error(
                f"{lists[2]}: label {label!r} of image {image} is not in 1 to {len(names)}", _REMEDY
            )
        labels.append(int(label) - 1)
    paths = paths_in(folder / "images", images.values(), lists[1], _REMEDY)
    return Index(folder, tuple(names.values()), paths, np.array(labels, dtype=np.int64), hash_lists(*lists))


def _index_2010(root: Path) -> Index:
    places = ("CUB_200", "CUB-200", "CUB_200_2010")
    folder = find_folder("CUB_200", root, places, ("lists/files.txt", "lists/classes.txt"), _REMEDY_2010)
    lists = [folder / "lists" / name for name in ("classes.txt", "files.txt")]
    place: dict[str, int] = {}
    for number, name in read_lines(lists[0], _REMEDY_2010):
        if not name.startswith(f"{len(place) + 1:03}."):
            raise N3Error(
                f"{lists[0]}, line {number}: {name[:80]!r} is not class {len(place) + 1}", _REMEDY_2010
            )
        place[name] = len(place)
    labels: dict[str, int] = {}
    for number, file in read_lines(lists[1], _REMEDY_2010):
        if file.split("/")[0] not in place:
            raise N3Error(
                f"{lists[1]}, line {number}: {file[:80]!r} is of no class in classes.txt", _REMEDY_2010
            )
        if file in labels:
            raise N3Error(f"{lists[1]}, line {number}: {file[:80]!r} stands there twice", _REMEDY_2010)
        labels[file] = place[file.split("/")[0]]
    names = tuple(place)
    # Most names are equal, which tells that the numbers mean the same classes.
    if len(names) == len(CUB_NAMES) and sum(map(str.__eq__, names, CUB_NAMES)) > 100:
        names = CUB_NAMES
    paths = paths_in(folder / "images", labels, lists[1], _REMEDY_2010)
    return Index(folder, names, paths, np.array(list(labels.values()), dtype=np.int64), hash_lists(*lists))


_TERMS = (
    "The photographs belong to those who took them (Flickr) and are offered for non-commercial research and"
    " education."
)

CUB = Source(
    name="cub",
    title="CUB-200-2011: 11,788 photographs of 200 bird species (Wah et al., 2011)",
    names=CUB_NAMES,
    images=11_788,
    splits=CUB_SPLITS,
    index=_index,
    split=cub_split,
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
    splits=CUB_SPLITS,
    index=_index_2010,
    split=cub_split,
    archives=(
        Archive("images.tgz", md5="2bbe304ef1aa3ddb6094aa8f53487cf2", into="CUB_200"),
        Archive("lists.tgz", into="CUB_200"),
    ),
    terms=f"{_TERMS} This older edition has no lasting address: look for CUB-200 (2010) beside {_PAGE}",
    text="cub_wikipedia.json",
)

"""The class splits of the datasets.

Numbers are official class ids, counted from 1; in a dataset the class id is one less. For NABirds they count
the 404 merged classes in the order of `NABIRDS_NAMES`, for Flowers-Species the 102 labels of Oxford Flowers.

Published:

- PS, "proposed split", of CUB and AWA2: Xian et al., "Zero-shot learning: the good, the bad and the ugly",
  CVPR 2017, and TPAMI 2018. No test class is one of the classes of ImageNet-1K.
- SS, "standard split", of CUB: Akata et al., "Label-embedding for attribute-based classification", CVPR 2013.
  Of AWA2: Lampert et al., "Attribute-based classification for zero-shot visual object categorization",
  TPAMI 2014.
- SCE, "super-category exclusive", of CUB and NABirds, and SCS, "super-category shared", of NABirds: Elhoseiny
  et al., "Link the head to the 'beak': zero shot learning from noisy text description at part precision",
  CVPR 2017. By these ids CUB's SCE is not quite exclusive: the warblers 158 to 160 are seen.

Drawn here, because they are not published, by one fixed rule: put the classes to choose from in order of
the SHA-256 of "<split>:<official id>" and take as many as needed (what the paper's Table 1 says, if it does).

- The validation classes of every split that came without: CUB's SS and SCE, AWA2's SS, NABirds' SCE. AWA2's
  PS came with 13, of which Table 1 keeps 10; the other three are trained on.
- NABirds' SS: the 40 test classes from the 81 of SCS, then 40 validation classes from the rest of these; the
  one left over is trained on. NABirds' PS: the test classes from those that no class of ImageNet-1K covers.
- Flowers-Species' SS and PS, the latter without labels that ImageNet-1K covers among the test classes.
- The random splits of the paper's appendix B, after Lei Ba et al., "Predicting deep zero-shot convolutional
  neural networks using textual descriptions", ICCV 2015: "160/40" of CUB and "82/20" of Oxford Flowers. First
  the test classes are taken, then as many for validation. `load` in `source.py` leaves out a fifth of the
  images of their seen classes, as the paper does.
"""

import hashlib
from collections.abc import Iterable, Sequence

from n3lib.data.dataset import Split
from n3lib.data.photographs.classes import (
    AWA2_NAMES,
    CUB_NAMES,
    FLOWERS_NAMES,
    FLOWERS_SPECIES_NAMES,
    NABIRDS_NAMES,
)
from n3lib.io.errors import N3Error

CUB_SPLITS = ("PS", "SS", "SCE", "160/40")
AWA2_SPLITS = ("PS", "SS")
NABIRDS_SPLITS = ("PS", "SS", "SCE")
FLOWERS_SPLITS = ("82/20",)
FLOWERS_SPECIES_SPLITS = ("PS", "SS")

# Training classes are all the others.
# fmt: off
_CUB_PS_VAL = (
    5, 7, 9, 18, 29, 34, 36, 48, 51, 56, 59, 61, 63, 64, 66, 69, 73, 74, 76, 80, 83, 86, 89, 100, 109,
    114, 116, 117, 118, 121, 128, 140, 141, 144, 150, 151, 153, 155, 158, 162, 174, 177, 179, 182, 184,
    189, 192, 194, 195, 198,
)
_CUB_PS_TEST = (
    4, 12, 23, 26, 28, 31, 33, 43, 45, 49, 52, 55, 70, 72, 77, 84, 87, 91, 94, 97, 98, 103, 104, 111, 113,
    119, 123, 124, 127, 130, 132, 136, 138, 139, 143, 148, 156, 157, 161, 163, 164, 165, 168, 169, 173,
    180, 188, 190, 191, 200,
)
_CUB_SS_TEST = (
    1, 4, 6, 8, 9, 14, 23, 29, 31, 33, 34, 35, 36, 37, 38, 43, 49, 51, 53, 66, 72, 79, 83, 84, 86, 91, 95,
    96, 98, 101, 102, 103, 112, 114, 119, 121, 130, 135, 138, 147, 156, 163, 165, 166, 180, 183, 185, 186,
    187, 197,
)
_CUB_SCE_TEST = tuple(range(161, 201))
_NABIRDS_SCS_TEST = (
    4, 19, 20, 23, 27, 37, 39, 43, 47, 52, 57, 60, 71, 74, 75, 81, 87, 88, 93, 103, 104, 117, 118, 125, 127,
    128, 129, 133, 141, 142, 146, 151, 156, 160, 165, 166, 171, 182, 184, 185, 190, 195, 200, 201, 207, 211,
    212, 220, 227, 232, 239, 240, 244, 247, 253, 257, 261, 263, 269, 276, 280, 281, 296, 304, 314, 323, 333,
    340, 346, 347, 356, 359, 361, 363, 370, 380, 381, 390, 392, 397, 398,
)
_NABIRDS_SCE_TEST = (
    2, 7, 8, 17, 31, 46, 60, 70, 88, 91, 92, 95, 103, *range(128, 132), *range(209, 223), 228, 233, 237, 243,
    *range(251, 255), *range(263, 273), *range(280, 290), 293, 355, 356, *range(386, 405),
)
_AWA2_PS_TEST = (
    "sheep", "dolphin", "bat", "seal", "blue+whale", "rat", "horse", "walrus", "giraffe", "bobcat",
)
_AWA2_PS_VAL = (
    "mole", "beaver", "deer", "gorilla", "chimpanzee", "dalmatian", "ox", "giant+panda", "leopard", "hamster",
    "moose", "rabbit", "raccoon",
)
_AWA2_SS_TEST = (
    "chimpanzee", "giant+panda", "leopard", "persian+cat", "pig", "hippopotamus", "humpback+whale", "raccoon",
    "rat", "seal",
)
# fmt: on

# What the classes of ImageNet-1K cover, seen generously: a class that is a group covers all of it, and
# "drake" covers all ducks. Its other classes of birds have no species in NABirds.
IMAGENET_NABIRDS = {
    "American coot": ("American Coot",),
    "American egret": ("Great Egret",),
    "bald eagle": ("Bald Eagle",),
    "chickadee": (
        ("Carolina Chickadee", "Black-capped Chickadee", "Mountain Chickadee", "Chestnut-backed Chickadee")
        + ("Boreal Chickadee",)
    ),
    "crane": ("Sandhill Crane",),
    "dowitcher": ("Short-billed Dowitcher",),
    "drake": (
        ("Wood Duck", "Gadwall", "American Wigeon", "Mallard", "Blue-winged Teal", "Cinnamon Teal")
        + ("Northern Shoveler", "Northern Pintail", "Green-winged Teal", "Canvasback", "Redhead")
        + ("Ring-necked Duck", "Greater Scaup", "Lesser Scaup", "Common Eider", "Harlequin Duck")
        + ("Surf Scoter", "White-winged Scoter", "Black Scoter", "Long-tailed Duck", "Bufflehead")
        + ("Common Goldeneye", "Barrow's Goldeneye", "Hooded Merganser", "Common Merganser", "Ruddy Duck")
        + ("American Black Duck", "Mottled Duck", "Black-bellied Whistling-Duck")
    ),
    "European gallinule": ("Purple Gallinule", "Common Gallinule"),
    "goldfinch": ("American Goldfinch", "Lesser Goldfinch"),
    "goose": (
        ("Snow Goose", "Ross's Goose", "Greater White-fronted Goose", "Brant", "Cackling Goose")
        + ("Canada Goose",)
    ),
    "house finch": ("House Finch",),
    "hummingbird": (
        ("Broad-billed Hummingbird", "Ruby-throated Hummingbird", "Black-chinned Hummingbird")
        + ("Anna's Hummingbird", "Costa's Hummingbird", "Calliope Hummingbird", "Broad-tailed Hummingbird")
        + ("Rufous Hummingbird", "Allen's Hummingbird")
    ),
    "indigo bunting": ("Indigo Bunting",),
    "jay": (
        ("Gray Jay", "Steller's Jay", "Blue Jay", "Florida Scrub-Jay", "Western Scrub-Jay", "Mexican Jay")
    ),
    "junco": ("Dark-eyed Junco",),
    "kite": ("Swallow-tailed Kite", "White-tailed Kite", "Mississippi Kite"),
    "little blue heron": ("Little Blue Heron",),
    "magpie": ("Black-billed Magpie", "Yellow-billed Magpie"),
    "oystercatcher": ("American Oystercatcher", "Black Oystercatcher"),
    "pelican": ("American White Pelican", "Brown Pelican"),
    "quail": ("California Quail", "Gambel's Quail", "Scaled Quail", "Northern Bobwhite"),
    "red-backed sandpiper": ("Dunlin",),
    "red-breasted merganser": ("Red-breasted Merganser",),
    "robin": ("American Robin",),
    "ruddy turnstone": ("Ruddy Turnstone",),
    "ruffed grouse": ("Ruffed Grouse",),
    "spoonbill": ("Roseate Spoonbill",),
    "vulture": ("Black Vulture", "Turkey Vulture"),
    "water ouzel": ("American Dipper",),
}
# "Daisy" is any daisy there, and the cardoon is the artichoke's wild form. The yellow lady's slipper, the
# rapeseed and the rose hips of ImageNet-1K have no species here.
IMAGENET_FLOWERS = {
    "artichoke": ("artichoke",),
    "cardoon": ("artichoke",),
    "daisy": ("oxeye daisy", "barbeton daisy"),
}


def cub_split(name: str) -> Split:
    """The split `PS`, `SS`, `SCE` or `160/40` of CUB (2010 and 2011 alike), with class ids 0 to 199.

    Raises:
        N3Error: there is no split of that name.
    """
    ids = range(1, len(CUB_NAMES) + 1)
    _known("CUB", name, CUB_SPLITS)
    if name == "PS":
        return _split(name, ids, _CUB_PS_VAL, _CUB_PS_TEST, (100, 50, 50))
    if name == "SS":
        return _split(name, ids, _draw(name, ids, 50, _CUB_SS_TEST), _CUB_SS_TEST, (100, 50, 50))
    if name == "SCE":
        return _split(name, ids, _draw(name, ids, 40, _CUB_SCE_TEST), _CUB_SCE_TEST, (120, 40, 40))
    test = _draw(name, ids, 40)
    return _split(name, ids, _draw(name, ids, 40, test), test, (120, 40, 40))


def awa2_split(name: str) -> Split:
    """The split `PS` or `SS` of AWA2, with class ids 0 to 49.

    Raises:
        N3Error: there is no split of that name.
    """
    ids = range(1, len(AWA2_NAMES) + 1)
    _known("AWA2", name, AWA2_SPLITS)
    if name == "PS":
        test = _official(AWA2_NAMES, _AWA2_PS_TEST)
        val = _draw(name, _official(AWA2_NAMES, _AWA2_PS_VAL), 10)
    else:
        test = _official(AWA2_NAMES, _AWA2_SS_TEST)
        val = _draw(name, ids, 10, test)
    return _split(name, ids, val, test, (30, 10, 10))


def nabirds_split(name: str) -> Split:
    """The split `PS`, `SS` or `SCE` of NABirds, with class ids 0 to 403.

    Raises:
        N3Error: there is no split of that name.
    """
    ids = range(1, len(NABIRDS_NAMES) + 1)
    _known("NABirds", name, NABIRDS_SPLITS)
    if name == "PS":
        known = _official(NABIRDS_NAMES, (bird for birds in IMAGENET_NABIRDS.values() for bird in birds))
        test = _draw(name, ids, 40, known)
        return _split(name, ids, _draw(name, ids, 40, test), test, (324, 40, 40))
    if name == "SS":
        test = _draw(name, _NABIRDS_SCS_TEST, 40)
        return _split(name, ids, _draw(name, _NABIRDS_SCS_TEST, 40, test), test, (324, 40, 40))
    val = _draw(name, ids, 40, _NABIRDS_SCE_TEST)
    return _split(name, ids, val, _NABIRDS_SCE_TEST, (283, 40, 81))


def flowers_split(name: str) -> Split:
    """The split `82/20` of Oxford Flowers, with class ids 0 to 101.

    Raises:
        N3Error: there is no split of that name.
    """
    ids = range(1, len(FLOWERS_NAMES) + 1)
    _known("Oxford Flowers", name, FLOWERS_SPLITS)
    test = _draw(name, ids, 20)
    return _split(name, ids, _draw(name, ids, 20, test), test, (62, 20, 20))


def flowers_species_split(name: str) -> Split:
    """The split `PS` or `SS` of Flowers-Species, with class ids 0 to 54.

    Raises:
        N3Error: there is no split of that name.
    """
    ids = _official(FLOWERS_NAMES, FLOWERS_SPECIES_NAMES)
    _known("Flowers-Species", name, FLOWERS_SPECIES_SPLITS)
    known = _official(FLOWERS_NAMES, (label for labels in IMAGENET_FLOWERS.values() for label in labels))
    test = _draw(name, ids, 10, known if name == "PS" else ())
    return _split(name, ids, _draw(name, ids, 10, test), test, (35, 10, 10))


def _known(dataset: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise N3Error(f"{dataset} has no split {name!r}", f"Use one of {', '.join(names)}")


def _official(names: Sequence[str], chosen: Iterable[str]) -> tuple[int, ...]:
    """The official ids of some names."""
    place = {name: official for official, name in enumerate(names, 1)}
    return tuple(place[name] for name in chosen)


def _draw(name: str, pool: Iterable[int], count: int, without: Iterable[int] = ()) -> tuple[int, ...]:
    """`count` official ids out of a pool, by the rule at the top of this file."""
    left = set(pool) - set(without)
    return tuple(
        sorted(left, key=lambda official: hashlib.sha256(f"{name}:{official}".encode()).digest())[:count]
    )


def _split(
    name: str, ids: Sequence[int], val: Iterable[int], test: Iterable[int], counts: tuple[int, int, int]
) -> Split:
    """A split from official ids; what is in neither part is trained on. A class id is a place in `ids`."""
    place = {official: index for index, official in enumerate(ids)}
    parts = set(ids) - set(val) - set(test), val, test
    split = Split(name, *(tuple(sorted(place[official] for official in part)) for part in parts))
    assert tuple(len(split.part(part)) for part in ("train", "val", "test")) == counts
    return split

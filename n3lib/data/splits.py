"""The published class splits of CUB-200-2011.

Numbers are the official class ids, 1 to 200, as in `classes.txt`; in a dataset the class id is one less.

- PS, "proposed split" (100 train, 50 validation, 50 test): Xian et al., "Zero-shot learning: the good, the
  bad and the ugly", CVPR 2017, and TPAMI 2018. No test class is one of the classes of ImageNet-1k.
- SS, "standard split" (150, 50 test): Akata et al., "Label-embedding for attribute-based classification",
  CVPR 2013.
- SCE, "super-category exclusive" (160, 40 test): Elhoseiny et al., "Link the head to the 'beak': zero shot
  learning from noisy text description at part precision", CVPR 2017. By these ids it is not quite exclusive:
  the warblers 158 to 160 are seen.

SS and SCE come without validation classes of their own here; they are drawn by a fixed rule: put the classes
outside the test part in order of the SHA-256 of "<split>:<official id>" and take the first 50 (SS, as many as
in the paper's Table 1) or 40 (SCE, as many as it tests).
"""

import hashlib

from n3lib.data.base import Split
from n3lib.errors import N3Error

CUB_CLASSES = range(1, 201)

# Training classes are all the others.
# fmt: off
_PS_VAL: tuple[int, ...] = (
    5, 7, 9, 18, 29, 34, 36, 48, 51, 56, 59, 61, 63, 64, 66, 69, 73, 74, 76, 80, 83, 86, 89, 100, 109,
    114, 116, 117, 118, 121, 128, 140, 141, 144, 150, 151, 153, 155, 158, 162, 174, 177, 179, 182, 184,
    189, 192, 194, 195, 198,
)
_PS_TEST: tuple[int, ...] = (
    4, 12, 23, 26, 28, 31, 33, 43, 45, 49, 52, 55, 70, 72, 77, 84, 87, 91, 94, 97, 98, 103, 104, 111, 113,
    119, 123, 124, 127, 130, 132, 136, 138, 139, 143, 148, 156, 157, 161, 163, 164, 165, 168, 169, 173,
    180, 188, 190, 191, 200,
)
_SS_TEST: tuple[int, ...] = (
    1, 4, 6, 8, 9, 14, 23, 29, 31, 33, 34, 35, 36, 37, 38, 43, 49, 51, 53, 66, 72, 79, 83, 84, 86, 91, 95,
    96, 98, 101, 102, 103, 112, 114, 119, 121, 130, 135, 138, 147, 156, 163, 165, 166, 180, 183, 185, 186,
    187, 197,
)
# fmt: on
_SCE_TEST = tuple(range(161, 201))
CUB_SPLITS = ("PS", "SS", "SCE")


def cub_split(name: str) -> Split:
    """The split `PS`, `SS` or `SCE` of CUB, with class ids 0 to 199.

    Raises:
        N3Error: there is no split of that name.
    """
    if name == "PS":
        val, test = _PS_VAL, _PS_TEST
    elif name == "SS":
        val, test = _draw(name, _SS_TEST, 50), _SS_TEST
    elif name == "SCE":
        val, test = _draw(name, _SCE_TEST, 40), _SCE_TEST
    else:
        raise N3Error(f"CUB has no split {name!r}", f"Use one of {', '.join(CUB_SPLITS)}")
    train = sorted(set(CUB_CLASSES) - set(val) - set(test))
    return Split(name, *(tuple(official - 1 for official in part) for part in (train, val, test)))


def _draw(name: str, test: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Official ids of `count` validation classes outside `test`, by the rule at the top of this file."""
    rest = sorted(set(CUB_CLASSES) - set(test))
    drawn = sorted(rest, key=lambda official: hashlib.sha256(f"{name}:{official}".encode()).digest())[:count]
    return tuple(sorted(drawn))

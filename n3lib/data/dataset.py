"""What every zero-shot dataset is: images with labels, a text for each class, and a split of the classes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from n3lib.data.images import check_pixels
from n3lib.data.texts import check_text
from n3lib.io import N3Error
from n3lib.io.errors import choose


@dataclass(frozen=True)
class Split:
    """Disjoint sets of class ids: train and validation classes are seen, test classes never are.

    Raises:
        N3Error: a class is named twice, or train is empty; test may be.
    """

    name: str
    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]

    def __post_init__(self) -> None:
        named = Counter(self.train + self.val + self.test)
        if twice := [c for c, count in named.items() if count > 1]:
            raise N3Error(f"split {self.name} names classes {twice[:5]} twice", "Name each in one part only")
        if not self.train:
            raise N3Error(f"split {self.name}: train needs at least one class")

    def part(self, name: str) -> tuple[int, ...]:
        """The class ids of `train`, `val`, `trainval` or `test`."""
        parts = {"train": self.train, "val": self.val, "trainval": self.train + self.val, "test": self.test}
        return choose(name, parts, "a split has no part")


@dataclass(frozen=True)
class ZeroShotDataset:
    """Images, labels and class descriptions held together by class id.

    Attributes:
        classes: class names; the index is the class id.
        texts: the sentences of each class; one may be a `Sentence`.
        images: uint8 array `(N, H, W, 3)`, in memory or memory-mapped.
        labels: int64 array `(N,)` of class ids.
        hashes: SHA-256 of what the data came from, for the record of a run.
        groups: of each class, where all classes of a task have to be of one group; empty where any may meet.
        also: further texts of every class, each like `texts`: in training, every class has several.

    Raises:
        N3Error: a class has no text, or the parts do not fit together.
    """

    name: str
    classes: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    images: np.ndarray
    labels: np.ndarray
    split: Split
    hashes: dict[str, str] = field(default_factory=dict)
    groups: tuple[int, ...] = ()
    also: tuple[tuple[tuple[str, ...], ...], ...] = ()

    def __post_init__(self) -> None:
        count = len(self.classes)
        for texts in (self.texts, *self.also):
            if len(texts) != count:
                raise N3Error(f"{self.name}: {count} classes but {len(texts)} descriptions")
            for name, sentences in zip(self.classes, texts, strict=True):
                check_text(name, sentences)
        if self.groups and len(self.groups) != count:
            raise N3Error(f"{self.name}: {count} classes but {len(self.groups)} groups")
        check_pixels(self.images, np.ndarray, what=f"{self.name}: images")
        if len(self.labels) != len(self.images):
            raise N3Error(f"{self.name}: {len(self.images)} images but {len(self.labels)} labels")
        if len(self.labels) and not (self.labels.min() >= 0 and self.labels.max() < count):
            raise N3Error(f"{self.name}: a label lies outside the {count} classes")
        named = self.split.train + self.split.val + self.split.test
        if not all(0 <= c < count for c in named):
            raise N3Error(f"{self.name}: split {self.split.name} names a class outside the {count} classes")

    def indices(self, classes: Sequence[int]) -> np.ndarray:
        """Indices of the images of these classes, in image order."""
        return np.flatnonzero(np.isin(self.labels, np.asarray(classes)))

    def labels_among(self, classes: Sequence[int], indices: np.ndarray) -> np.ndarray:
        """The class of each of these images as its index in `classes`, which holds it."""
        index = np.full(len(self.classes), -1)
        index[list(classes)] = np.arange(len(classes))
        return index[self.labels[indices]]

    def by_group(self, classes: Sequence[int]) -> list[list[int]]:
        """These classes in their order, each group by itself: the largest tasks that can be made of them."""
        groups = self.group_of(classes)
        return [[c for c, g in zip(classes, groups, strict=True) if g == one] for one in np.unique(groups)]

    def group_of(self, classes: Sequence[int]) -> np.ndarray:
        """The group of each of these classes; one and the same where there are no groups."""
        return np.array(self.groups or (0,) * len(self.classes))[list(classes)]

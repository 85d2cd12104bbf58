"""K-way tasks: which classes are asked for, which support them, and a mini-batch of images.

An episode is a function of (seed, step) alone: resuming a run needs no sampler state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from n3lib.data.dataset import ZeroShotDataset
from n3lib.data.images import MAX_SIDE
from n3lib.io.errors import N3Error
from n3lib.io.ranges import MANY, Range, check_ranges
from n3lib.model import Batch
from n3lib.text.bank import TextBank


@dataclass(frozen=True)
class EpisodeConfig:
    """How tasks are drawn from the seen classes.

    Attributes:
        kind: `zero-shot`: the classifier of the query classes is made from other, support, classes only;
            `paper`: K classes drawn from the seen ones, which come back meta-batch after meta-batch.
        ways: K, classes of a task.
        alike: share of the tasks whose query classes are look-alikes: a class drawn at random and those whose
            descriptions are nearest to its own.
        support: S, support classes of a zero-shot task; 0 for all the others.
        batch_size: B, images of a mini-batch.
        crop: side of the random square crop in pixels; 0 for the whole image.
        sentence_dropout: chance that a sentence of a description is left out in training.
    """

    kind: Literal["zero-shot", "paper"] = "zero-shot"
    ways: int = 20
    alike: float = 0.0
    support: int = 0
    batch_size: int = 48
    crop: int = 0
    sentence_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, "episodes", ways=Range(2, MANY), support=Range(0, MANY), batch_size=Range(1, MANY))
        check_ranges(self, "episodes", crop=Range(0, MAX_SIDE))
        check_ranges(self, "episodes", alike=Range(0, 1), sentence_dropout=Range(0, 1))


class Episodes:
    """Draws the batch of any step.

    Args:
        dataset: images, labels and descriptions.
        bank: the encoded descriptions, in class order.
        seen: classes that may be drawn; their order numbers the exemplars.
        config: how to draw.
        seed: of everything drawn.

    Raises:
        N3Error: more classes asked for than there are, or a class without images.
    """

    def __init__(
        self,
        dataset: ZeroShotDataset,
        bank: TextBank,
        seen: Sequence[int],
        config: EpisodeConfig,
        seed: int,
    ) -> None:
        wanted = config.ways + (max(config.support, 1) if config.kind == "zero-shot" else 0)
        if wanted > len(seen):
            raise N3Error(
                f"episodes of {config.ways} query and {config.support or 'any'} support classes cannot be"
                f" drawn from {len(seen)} training classes",
                "Choose fewer ways than training classes",
            )
        height, width = dataset.images.shape[1:3]
        if config.crop > min(height, width):
            raise N3Error(f"a crop of {config.crop} pixels does not fit images of {width}x{height}")
        self.dataset, self.bank, self.seen, self.config = dataset, bank, tuple(seen), config
        self.seed = seed
        self.similarity = bank.similarity(self.seen) if config.alike else None
        self.by_class = [dataset.indices([c]) for c in self.seen]
        self.groups = dataset.group_of(self.seen)
        smallest = min(map(len, dataset.by_group(self.seen)))
        if config.ways > smallest:
            raise N3Error(
                f"tasks of {config.ways} classes, but there is a group of {smallest}", "Ask for fewer"
            )
        for c, indices in zip(self.seen, self.by_class, strict=True):
            if not len(indices):
                raise N3Error(f"class {dataset.classes[c]!r} has no images", "Leave it out of the split")

    def classes(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Query and support classes as places in `seen`; disjoint in a zero-shot task."""
        config, order = self.config, rng.permutation(len(self.seen))
        alike = self.similarity is not None and rng.random() < config.alike
        order = task_first(order, config.ways, self.groups, self.similarity if alike else None)
        query = order[: config.ways]
        if config.kind == "paper":
            return query, query
        rest = order[config.ways :]
        return query, rest[: config.support or len(rest)]

    def __call__(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """The batch of a step; of several processes each takes its slice of the images."""
        rng = np.random.default_rng([self.seed, step])
        query, support = self.classes(rng)
        labels = rng.integers(self.config.ways, size=self.config.batch_size)
        picks = np.array([rng.choice(self.by_class[query[k]]) for k in labels])
        classes = tuple(self.seen[p] for p in query)
        text = self.bank.batch(classes)
        images = self._augment(torch.from_numpy(self.dataset.images[picks]), rng)
        mine = slice(rank, None, ranks)
        return Batch(text, torch.from_numpy(support), images[mine], torch.from_numpy(labels)[mine], classes)

    def _augment(self, images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """Mirror half of the images and cut each at random (B, H, W, 3)."""
        side, (height, width) = self.config.crop, images.shape[1:3]
        out = []
        for image in images:
            if side:
                y, x = rng.integers(height - side + 1), rng.integers(width - side + 1)
                image = image[y : y + side, x : x + side]
            out.append(image.flip(1) if rng.random() < 0.5 else image)
        return torch.stack(out)


def task_first(
    order: Int[np.ndarray, " C"],
    ways: int,
    groups: Int[np.ndarray, " N"],
    similarity: Float[Tensor, "N N"] | None = None,
) -> Int[np.ndarray, " C"]:
    """The classes of a task to the front: the first of `order` and others of its group; the rest in order.

    Args:
        order: the classes as places in `groups`.
        ways: K; a smaller group is brought to the front whole.
        groups: of each class.
        similarity: to take those most like the first, instead of those that come first.
    """
    first, mates = order[:1], order[groups[order] == groups[order[0]]][1:]
    if similarity is not None:
        mates = mates[np.argsort(-similarity[order[0]].numpy()[mates], kind="stable")]
    chosen = np.concatenate([first, mates])[:ways]
    return np.concatenate([chosen, order[~np.isin(order, chosen)]])


def random_halves(classes: Sequence[int], count: int, seed: int = 0) -> list[list[int]]:
    """Tasks of half of these classes each, in random order."""
    rng = np.random.default_rng([seed, 19])
    return [rng.permutation(classes)[: len(classes) // 2].tolist() for _ in range(count)]

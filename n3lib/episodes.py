"""K-way tasks, drawn here for training, evaluation and studies: query classes, support classes, images.

An episode is a function of (seed, step) alone: resuming a run needs no sampler state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from n3lib.data.dataset import ZeroShotDataset
from n3lib.data.images import MAX_SIDE
from n3lib.io import N3Error, Range, check_ranges
from n3lib.io.ranges import MANY
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
    """

    kind: Literal["zero-shot", "paper"] = "zero-shot"
    ways: int = 20
    alike: float = 0.0
    support: int = 0
    batch_size: int = 48
    crop: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, "episodes", ways=Range(2, MANY), support=Range(0, MANY), batch_size=Range(1, MANY))
        check_ranges(self, "episodes", crop=Range(0, MAX_SIDE), alike=Range(0, 1))


class Episodes:
    """Draws the batch of any step from the `seen` classes, whose order numbers the exemplars.

    Raises:
        N3Error: a task has more classes than there are, or a class has no images.
    """

    def __init__(
        self, dataset: ZeroShotDataset, bank: TextBank, seen: Sequence[int], config: EpisodeConfig, seed: int
    ) -> None:
        self.dataset, self.bank, self.config, self.seed = dataset, bank, config, seed
        self.seen, self.groups = tuple(seen), dataset.group_of(seen)
        ways, wanted = config.ways, max(config.support, 1) if config.kind == "zero-shot" else 0
        if ways + wanted > len(seen):
            asked = f"episodes of {ways} query and {config.support or 'any'} support classes"
            problem = f"{asked} cannot be drawn from {len(seen)} training classes"
            raise N3Error(problem, "Choose fewer ways than training classes")
        smallest = min(np.unique(self.groups, return_counts=True)[1])
        if ways > smallest:
            raise N3Error(f"tasks of {ways} classes, but there is a group of {smallest}", "Ask for fewer")
        height, width = dataset.images.shape[1:3]
        if config.crop > min(height, width):
            raise N3Error(f"a crop of {config.crop} pixels does not fit images of {width}x{height}")
        self.similarity = bank.similarity(self.seen) if config.alike else None
        self.by_class = [dataset.indices([c]) for c in self.seen]
        for c, indices in zip(self.seen, self.by_class, strict=True):
            if not len(indices):
                raise N3Error(f"class {dataset.classes[c]!r} has no images", "Leave it out of the split")

    def classes(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Query and support classes as indices of `seen`; disjoint in a zero-shot task."""
        config = self.config
        query, rest = draw_task(rng, config.ways, self.groups, self.similarity, config.alike)
        return query, query if config.kind == "paper" else rest[: config.support or len(rest)]

    def __call__(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """The batch of a step; of several processes each takes its slice of the images."""
        rng = np.random.default_rng([self.seed, step])
        query, support = self.classes(rng)
        labels = rng.integers(self.config.ways, size=self.config.batch_size)
        picks = np.array([rng.choice(self.by_class[query[k]]) for k in labels])
        classes = tuple(self.seen[p] for p in query)
        chosen = torch.from_numpy(self.dataset.images[picks])
        images = torch.stack([self._augment(image, rng) for image in chosen])
        # Of several texts of a class, one is drawn.
        count, sources = len(self.dataset.classes), len(self.bank) // len(self.dataset.classes)
        drawn = rng.integers(sources, size=len(classes))
        mine, text = slice(rank, None, ranks), self.bank.batch((count * drawn + classes).tolist())
        held_out = torch.from_numpy(query) if self.config.kind == "zero-shot" else None
        rest = (images[mine], torch.from_numpy(labels)[mine], classes, held_out)
        return Batch(text, torch.from_numpy(support), *rest)

    def _augment(self, image: UInt8[Tensor, "H W 3"], rng: np.random.Generator) -> UInt8[Tensor, "h w 3"]:
        """Cut at random, and mirror every other time."""
        if side := self.config.crop:
            y, x = (rng.integers(size - side + 1) for size in image.shape[:2])
            image = image[y : y + side, x : x + side]
        return image.flip(1) if rng.random() < 0.5 else image


def draw_task(
    rng: np.random.Generator,
    ways: int,
    groups: Int[np.ndarray, " N"],
    similarity: Float[Tensor, "N N"] | None = None,
    alike: float | None = None,
) -> tuple[Int[np.ndarray, " K"], Int[np.ndarray, " R"]]:
    """The K classes of a task, all of one group, and the rest in random order, as indices of `groups`.

    A group of fewer than `ways` classes is taken whole. Given their similarity, the classes are those most
    similar to the first one drawn: in a share `alike` of the tasks, or in all.
    """
    order = rng.permutation(len(groups))
    if similarity is not None and alike is not None and rng.random() >= alike:
        similarity = None
    mates = order[groups[order] == groups[order[0]]][1:]
    if similarity is not None:
        mates = mates[np.argsort(-similarity[order[0]].numpy()[mates], kind="stable")]
    task = np.concatenate([order[:1], mates])[:ways]
    return task, order[~np.isin(order, task)]


def of_another_group(
    rest: Int[np.ndarray, " R"], task: Int[np.ndarray, " K"], groups: Int[np.ndarray, " N"]
) -> Int[np.ndarray, " K2"]:
    """Another task, of as many classes of the rest: those of the first group that is not the task's."""
    others = rest[groups[rest] != groups[task[0]]]
    return others[groups[others] == groups[others[0]]][: len(task)]


def random_halves(classes: Sequence[int], count: int, seed: int = 0) -> list[list[int]]:
    """Tasks of half of these classes each, in random order."""
    rng = np.random.default_rng([seed, 19])
    return [rng.permutation(classes)[: len(classes) // 2].tolist() for _ in range(count)]

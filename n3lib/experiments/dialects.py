"""Chapter 12: what classifiers on the frozen network make of the dialects, where no layer is moved."""

from collections.abc import Callable
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from n3lib.classifiers import fold, ridge, unit
from n3lib.data import load_data
from n3lib.data.aviary.dialects import OBSERVERS
from n3lib.data.dataset import ZeroShotDataset
from n3lib.episodes import draw_task
from n3lib.metrics import class_accuracies, extract
from n3lib.run import Run

WEIGHTS = (1.0, 10.0, 30.0, 100.0)  # of the observers' names among the other words
# The classifiers, and what a table calls them.
FROZEN_CLASSIFIERS = {
    "observer by word": "none: kernel of observer by word",
    "same observer": "none: exemplar ridge on the same observer's classes",
}
STRENGTHS = (1e-4, 1e-3, 1e-2, 0.1, 1.0)  # of the ridge


@torch.no_grad()
def measure_frozen(run: Run, ways: int = 20, tasks: int = 20) -> dict[str, Any]:
    """Further fields of a result without training: two classifiers that take the observer into account.

    `same observer` is the exemplar classifier from those support classes that the task's observer described.
    `observer by word` is told no groups: kernel ridge regression from all seen classes, with a quadratic
    kernel of the TF-IDF features, in which products of an observer's name and a word count; weight of the
    names and strength are chosen on validation classes. Each has `metrics` and `per_class` as a result has.
    """
    if run.config.train.steps:
        return {}
    data = load_data(run.config.data)
    bank, model, seen = run.pipeline.bank(data.texts), run.model, list(data.split.part(run.config.fit))
    drawn = {part: _drawn(run, data, part, ways, tasks) for part in ("val", "test")}
    names = {name.lower() for name in OBSERVERS}
    named = torch.tensor([term in names for term in run.pipeline.tfidf.vocabulary])  # (V,)

    def same_observer(task: list[int]) -> tuple[Tensor, Tensor]:
        support = np.flatnonzero(data.group_of(seen) == data.group_of(task)[0])
        return model.adapt(bank.batch(task), torch.from_numpy(support))[1:]

    def by_word(weight: float, strength: float) -> Callable[[list[int]], tuple[Tensor, Tensor]]:
        heavy = torch.where(named, weight, 1.0)  # (V,)
        support = unit(bank.batch(seen).tfidf * heavy)  # (C, V)
        gram = (support @ support.T).square()  # (C, C)

        def classifier(task: list[int]) -> tuple[Tensor, Tensor]:
            kernel = (unit(bank.batch(task).tfidf * heavy) @ support.T).square()  # (K, C)
            rows = unit(ridge(kernel, gram, model.exemplars, strength))  # (K, f)
            return fold(rows, model.center, model.transform)

        return classifier

    def measured(part: str, classifier: Callable[[list[int]], tuple[Tensor, Tensor]]) -> dict[str, Any]:
        per_class = [
            class_accuracies(task, linear(features, *classifier(task)), labels)
            for task, features, labels in drawn[part]
        ]
        mean = fmean(fmean(one["accuracy"]) for one in per_class)
        return {"metrics": {"per_class_accuracy": mean}, "per_class": per_class}

    def validation(one: tuple[float, float]) -> float:
        return float(measured("val", by_word(*one))["metrics"]["per_class_accuracy"])

    best = max(product(WEIGHTS, STRENGTHS), key=validation)
    return {
        "classifiers": {
            "same observer": measured("test", same_observer),
            "observer by word": measured("test", by_word(*best)),
        },
        "kernel": {"weight": best[0], "strength": best[1]},
    }


def _drawn(
    run: Run, data: ZeroShotDataset, part: str, ways: int, tasks: int
) -> list[tuple[list[int], Tensor, Tensor]]:
    """The tasks that `evaluate` draws, with the frozen network's features of their images, and labels."""
    classes, found = np.array(data.split.part(part)), []
    for number in range(tasks):
        rng = np.random.default_rng([run.config.seed, 11, number])
        task = classes[draw_task(rng, ways, data.group_of(classes.tolist()))[0]].tolist()
        indices = data.indices(task)
        features = extract(run.model.backbone, data.images, indices, mirror=run.config.mirror)
        found.append((task, features, torch.from_numpy(data.labels_among(task, indices))))
    return found

"""Chapter 12: controls for the dialects, which know the observer and adapt no layer to the text.

Two move no layer: classifiers on the frozen network. One trains a network per observer.
"""

import dataclasses
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from n3lib.classifiers import fold, ridge, unit
from n3lib.data.aviary.dialects import OBSERVERS
from n3lib.data.dataset import Split, ZeroShotDataset
from n3lib.evaluation import drawn_tasks
from n3lib.experiments.results import summary
from n3lib.metrics import class_accuracies, extract, predict
from n3lib.run import Run, train

WEIGHTS = (1.0, 10.0, 30.0, 100.0)  # of the observers' names among the other words
STRENGTHS = (1e-4, 1e-3, 1e-2, 0.1, 1.0)  # of the ridge
# Names of the controls in results, and what a table calls them.
CONTROLS = {
    "observer by word": "none: kernel of observer by word",
    "same observer": "none: exemplar ridge on the same observer's classes",
    "network per observer": "constant adaptation, a network per observer",
}

Measured = list[dict[str, list[Any]]]  # `per_class` of a result


def measure_controls(run: Run, data: ZeroShotDataset, ways: int = 20, tasks: int = 20) -> dict[str, Any]:
    """Further fields of a result: the controls that belong to an untrained run or to constant adaptation.

    Each has `metrics` and `per_class`, as a result has, on the tasks that `evaluate` draws.
    """
    if not run.config.train.steps:
        found = measure_frozen(run, data, ways, tasks)
    elif run.config.model.adapt == "constant":
        found = {"network per observer": measure_networks(run, data, ways, tasks)}
    else:
        return {}
    return {"controls": {name: summary(per_class) for name, per_class in found.items()}}


@torch.no_grad()
def measure_frozen(run: Run, data: ZeroShotDataset, ways: int, tasks: int) -> dict[str, Measured]:
    """Classifiers on the frozen network that take the observer into account.

    `same observer` is the exemplar classifier from those support classes that the task's observer described.
    `observer by word` is told no groups: kernel ridge regression from all seen classes, with a quadratic
    kernel of the TF-IDF features, in which products of an observer's name and a word count; the weight of the
    names and the strength are chosen on validation classes.
    """
    bank, model, seen = run.pipeline.bank(data.texts), run.model, list(data.split.part(run.config.fit))
    names = {name.lower() for name in OBSERVERS}
    named = torch.tensor([term in names for term in run.pipeline.tfidf.vocabulary])  # (V,)
    images = dict[str, list[tuple[list[int], Tensor, Tensor]]]()
    for part in ("val", "test"):
        for task in _drawn(run, data, part, ways, tasks):
            indices = data.indices(task)
            features = extract(model.backbone, data.images, indices, mirror=run.config.mirror)
            labels = torch.from_numpy(data.labels_among(task, indices))
            images.setdefault(part, []).append((task, features, labels))

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

    def measured(part: str, classifier: Callable[[list[int]], tuple[Tensor, Tensor]]) -> Measured:
        return [class_accuracies(task, linear(x, *classifier(task)), y) for task, x, y in images[part]]

    def validation(one: tuple[float, float]) -> float:
        return float(summary(measured("val", by_word(*one)))["metrics"]["per_class_accuracy"])

    best = max(product(WEIGHTS, STRENGTHS), key=validation)
    return {
        "same observer": measured("test", same_observer),
        "observer by word": measured("test", by_word(*best)),
    }


def measure_networks(run: Run, data: ZeroShotDataset, ways: int, tasks: int) -> Measured:
    """Constant adaptation trained for each observer by itself, on that observer's classes alone."""
    episodes = dataclasses.replace(run.config.episodes, support=0)
    config, networks = dataclasses.replace(run.config, episodes=episodes), {}
    for group in sorted(set(data.groups)):
        own = (
            tuple(c for c in part if data.groups[c] == group) for part in dataclasses.astuple(data.split)[1:]
        )
        alone = dataclasses.replace(data, split=Split(data.split.name, *own))
        network = train(config, run.folder / f"observer-{group}", dataset=alone)
        networks[group] = network.model, network.pipeline.bank(data.texts)
    found = []
    for task in _drawn(run, data, "test", ways, tasks):
        model, bank = networks[data.groups[task[0]]]
        found.append(class_accuracies(task, *predict(model, data, bank, task, config)))
    return found


def _drawn(run: Run, data: ZeroShotDataset, part: str, ways: int, tasks: int) -> list[list[int]]:
    classes = np.array(data.split.part(part))
    drawn = drawn_tasks(run.config.seed, classes, data.group_of(classes.tolist()), ways, tasks)
    return [task.tolist() for _, task, _ in drawn]

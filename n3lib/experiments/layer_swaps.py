"""Chapter 12: does it matter for which task the layers of a network are adapted?"""

from collections.abc import Collection
from typing import Any

import numpy as np
import torch

from n3lib.data.dataset import ZeroShotDataset
from n3lib.episodes import draw_task, of_another_group
from n3lib.evaluation import magnitude_over_halves
from n3lib.io import N3Error
from n3lib.metrics import class_accuracies, score
from n3lib.run import Run
from n3lib.text.bank import TextBank

KINDS = ("random", "look-alikes")  # how the classes of a task are drawn
LAYERS = ("this task", "another task", "the mean of other tasks")


@torch.no_grad()
def swap_layers(
    run: Run, data: ZeroShotDataset, bank: TextBank, ways: int, tasks: int, part: str = "test"
) -> dict[str, dict[str, dict[str, Any]]]:
    """Accuracy when the layers of a network are adapted for other classes than its classifier.

    The classifier is always generated for the task itself. The layers are adapted for the same task; for
    another, of as many other classes of the part (of other groups, where tasks are of one group); or they are
    the mean of those for the other tasks drawn.

    Args:
        ways: K, at most half of the part's classes.
        tasks: drawn of each kind.
        part: `test` or `val`; no classes that the run was trained on.

    Returns:
        For each of `KINDS` of tasks (random ones alone, where there are groups) and each of `LAYERS`, what a
        result has: `metrics` with the per-class accuracy in percent, and `per_class` of every task.

    Raises:
        N3Error: K is too large, or there is one task only.
    """
    model, classes = run.model, np.array(data.split.part(part))
    most = min(len(classes) // 2, *map(len, data.by_group(classes.tolist())))
    if not 2 <= ways <= most or tasks < 2:
        raise N3Error(
            f"two tasks of {ways} classes each, {tasks} times, cannot be drawn from {len(classes)} {part}"
            " classes",
            f"Use 2 to {most} ways and at least 2 tasks",
        )
    similarity, groups = bank.similarity(classes.tolist()), data.group_of(classes.tolist())
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for kind in KINDS[:1] if data.groups else KINDS:
        drawn, others = [], []
        for task in range(tasks):
            rng = np.random.default_rng([run.config.seed, 23, task])
            first, left = draw_task(rng, ways, groups, similarity if kind == "look-alikes" else None)
            other = of_another_group(left, first, groups) if data.groups else left[:ways]
            drawn.append(classes[first].tolist())
            others.append(classes[other].tolist())
        adapted = [model.adapt(bank.batch(task)) for task in drawn]
        elsewhere = [model.adapt(bank.batch(task)).deltas for task in others]
        found[kind], per_class = {}, {name: list[dict[str, Any]]() for name in LAYERS}
        for i, (task, own) in enumerate(zip(drawn, adapted, strict=True)):
            rest = [one.deltas for j, one in enumerate(adapted) if j != i]
            average = {name: torch.stack([deltas[name] for deltas in rest]).mean(0) for name in own.deltas}
            for name, deltas in zip(LAYERS, (own.deltas, elsewhere[i], average), strict=True):
                logits, labels = score(model, data, task, own._replace(deltas=deltas), run.config)
                per_class[name].append(class_accuracies(task, logits, labels))
        for name, told in per_class.items():
            mean = float(np.mean([task["accuracy"] for task in told]))
            found[kind][name] = {"metrics": {"per_class_accuracy": mean}, "per_class": told}
    return found


def measure_swaps(
    variant: str,
    run: Run,
    data: ZeroShotDataset,
    bank: TextBank,
    variants: Collection[str],
    ways: int,
    tasks: int,
    part: str = "test",
) -> dict[str, Any]:
    """An experiment's further measurement of some `variants`; empty for the others.

    `adaptation`, with the task-dependent fraction of every layer's change, and `swaps` of `swap_layers`.
    """
    if variant not in variants:
        return {}
    swaps = swap_layers(run, data, bank, ways, tasks, part)
    return {"adaptation": magnitude_over_halves(run, data, bank), "swaps": swaps}

"""Chapter 12: does it matter for which task the layers of a network are adapted?"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import torch

from n3lib.data.dataset import ZeroShotDataset
from n3lib.episodes import draw_task, of_another_group
from n3lib.evaluation import magnitude_over_halves
from n3lib.experiments.results import Results, lead, summary
from n3lib.io import N3Error
from n3lib.metrics import class_accuracies, score
from n3lib.run import Run
from n3lib.text.bank import TextBank

KINDS = ("random", "look-alikes")  # how the classes of a task are drawn
LAYERS = ("this task", "another task", "the mean of other tasks")
CHECK = "does the change depend on the task?"  # above what `conditioning_check` says
CONDITIONED = 10.0  # percent of the change that depend on the task, in a network that is called conditioned


def most_ways(data: ZeroShotDataset, part: str) -> int:
    """The most classes of a task of the part beside which there is another task of as many."""
    classes = data.split.part(part)
    return min(len(classes) // 2, *map(len, data.by_group(classes)))


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
    model, classes, most = run.model, np.array(data.split.part(part)), most_ways(data, part)
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
        per_class = {name: list[dict[str, Any]]() for name in LAYERS}
        for i, (task, own) in enumerate(zip(drawn, adapted, strict=True)):
            rest = [one.deltas for j, one in enumerate(adapted) if j != i]
            average = {name: torch.stack([deltas[name] for deltas in rest]).mean(0) for name in own.deltas}
            for name, deltas in zip(LAYERS, (own.deltas, elsewhere[i], average), strict=True):
                logits, labels = score(model, data, task, own._replace(deltas=deltas), run.config)
                per_class[name].append(class_accuracies(task, logits, labels))
        found[kind] = {name: summary(told) for name, told in per_class.items()}
    return found


def measure_conditioning(
    run: Run, data: ZeroShotDataset, bank: TextBank, ways: int = 10, tasks: int = 8, part: str = "test"
) -> dict[str, Any]:
    """What tells whether a network's layers depend on the task: fields of its result.

    `adaptation`, with the task-dependent fraction of every layer's change; and where the layers are
    text-conditioned, `swaps` of `swap_layers`, in tasks of fewer classes where there are too few.
    """
    found: dict[str, Any] = {"adaptation": magnitude_over_halves(run, data, bank)}
    most = most_ways(data, part)
    if run.config.model.adapt == "all" and most > 1:
        found["swaps"] = swap_layers(run, data, bank, min(ways, most), tasks, part)
    return found


def swapped(results: Results, layers: str, kinds: Sequence[str] = KINDS) -> list[dict[str, Any]]:
    """What networks reach with the `LAYERS` named, on these kinds of tasks, as results of their own."""
    found = []
    for result in results:
        told = [result["swaps"][kind][layers] for kind in kinds if kind in result.get("swaps", {})]
        if told and isinstance(told[0], list):  # accuracies of tasks alone, as older results have them
            told = [{"metrics": {"per_class_accuracy": fmean(one)}, "per_class": []} for one in told]
        if told:
            accuracy = fmean(one["metrics"]["per_class_accuracy"] for one in told)
            per_class = [task for one in told for task in one["per_class"]]
            found.append({**result, "metrics": {"per_class_accuracy": accuracy}, "per_class": per_class})
    return found


def conditioned(result: Mapping[str, Any]) -> bool:
    """Whether the layers of a result's network are text-conditioned."""
    settings = result.get("config", {}) | result.get("training", {})
    return settings.get("model", {}).get("adapt") == "all"


def conditioning_check(results: Results) -> str:
    """The manipulation check of networks with text-conditioned layers: whether these depend on the task.

    The task-dependent fraction of the change, a mean over seeds and over layers, weighted by their `norm`,
    labelled below `CONDITIONED`; and the points that accuracy changes with other layers (`interval`). Empty
    where nothing was measured, and for networks without text-conditioned layers.
    """
    results = [r for r in results if conditioned(r) and r.get("adaptation")]
    moved = [pd.DataFrame(r["adaptation"]).T for r in results]
    if not moved or not all("varies" in layers for layers in moved):
        return ""
    share = fmean(np.average(layers["varies"], weights=layers["norm"] + 1e-30) for layers in moved)
    own, label = swapped(results, LAYERS[0]), "" if share >= CONDITIONED else ", not conditioned"
    changes = [f"of {other} {lead(swapped(results, other), own)}" for other in LAYERS[1:] if own]
    swaps = f"; with the layers {', '.join(changes)} points" if changes else ""
    return f"{share:.1f} % task-dependent{label}{swaps}"

"""The protocol: per-class accuracy (Eq. 7) on tasks of unseen classes, top-5, average precision."""

import dataclasses
import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from n3lib.data import load_data
from n3lib.data.dataset import ZeroShotDataset
from n3lib.episodes import draw_task, random_halves
from n3lib.io import N3Error
from n3lib.io.environment import environment
from n3lib.metrics import class_accuracies, class_metrics, confusion, magnitude, predict, shared_features
from n3lib.run import Run
from n3lib.text.bank import TextBank

TextControl = Literal["own", "shuffled"]
# What every result says, besides `environment`.
COMMON = {"study", "method", "dataset", "split", "seed", "config", "metrics"}


def evaluate(
    run: Run,
    dataset: ZeroShotDataset | None = None,
    part: str = "test",
    ways: int = 0,
    permutations: int = 10,
    control: TextControl = "own",
    alike: bool = False,
    bank: TextBank | None = None,
    features: Float[Tensor, "N f"] | None = None,
) -> dict[str, Any]:
    """A finished run's result on unseen classes, ready for JSON.

    With `ways` 0 the task is all classes of the part, in `permutations` orders (paper, section 4.2), or in
    one where the network's logits only permute with its classes. With `ways` K, each permutation's first K
    classes are one task. `metrics` are means over tasks, also where these are orders of the same classes (the
    paper: the median), and `spread` their standard deviation; `per_class` has the classes of every task and
    the accuracy of each (Eq. 7) in percent.

    Args:
        dataset: the run's data, where they are loaded already.
        part: `test` or `val`.
        ways: K; 0 for all classes, or where a task's classes are of one group, for those of the smallest.
        control: `shuffled` gives every class the description of a class outside the task, or where there are
            too few, of another one of the task: accuracy must fall to chance.
        alike: tasks of look-alikes: a random class and those whose descriptions are nearest to its own.
        bank: the descriptions of the dataset's classes, where the run's text pipeline has encoded them.
        features: what `shared_features` gives for the part's classes, where it is known.

    Raises:
        N3Error: K larger than the number of classes, or a class that the run was trained on.
    """
    started = time.perf_counter()
    config = run.config
    dataset = dataset or load_data(config.data)
    asked = question(run, dataset, part, ways, permutations, control, alike)
    classes, ways = np.array(dataset.split.part(part)), asked["ways"]
    bank = bank or run.pipeline.bank(dataset.texts, names=dataset.classes)
    same = run.model.equivariant and ways == len(classes) and control == "own"
    groups = dataset.group_of(classes.tolist())
    similarity = bank.similarity(classes.tolist()) if alike else None
    scores, table, per_class, described = [], dict[str, Any](), [], []
    count = 1 if same else permutations
    if features is None:
        features = shared_features(run.model, dataset, bank, classes.tolist(), config)
    for rng, order, others in drawn_tasks(config.seed, classes, groups, ways, count, similarity):
        texts = order
        if control == "shuffled":
            texts = others if len(others) == ways else order[derangement(rng, ways)]
        logits, labels = predict(run.model, dataset, bank, order.tolist(), config, texts.tolist(), features)
        scores.append(class_metrics(logits, labels))
        table = table or {"classes": order.tolist(), "counts": confusion(logits, labels).tolist()}
        per_class.append(class_accuracies(order.tolist(), logits, labels))
        described.append(texts.tolist())
    return result(
        **asked,
        chance=100 / ways,
        metrics={name: statistics.mean(s[name] for s in scores) for name in scores[0]},
        spread={name: statistics.pstdev(s[name] for s in scores) for name in scores[0]},
        orders_measured=len(scores),
        adaptation=magnitude(run.model, map(bank.batch, described)),
        per_class=per_class,
        confusion=table,
        hashes=dataset.hashes,
        started=started,
    )


def drawn_tasks(
    seed: int,
    classes: Int[np.ndarray, " N"],
    groups: Int[np.ndarray, " N"],
    ways: int,
    count: int,
    similarity: Float[Tensor, "N N"] | None = None,
) -> Iterator[tuple[np.random.Generator, Int[np.ndarray, " K"], Int[np.ndarray, " R"]]]:
    """The tasks of the protocol: generator, K query classes, and up to K of the others, in random order."""
    for number in range(count):
        rng = np.random.default_rng([seed, 11, number])
        order, others = (classes[part[:ways]] for part in draw_task(rng, ways, groups, similarity))
        yield rng, order, others


def derangement(rng: np.random.Generator, count: int) -> Int[np.ndarray, " K"]:
    """Another class for each of K >= 2, all of them once: the next one in a random order."""
    order, turned = rng.permutation(count), np.empty(count, int)
    turned[order] = np.roll(order, 1)
    return turned


def result(*, hashes: Mapping[str, str], started: float | None = None, **fields: Any) -> dict[str, Any]:
    """A result, ready for JSON: its fields in their order, then `environment` and `seconds`.

    `hashes` are those of the data; `started` is the `time.perf_counter()` at which the work began, without
    which there are no `seconds`. A `TypeError` names the fields of `COMMON` that are missing.
    """
    if missing := COMMON - fields.keys():
        raise TypeError(f"a result without {', '.join(sorted(missing))}")
    seconds = {} if started is None else {"seconds": round(time.perf_counter() - started, 1)}
    return {**fields, "environment": environment(hashes), **seconds}


def question(
    run: Run, dataset: ZeroShotDataset, part: str, ways: int, permutations: int, control: str, alike: bool
) -> dict[str, Any]:
    """What decides a result of `evaluate`, whose arguments and errors these are, as the result says it."""
    classes = dataset.split.part(part)
    most = min(map(len, dataset.by_group(classes)), default=0)
    ways = ways or most
    if not 2 <= ways <= most or permutations < 1:
        problem = f"{permutations} tasks of {ways} ways are asked of {most} {part} classes"
        raise N3Error(problem, f"Use 2 to {most} ways, and at least 1 permutation")
    if set(dataset.split.part(run.config.fit)) & set(classes):
        raise N3Error(f"{part} classes were trained on in this run", "Evaluate on test")
    return {
        "study": "main",
        "method": method_name(run),
        "dataset": run.config.data.name,
        "split": dataset.split.name,
        "part": part,
        "ways": ways,
        "permutations": permutations,
        "tasks": "look-alikes" if alike else "random",
        "text": control,
        "seed": run.config.seed,
        "config": dataclasses.asdict(run.config),
    }


def magnitude_over_halves(run: Run, dataset: ZeroShotDataset, bank: TextBank) -> dict[str, dict[str, float]]:
    """How far the layers are moved, over ten tasks of half of the test classes (of each group of them)."""
    groups = dataset.by_group(dataset.split.test)
    halves = [half for group in groups for half in random_halves(group, 10, run.config.seed)]
    return magnitude(run.model, map(bank.batch, halves))


def method_name(run: Run) -> str:
    """Such as `n3-all-exemplar`, for tables."""
    config = run.config
    episodes = "" if config.episodes.kind == "zero-shot" else "-paper-episodes"
    steps = "" if config.train.steps else "-untrained"
    return f"n3-{config.model.adapt}-{config.model.classifier}{episodes}{steps}"

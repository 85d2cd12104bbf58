"""Does it matter for which classes the layers were written, and which words wrote them?"""

import statistics
from collections.abc import Callable, Sequence

import numpy as np
import torch

from n3lib.data import load_data
from n3lib.data.aviary.guide import BEHAVIORS, COLOR_ATTRIBUTES, HABITATS, words_for
from n3lib.data.aviary.species import ATTRIBUTES
from n3lib.data.dataset import ZeroShotDataset
from n3lib.episodes import task_first
from n3lib.experiments.results import Table, mean_and_spread
from n3lib.experiments.word_check import erase
from n3lib.io.errors import N3Error
from n3lib.metrics import metrics, predict, score
from n3lib.run import Run
from n3lib.text.bank import TextBank

KINDS = ("random", "look-alikes")  # how the classes of a task are drawn
LAYERS = ("this task", "another task", "the mean of other tasks")


@torch.no_grad()
def layer_swaps(
    run: Run,
    ways: int,
    tasks: int,
    dataset: ZeroShotDataset | None = None,
    bank: TextBank | None = None,
    part: str = "test",
) -> dict[str, dict[str, list[float]]]:
    """Accuracy when the layers of a network were written for other classes than its classifier.

    The classifier is always written for the task at hand. The layers are written for the same task; for
    another, of as many other classes of the part (of other groups, where tasks are of one group); or they are
    the mean of those written for the other tasks drawn.

    Args:
        run: a finished run.
        ways: K, at most half of the part's classes.
        tasks: drawn of each kind.
        dataset: the run's data, where they are loaded already.
        bank: their descriptions as the run's reader encodes them, where they are already.
        part: `test` or `val`; no classes that the run was trained on.

    Returns:
        For each of `KINDS` of tasks (random ones alone, where there are groups) and each of `LAYERS`, the
        per-class accuracy of every task in percent.

    Raises:
        N3Error: K is too large, or there is one task only.
    """
    dataset = dataset or load_data(run.config.data)
    classes = np.array(dataset.split.part(part))
    most = min(len(classes) // 2, *map(len, dataset.by_group(classes.tolist())))
    if not 2 <= ways <= most or tasks < 2:
        raise N3Error(
            f"two tasks of {ways} classes each, {tasks} times, cannot be drawn from {len(classes)} {part}"
            " classes",
            f"Use 2 to {most} ways and at least 2 tasks",
        )
    bank, model = bank or run.pipeline.bank(dataset.texts), run.model
    similarity = bank.similarity(classes.tolist())
    groups = dataset.group_of(classes.tolist())
    found: dict[str, dict[str, list[float]]] = {}
    for kind in KINDS[:1] if dataset.groups else KINDS:
        drawn, others = [], []
        for task in range(tasks):
            order = np.random.default_rng([run.config.seed, 23, task]).permutation(len(classes))
            order = task_first(order, ways, groups, similarity if kind == "look-alikes" else None)
            left = order[ways:]
            if dataset.groups:
                left = task_first(left[groups[left] != groups[order[0]]], ways, groups)
            drawn.append(classes[order[:ways]].tolist())
            others.append(classes[left[:ways]].tolist())
        written = [model.read(bank.batch(task)) for task in drawn]
        elsewhere = [model.read(bank.batch(task)).deltas for task in others]
        found[kind] = {name: [] for name in LAYERS}
        for i, (task, own) in enumerate(zip(drawn, written, strict=True)):
            rest = [one.deltas for j, one in enumerate(written) if j != i]
            mean = {name: torch.stack([deltas[name] for deltas in rest]).mean(0) for name in own.deltas}
            for name, deltas in zip(LAYERS, (own.deltas, elsewhere[i], mean), strict=True):
                logits, labels = score(model, dataset, task, own._replace(deltas=deltas), run.config)
                found[kind][name].append(metrics(logits, labels)["per_class_accuracy"])
    return found


def whose_layers(run: Run, ways: int, tasks: int = 10, dataset: ZeroShotDataset | None = None) -> Table:
    """`layer_swaps` as a table.

    Returns:
        Mean per-class accuracy over the tasks, of classes drawn at random and of look-alikes; the rows after
        the first as differences from it, task by task, with the standard error of their mean.
    """
    found = layer_swaps(run, ways, tasks, dataset).values()
    rows = [[LAYERS[0], *(f"{statistics.mean(scores[LAYERS[0]]):.1f}" for scores in found)]]
    for name in LAYERS[1:]:
        changes = [[a - b for a, b in zip(scores[name], scores[LAYERS[0]], strict=True)] for scores in found]
        rows.append([name, *map(_difference, changes)])
    head = ["layers written for", f"{ways} random classes (%)", f"{ways} look-alikes (%)"]
    return Table(head[: 1 + len(found)], rows, f"Chance is {100 / ways:.1f} %.")


@torch.no_grad()
def column_shares(run: Run, ways: int, tasks: int = 10) -> Table:
    """How alike the columns of a layer's change are: the share of their mean.

    The mean of the M columns is added to every output channel and cannot tell one filter from another; its
    share is M |mean|^2 over the sum of |column|^2: 100 % where all columns are the same.

    Args:
        run: a finished run with adapted layers.
        ways: K.
        tasks: of test classes, drawn at random; two or more.

    Returns:
        The share in the change averaged over the tasks, and in what is left of each task's change without
        that average: the median layer, the lowest and the highest. 0 where nothing changes.
    """
    dataset = load_data(run.config.data)
    bank, rng = run.pipeline.bank(dataset.texts), np.random.default_rng([run.config.seed, 29])
    drawn = [rng.choice(dataset.split.test, ways, replace=False).tolist() for _ in range(tasks)]
    written = [run.model.read(bank.batch(task)).deltas for task in drawn]
    shares: list[list[float]] = [[], []]
    for name in written[0]:
        deltas = torch.stack([one[name] for one in written])  # (tasks, M, N)
        same = deltas.mean(0, keepdim=True)
        for found, part in zip(shares, (same, deltas - same), strict=True):
            mean, total = deltas.shape[1] * part.mean(1).square().sum(), part.square().sum()
            found.append(100 * (mean / total).item() if total else 0.0)
    rows = [
        [told, *(f"{of(found):.0f}" for of in (statistics.median, min, max))]
        for told, found in zip(("the same in all tasks", "differs from task to task"), shares, strict=True)
    ]
    return Table(["what of the change", "median layer (%)", "lowest", "highest"], rows)


def which_words(runs: Sequence[Run], dataset: ZeroShotDataset | None = None) -> Table:
    """Accuracy on all test classes of the aviary when only some of their sentences or words are left.

    Nothing is trained anew: each run reads what is left.

    Args:
        runs: finished runs on the same data, one a seed.
        dataset: their data, where they are loaded already.

    Returns:
        Mean per-class accuracy and, from two runs on, standard deviation.
    """
    dataset = dataset or load_data(runs[0].config.data)
    classes = list(dataset.split.test)
    rows = []
    for name, texts in _left(dataset).items():
        accuracy = []
        for run in runs:
            logits, labels = predict(run.model, dataset, run.pipeline.bank(texts), classes, run.config)
            accuracy.append(metrics(logits, labels)["per_class_accuracy"])
        words = statistics.mean(len(" ".join(texts[c]).split()) for c in classes)
        rows.append([name, f"{words:.0f}", mean_and_spread(accuracy)])
    head = ["what is left of the description", "words a class", f"accuracy, {len(classes)}-way (%)"]
    return Table(head, rows, f"Chance is {100 / len(classes):.1f} %.")


def word_weights(run: Run, count: int = 8) -> dict[str, float]:
    """The words whose learned weight moved furthest from 1: half of them up, half of them down."""
    weights = run.model.log_word_weight.detach().exp().tolist()
    ranked = sorted(zip(run.pipeline.tfidf.vocabulary, weights, strict=True), key=lambda pair: -pair[1])
    return dict([*ranked[:count], *ranked[-count:]])


def _left(dataset: ZeroShotDataset) -> dict[str, list[Sequence[str]]]:
    """Every class's description, and what some cuts leave of it; the name where nothing is left."""
    habits = {*HABITATS, *BEHAVIORS}
    colors = [words_for(a, value) for a in COLOR_ATTRIBUTES for value in ATTRIBUTES[a]]
    others = [words_for(a, value) for a in ATTRIBUTES if a not in COLOR_ATTRIBUTES for value in ATTRIBUTES[a]]
    color, shape = sorted(set().union(*colors)), sorted(set().union(*others))
    cuts: dict[str, Callable[[Sequence[str]], Sequence[str]]] = {
        "everything": lambda text: text,
        "the sentences on its looks": lambda text: [s for s in text if s not in habits],
        "every other sentence": lambda text: text[::2],
        "no words of shape and pattern": lambda text: erase(text, shape),
        "no words of color": lambda text: erase(text, color),
        "the sentences on its habits": lambda text: [s for s in text if s in habits],
        "the name": lambda text: [],
    }
    named = zip(dataset.texts, dataset.classes, strict=True)
    pairs = [(text, [name]) for text, name in named]
    return {told: [cut(text) or name for text, name in pairs] for told, cut in cuts.items()}


def _difference(values: Sequence[float]) -> str:
    """A mean difference with its standard error."""
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.mean(values):+.1f} ± {error:.1f}"

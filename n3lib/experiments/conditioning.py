"""Chapter 12: does text-conditioned adaptation pay, and which words does it depend on?"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from n3lib.data import load_data
from n3lib.data.aviary.guide import BEHAVIORS, COLOR_ATTRIBUTES, HABITATS, words_for
from n3lib.data.aviary.species import ATTRIBUTES
from n3lib.data.dataset import ZeroShotDataset
from n3lib.experiments import charts
from n3lib.experiments.ablation import ABLATION
from n3lib.experiments.experiment import ADAPTATIONS, FROZEN, Experiment, Results, accuracy_cell
from n3lib.experiments.layer_swaps import KINDS, LAYERS, measure_swaps, swap_layers
from n3lib.experiments.results import Table, lead, mean_and_spread
from n3lib.experiments.word_check import erase
from n3lib.metrics import metrics, predict
from n3lib.run import Run

SPECIES = (500, 2000)  # training species
WAYS = 10  # of the tasks whose layers are swapped, here and in the ablation
SWAPPED = [(layers, kind) for layers in LAYERS[1:] for kind in KINDS]

_FORMS = {
    "all": ["--model.shared_mu=36", "--model.initial_mu=0.1"],
    "constant": ["--model.adapt=constant", "--model.shared_mu=36"],
    "finetune": ["--model.adapt=finetune", "--model.shared_mu=1"],
    "frozen": FROZEN,
    "written": [],
}
# `all` has a text-conditioned adaptation beside a shared offset, `written` no shared offset, as in the paper;
# in `constant` and `finetune` there is only what all tasks share, in `frozen` nothing is learned. All scales
# were chosen on validation classes; `written` keeps the aviary's own 2.
CONDITIONING = Experiment(
    "conditioning",
    "Does it pay to adapt the layers to the text, and not in one way for all classes?",
    "aviary",
    {
        f"{form}-{species}": [*settings, f"--data.species={species}"]
        for species in SPECIES
        for form, settings in _FORMS.items()
    },
    common=[
        "--episodes.ways=10",
        "--episodes.alike=0.5",
        "--episodes.support=400",
        "--train.steps=300",
        "--train.every=300",
    ],
    ways=(0, 2, 5, 10, 20, 50),
    alike=True,
    tasks=8,
    also=partial(
        measure_swaps, variants=[f"{f}-{n}" for f in ("written", "all") for n in SPECIES], ways=WAYS, tasks=20
    ),
    folder="conditioning/aviary",
)

DIALECTS = Experiment(
    "dialects",
    "Does reading the task pay where no one network can serve all tasks?",
    "aviary",
    {
        # A shared offset that learns faster than the text-conditioned adaptation makes the network blind to
        # color before the latter has begun.
        "all": ["--model.shared_mu=4", "--model.initial_mu=3"],
        "constant": ["--model.adapt=constant", "--model.shared_mu=36"],
        "written": [],
        "frozen": FROZEN,
    },
    common=[
        "--data.name=dialects",
        "--model.scale=0.5",  # the frozen network's classifier is mostly wrong here
        "--episodes.ways=20",
        "--episodes.support=300",
        "--train.steps=400",
        "--train.every=50",
    ],
    ways=(20,),
    tasks=20,
    also=partial(measure_swaps, variants=("all", "written"), ways=20, tasks=20),
    folder="conditioning/dialects",
)


def whose_layers(run: Run, ways: int, tasks: int = 10, dataset: ZeroShotDataset | None = None) -> Table:
    """`swap_layers` as a table.

    Returns:
        Mean per-class accuracy over the tasks, of classes drawn at random and of look-alikes; the rows after
        the first as differences from it, task by task, with the standard error of their mean.
    """
    found = swap_layers(run, ways, tasks, dataset).values()
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
    bank, rng = run.reader.bank(dataset.texts), np.random.default_rng([run.config.seed, 29])
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
            logits, labels = predict(run.model, dataset, run.reader.bank(texts), classes, run.config)
            accuracy.append(metrics(logits, labels)["per_class_accuracy"])
        words = statistics.mean(len(" ".join(texts[c]).split()) for c in classes)
        rows.append([name, f"{words:.0f}", mean_and_spread(accuracy)])
    head = ["what is left of the description", "words a class", f"accuracy, {len(classes)}-way (%)"]
    return Table(head, rows, f"Chance is {100 / len(classes):.1f} %.")


def word_weights(run: Run, count: int = 8) -> dict[str, float]:
    """The words whose learned weight moved furthest from 1: half of them up, half of them down."""
    weights = run.model.log_word_weight.detach().exp().tolist()
    ranked = sorted(zip(run.reader.tfidf.vocabulary, weights, strict=True), key=lambda pair: -pair[1])
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


def conditioning_table(folder: Path) -> Table:
    """Every form of adaptation on all test classes, and its lead over constant adaptation seed by seed.

    Args:
        folder: of the results.
    """
    results = CONDITIONING.measured(folder)
    rows = []
    for form, title in ADAPTATIONS.items():
        row = [title]
        for species in SPECIES:
            own, constant = (of_form(results, f, species).values() for f in (form, "constant"))
            row.append(accuracy_cell(own))
            row.append("" if form == "constant" else lead(own, constant))
        rows.append(row)
    head = ["what is adapted"]
    for species in SPECIES:
        head += [f"{species:,} species (%)", "ahead of constant (points)"]
    return Table(head, rows, CONDITIONING.note(results))


def lead_curves(folder: Path) -> Figure | Table:
    """Points ahead of constant adaptation by the number of classes, for random tasks and look-alikes."""
    results = CONDITIONING.measured(folder)
    if not results:
        return Table([], [], CONDITIONING.note(results))
    panels: dict[str, dict[str, list[dict[int, float]]]] = {}
    for species in SPECIES:
        for kind, told in (("random", "random classes"), ("look-alikes", "look-alikes")):
            constant = {seed: _by_ways(r, kind) for seed, r in of_form(results, "constant", species).items()}
            shown = {}
            for form in ("all", "written", "finetune"):
                own = {seed: _by_ways(r, kind) for seed, r in of_form(results, form, species).items()}
                both = sorted(set(own) & set(constant))
                if both:
                    shown[ADAPTATIONS[form]] = [
                        {k: own[seed][k] - constant[seed][k] for k in own[seed]} for seed in both
                    ]
            if shown:
                panels[f"{species:,} species\n{told}"] = shown
    level = (0.0, "constant adaptation")
    return charts.lines(panels, "classes of the task", "lead (points)", log=True, level=level)


def swap_table(folder: Path) -> Table:
    """Whether it matters for which task the layers were written: networks trained on the aviary and on CUB.

    Args:
        folder: of the results.

    Returns:
        Points by which accuracy changes, with the standard deviation over seeds, where the layers were
        written for another task or are the mean of those of other tasks; the classifier is the task's own.
    """
    conditioning, ablation = (
        [result for result in experiment.measured(folder) if "swaps" in result]
        for experiment in (CONDITIONING, ABLATION)
    )
    learned: list[tuple[str, str, Results]] = [
        (form, f"{species:,} of the aviary", list(of_form(conditioning, form, species).values()))
        for species in SPECIES
        for form in ("written", "all")
    ]
    learned.append(("all", "100 of CUB", ablation))
    rows = []
    for form, seen, some in learned:
        if some:
            changes = ([_change(r, *which) for r in some] for which in SWAPPED)
            rows.append([ADAPTATIONS[form], seen, *map(mean_and_spread, changes)])
    head = ["what is adapted", "seen classes", *(f"{layers}: {kind}" for layers, kind in SWAPPED)]
    task = f"Tasks of {WAYS} classes, chance {100 / WAYS:.1f} %; "
    return Table(head, rows, CONDITIONING.note([*conditioning, *ablation], task))


def dialect_table(folder: Path) -> Table:
    """Every form of adaptation where one network cannot serve all tasks, and what other layers do to it.

    Args:
        folder: of the results.

    Returns:
        Accuracy, the points by which it changes where the layers were written for a task of another
        observer, and how much of the layers' change varies with the task, the mean over layers.
    """
    results, rows = DIALECTS.measured(folder), []
    for form in ("frozen", "constant", "written", "all"):
        some = [result for result in results if result["variant"] == form]
        swapped = [result for result in some if "swaps" in result]
        varies = [statistics.mean(one["varies"] for one in r["adaptation"].values()) for r in swapped]
        changes = [_change(result, LAYERS[1], KINDS[0]) for result in swapped]
        rows.append([ADAPTATIONS[form], accuracy_cell(some), *map(mean_and_spread, (changes, varies))])
    head = ["what is adapted", "accuracy (%)", "layers of another observer's task (points)", "varies (%)"]
    return Table(head, rows, DIALECTS.note(results))


def _change(result: Mapping[str, Any], layers: str, kind: str) -> float:
    """Points that other layers add to the mean accuracy of the tasks."""
    scores = result["swaps"][kind]
    return statistics.mean(scores[layers]) - statistics.mean(scores[LAYERS[0]])


def _by_ways(result: Mapping[str, Any], kind: str) -> dict[int, float]:
    """Number of classes to accuracy."""
    return {
        one["ways"]: one["metrics"]["per_class_accuracy"]
        for one in result["measured"]
        if one["tasks"] == kind
    }


def of_form(results: Results, form: str, species: int) -> dict[int, Mapping[str, Any]]:
    """Seed to result."""
    return {r["seed"]: r for r in results if r["variant"] == f"{form}-{species}"}

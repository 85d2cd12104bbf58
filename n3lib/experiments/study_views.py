"""What the book shows of the studies in `results/`."""

import statistics
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from n3lib.experiments import charts, provenance
from n3lib.experiments.conditioning import KINDS, LAYERS
from n3lib.experiments.results import Table, accuracies, lead, load_results, mean_and_spread
from n3lib.experiments.studies import SPECIES, STUDIES, measured
from n3lib.trainer import read_metrics

ADAPTATIONS = {
    "frozen": "nothing: exemplar ridge",
    "finetune": "plain fine-tuning",
    "constant": "constant adaptation",
    "written": "N3, written alone",
    "all": "N3, shared and written",
}

# What the ablation changes of the benchmark's settings, by variant.
CHANGES = ADAPTATIONS | {
    "all": f"nothing: {ADAPTATIONS['all']}",
    "classifier": "classifier and word weights alone",
    "frozen": "no training",
    "last-stage": "the last stage's layers alone",
    "fixed-words": "no learned word weights",
    "words-alone": "no sentence encoder",
    "encoder-alone": "no counted words",
    "no-mirror": "no mirrored copies",
    "no-crop": "whole images in training",
    "average-pooling": "no maximum pooling",
    "small-images": "112 pixels instead of 144",
    "ways-10": "10 query classes instead of 30",
    "ways-50": "50 query classes",
    "look-alikes": "half the tasks of look-alikes",
    "renewed": "exemplars renewed every 50 steps",
    "long": "twice the steps",
}

SWAPPED = [(layers, kind) for layers in LAYERS[1:] for kind in KINDS]

Results = Sequence[Mapping[str, Any]]


def magnitudes(results: Mapping[str, Results]) -> Figure | Table:
    """Fig. 6: how far each layer is moved, absolutely and relatively, and how much of that hangs on the text.

    Args:
        results: name of a model to its results, one a seed.
    """
    if not results:
        return Table([], [], "There are no results yet.")
    kinds = {
        "norm": "L2 norm\nof the change",
        "relative": "change (% of\nthe layer's norm)",
        "varies": "of it, varies with\nthe task (%)",
    }
    panels = {
        label: {
            name: [{layer: told[kind] for layer, told in r["adaptation"].items()} for r in some]
            for name, some in results.items()
            if all(kind in told for r in some for told in r["adaptation"].values())
        }
        for kind, label in kinds.items()
    }
    return charts.layers({label: shown for label, shown in panels.items() if shown})


def adapted(folder: Path, species: int) -> dict[str, Results]:
    """The results of the conditioning study whose layers moved, by form, for `magnitudes`."""
    results = measured(folder, "conditioning")
    forms = {title: list(_of_form(results, form, species).values()) for form, title in ADAPTATIONS.items()}
    return {title: some for title, some in forms.items() if some and some[0]["adaptation"]}


def adapted_cub(folder: Path, split: str) -> dict[str, Results]:
    """The benchmark's results of N3 and its controls on CUB that tell how far the layers moved."""
    forms = {"n3": "all", "n3-constant": "constant", "finetune": "finetune"}
    found = load_results(folder / "benchmark", study="benchmark", dataset="cub", split=split)
    told = [result for result in found if result.get("adaptation")]
    named = {ADAPTATIONS[form]: [r for r in told if r["method"] == m] for m, form in forms.items()}
    return {title: some for title, some in named.items() if some}


def magnitude_over_training(run_folder: Path) -> Figure:
    """How far each layer of a run is moved at every checkpoint; the darker, the nearer to the image."""
    lines = [line for line in read_metrics(run_folder) if "adaptation" in line]
    names = lines[0]["adaptation"]
    shown = {name: [{line["step"]: line["adaptation"][name]["relative"] for line in lines}] for name in names}
    return charts.lines({"": shown}, "step", "change (% of the layer's norm)", ordered=True)


def conditioning_table(folder: Path) -> Table:
    """Every form of adaptation on all test classes, and its lead over constant adaptation seed by seed.

    Args:
        folder: of the results.
    """
    results = measured(folder, "conditioning")
    rows = []
    for form, title in ADAPTATIONS.items():
        row = [title]
        for species in SPECIES:
            own, constant = (_of_form(results, f, species).values() for f in (form, "constant"))
            row.append(accuracy_cell(own))
            row.append("" if form == "constant" else lead(own, constant))
        rows.append(row)
    head = ["what is adapted"]
    for species in SPECIES:
        head += [f"{species:,} species (%)", "ahead of constant (points)"]
    return Table(head, rows, study_note(results, "conditioning"))


def swap_table(folder: Path) -> Table:
    """Whether it matters for which task the layers were written: networks trained on the aviary and on CUB.

    Args:
        folder: of the results.

    Returns:
        Points by which accuracy changes, with the standard deviation over seeds, where the layers were
        written for another task or are the mean of those of other tasks; the classifier is the task's own.
    """
    conditioning, ablation = (
        [result for result in measured(folder, name) if "swaps" in result]
        for name in ("conditioning", "ablation")
    )
    learned: list[tuple[str, str, Results]] = [
        (form, f"{species:,} of the aviary", list(_of_form(conditioning, form, species).values()))
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
    ways, _ = STUDIES["ablation"].swapped["all"]  # the other study's tasks are of as many
    task = f"Tasks of {ways} classes, chance {100 / ways:.1f} %; "
    return Table(head, rows, study_note([*conditioning, *ablation], "conditioning", task))


def dialect_table(folder: Path) -> Table:
    """Every form of adaptation where one network cannot serve all tasks, and what other layers do to it.

    Args:
        folder: of the results.

    Returns:
        Accuracy, the points by which it changes where the layers were written for a task of another
        observer, and how much of the layers' change varies with the task, the mean over layers.
    """
    results, rows = measured(folder, "dialects"), []
    for form in ("frozen", "constant", "written", "all"):
        some = [result for result in results if result["variant"] == form]
        swapped = [result for result in some if "swaps" in result]
        varies = [statistics.mean(one["varies"] for one in r["adaptation"].values()) for r in swapped]
        changes = [_change(result, LAYERS[1], KINDS[0]) for result in swapped]
        rows.append([ADAPTATIONS[form], accuracy_cell(some), *map(mean_and_spread, (changes, varies))])
    head = ["what is adapted", "accuracy (%)", "layers of another observer's task (points)", "varies (%)"]
    return Table(head, rows, study_note(results, "dialects"))


def ablation_table(folder: Path) -> Table:
    """What each of the benchmark's settings is worth: accuracy without it, on validation classes.

    Args:
        folder: of the results.

    Returns:
        A row for every variant, with the points it is ahead of the first, seed by seed.
    """
    results, rows = measured(folder, "ablation"), []
    found = {v: [r for r in results if r["variant"] == v] for v in STUDIES["ablation"].variants}
    for variant, own in found.items():
        ahead = "" if variant == "all" else lead(own, found["all"])
        rows.append([CHANGES[variant], accuracy_cell(own), ahead])
    head = ["what is changed", "accuracy (%)", "ahead of the first (points)"]
    return Table(head, rows, study_note(results, "ablation"))


def _change(result: Mapping[str, Any], layers: str, kind: str) -> float:
    """Points that other layers add to the mean accuracy of the tasks."""
    scores = result["swaps"][kind]
    return statistics.mean(scores[layers]) - statistics.mean(scores[LAYERS[0]])


def lead_curves(folder: Path) -> Figure | Table:
    """Points ahead of constant adaptation by the number of classes, for random tasks and look-alikes."""
    results = measured(folder, "conditioning")
    if not results:
        return Table([], [], study_note(results, "conditioning"))
    panels: dict[str, dict[str, list[dict[int, float]]]] = {}
    for species in SPECIES:
        for kind, told in (("random", "random classes"), ("look-alikes", "look-alikes")):
            constant = {seed: _by_ways(r, kind) for seed, r in _of_form(results, "constant", species).items()}
            shown = {}
            for form in ("all", "written", "finetune"):
                own = {seed: _by_ways(r, kind) for seed, r in _of_form(results, form, species).items()}
                both = sorted(set(own) & set(constant))
                if both:
                    shown[ADAPTATIONS[form]] = [
                        {k: own[seed][k] - constant[seed][k] for k in own[seed]} for seed in both
                    ]
            if shown:
                panels[f"{species:,} species\n{told}"] = shown
    level = (0.0, "constant adaptation")
    return charts.lines(panels, "classes of the task", "lead (points)", log=True, level=level)


def _of_form(results: Results, form: str, species: int) -> dict[int, Mapping[str, Any]]:
    """Seed to result."""
    return {r["seed"]: r for r in results if r["variant"] == f"{form}-{species}"}


def _by_ways(result: Mapping[str, Any], kind: str) -> dict[int, float]:
    """Number of classes to accuracy."""
    return {
        one["ways"]: one["metrics"]["per_class_accuracy"]
        for one in result["measured"]
        if one["tasks"] == kind
    }


def accuracy_cell(results: Collection[Mapping[str, Any]]) -> str:
    """Mean accuracy and spread, and how many trainings diverged."""
    found = accuracies(results).values()
    gone = len(results) - len(found)
    diverged = f"{gone} diverged" if found or gone > 1 else "diverged"
    return ", ".join(filter(None, [mean_and_spread(found), diverged if gone else ""]))


def study_note(results: Results, study: str, task: str = "") -> str:
    """How many classes and seeds, and what brings what is missing."""
    if not results:
        return f"There are no results yet: `n3 study {study}` makes them."
    one = next((r for r in results if r["metrics"]), None)
    if one and not task:
        task = f"{one['ways']} classes, chance {one['chance']:.1f} %; "
    seeds = sorted({r["seed"] for r in results})
    told = f"{task}seeds {', '.join(map(str, seeds))}."
    return provenance.note(results, told)

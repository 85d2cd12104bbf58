"""Chapter 12: does text-conditioned adaptation pay, and which words does it depend on?"""

import statistics
from collections.abc import Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from n3lib.experiments import charts
from n3lib.experiments.ablation import ABLATION
from n3lib.experiments.experiment import ADAPTATIONS, FROZEN, Experiment, Results, accuracy_cell
from n3lib.experiments.layer_swaps import KINDS, LAYERS, measure_swaps
from n3lib.experiments.results import Table, lead, mean_and_spread

SPECIES = (500, 2000)  # training species
WAYS = 10  # of the tasks whose layers are swapped, here and in the ablation

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


def conditioning_table(folder: Path) -> Table:
    """Every form of adaptation on all test classes, and its lead over constant adaptation seed by seed."""
    results, rows = CONDITIONING.measured(folder), []
    found = CONDITIONING.by_variant(results)
    for form, title in ADAPTATIONS.items():
        row = [title]
        for species in SPECIES:
            own, constant = found[f"{form}-{species}"], found[f"constant-{species}"]
            row += [accuracy_cell(own), "" if form == "constant" else lead(own, constant)]
        rows.append(row)
    head = [h for n in SPECIES for h in (f"{n:,} species (%)", "ahead of constant (points)")]
    return Table(["adaptation", *head], rows, CONDITIONING.note(results))


def lead_curves(folder: Path) -> Figure | Table:
    """Points ahead of constant adaptation by the number of classes, for random tasks and look-alikes."""
    results = CONDITIONING.measured(folder)
    if not results:
        return Table([], [], CONDITIONING.note(results))
    found, panels = CONDITIONING.by_variant(results), {}
    for species, kind in product(SPECIES, KINDS):
        constant, shown = {r["seed"]: _by_ways(r, kind) for r in found[f"constant-{species}"]}, {}
        for form in ("all", "written", "finetune"):
            own = {r["seed"]: _by_ways(r, kind) for r in found[f"{form}-{species}"]}
            both = [(own[seed], constant[seed]) for seed in sorted({*own} & {*constant})]
            if both:
                shown[ADAPTATIONS[form]] = [{k: one[k] - other[k] for k in one} for one, other in both]
        if shown:
            panels[f"{species:,} species\n{kind}"] = shown
    level = (0.0, "constant adaptation")
    return charts.lines(panels, "classes of the task", "lead (points)", log=True, level=level)


def _by_ways(result: Mapping[str, Any], kind: str) -> dict[int, float]:
    """Number of classes to accuracy."""
    measured = [one for one in result["measured"] if one["tasks"] == kind]
    return {one["ways"]: one["metrics"]["per_class_accuracy"] for one in measured}


def swap_table(folder: Path) -> Table:
    """Whether it matters for which task the layers are adapted: networks trained on the aviary and on CUB.

    Points by which accuracy changes, with the standard deviation over seeds, where the layers were adapted
    for another task or are the mean of those of other tasks; the classifier is the task's own.
    """
    conditioning, ablation = (
        [result for result in experiment.measured(folder) if "swaps" in result]
        for experiment in (CONDITIONING, ABLATION)
    )
    found = CONDITIONING.by_variant(conditioning)
    learned: dict[tuple[str, str], Results] = {
        (form, f"{species:,} of the aviary"): found[f"{form}-{species}"]
        for species in SPECIES
        for form in ("written", "all")
    }
    learned["all", "100 of CUB"] = ablation
    swaps = list(product(LAYERS[1:], KINDS))
    rows = [
        [ADAPTATIONS[form], seen, *(mean_and_spread([_change(r, *swap) for r in some]) for swap in swaps)]
        for (form, seen), some in learned.items()
        if some
    ]
    head = ["adaptation", "seen classes", *(f"{layers}: {kind}" for layers, kind in swaps)]
    task = f"Tasks of {WAYS} classes, chance {100 / WAYS:.1f} %; "
    return Table(head, rows, CONDITIONING.note([*conditioning, *ablation], task))


def _change(result: Mapping[str, Any], layers: str, kind: str) -> float:
    """Points that other layers add to the mean accuracy of the tasks."""
    scores = result["swaps"][kind]
    return statistics.mean(scores[layers]) - statistics.mean(scores[LAYERS[0]])

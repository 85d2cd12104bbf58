"""Chapter 12: does text-conditioned adaptation pay, and which words does it depend on?"""

import math
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from scipy.stats import norm

from n3lib.experiments import charts, tables
from n3lib.experiments.ablation import ABLATION
from n3lib.experiments.benchmark import N3_FORMS
from n3lib.experiments.dialects import CONTROLS, measure_controls
from n3lib.experiments.experiment import ADAPTATIONS, FROZEN, Experiment
from n3lib.experiments.layer_swaps import CHECK, KINDS, LAYERS, conditioning_check, swapped
from n3lib.experiments.results import Interval, Results, Table, accuracies, accuracy_cell, interval, lead

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
    swaps=(WAYS, 20),
    folder="conditioning/aviary",
)

DIALECTS = Experiment(
    "dialects",
    "Does reading the task pay where no one network can serve all tasks?",
    "aviary",
    {
        # A shared offset that learns faster than the text-conditioned adaptation makes the network blind to
        # color before the latter has begun.
        "all": ["--model.shared_mu=4", "--model.initial_mu=0.1"],
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
    swaps=(20, 20),
    also=measure_controls,
    folder="conditioning/dialects",
)


# Is nothing gained on CUB, or too little for three seeds to show it?
_METHODS = {"all": "n3", "constant": "n3-constant", "finetune": "finetune", "classifier": "n3-classifier"}
EQUIVALENCE = Experiment(
    "equivalence",
    "Is text-conditioned adaptation worth more than half a point on photographs?",
    "benchmark",
    {form: N3_FORMS[method] for form, method in _METHODS.items()},
    ways=(0, 10),
    alike=True,
    tasks=40,
    seeds=(0, 1, 2, 3, 4),
    selected=_METHODS,
    folder="conditioning/equivalence",
)
MARGIN = 0.5
"""Points within which two forms of adaptation count as equivalent; chosen before the study was run."""


def conditioning_table(folder: Path) -> Table:
    """Every form of adaptation on all test classes, and its lead over constant adaptation, paired."""
    results, rows, checks = CONDITIONING.measured(folder), [], []
    found = CONDITIONING.by_variant(results)
    for form, title in ADAPTATIONS.items():
        row = [title]
        for species in SPECIES:
            own, constant = found[f"{form}-{species}"], found[f"constant-{species}"]
            row += [accuracy_cell(own), "" if form == "constant" else lead(own, constant)]
            if check := conditioning_check(own):
                checks.append(f"{title}, {species:,} species: {check}.")
        rows.append(row)
    head = [h for n in SPECIES for h in (f"{n:,} species (%)", "lead over constant (points)")]
    return Table(["adaptation", *head], rows, "\n\n".join([*checks, CONDITIONING.note(results)]))


def dialect_table(folder: Path) -> Table:
    """Every form of adaptation on the dialects, and whether its layers depend on the task."""
    results = DIALECTS.measured(folder)
    found = DIALECTS.by_variant(results)
    forms = ("frozen", "constant", "written", "all")
    rows = [[ADAPTATIONS[f], accuracy_cell(found[f]), conditioning_check(found[f])] for f in forms]
    for name, title in CONTROLS.items():
        if some := [r | r["controls"][name] for r in results if name in r.get("controls", {})]:
            rows.append([title, accuracy_cell(some), ""])
    return Table(["adaptation", "accuracy (%)", CHECK], rows, DIALECTS.note(results))


def lead_curves(folder: Path) -> Figure | Table:
    """Lead over constant adaptation by the number of classes, with its interval, for each kind of tasks."""
    results = CONDITIONING.measured(folder)
    if not results:
        return Table([], [], CONDITIONING.note(results))
    found, panels = CONDITIONING.by_variant(results), {}
    sizes = sorted({one["ways"] for result in results for one in result.get("measured", [])})
    for species, kind in product(SPECIES, KINDS):
        shown = {}
        for form in ("all", "written", "finetune"):
            own, constant = found[f"{form}-{species}"], found[f"constant-{species}"]
            leads = {k: interval(of_tasks(own, kind, k), of_tasks(constant, kind, k)) for k in sizes}
            if line := {k: one for k, one in leads.items() if one}:
                shown[ADAPTATIONS[form]] = line
        if shown:
            panels[f"{species:,} species\n{kind}"] = shown
    level = (0.0, "constant adaptation")
    return charts.lines(panels, "classes of the task", "lead (points)", log=True, level=level)


def of_tasks(results: Results, kind: str, ways: int) -> list[dict[str, Any]]:
    """What results have `measured` on one kind and size of tasks, as results of their own."""
    return [
        {**result, "per_class": None, **one}
        for result in results
        for one in result.get("measured", [])
        if (one["tasks"], one["ways"]) == (kind, ways)
    ]


def swap_table(folder: Path) -> Table:
    """Whether it matters for which task the layers are adapted: networks trained on the aviary and on CUB.

    Points by which accuracy changes, with their interval, where the layers were adapted for another task or
    are the mean of those of other tasks; the classifier is the task's own.
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
    learned["all", "100 of CUB"] = ABLATION.by_variant(ablation)["all"]
    swaps = list(product(LAYERS[1:], KINDS))
    rows = []
    for (form, seen), some in learned.items():
        changes = [
            lead(swapped(some, layers, [kind]), swapped(some, LAYERS[0], [kind])) for layers, kind in swaps
        ]
        if some:
            rows.append([ADAPTATIONS[form], seen, *changes])
    head = ["adaptation", "seen classes", *(f"{layers}: {kind}" for layers, kind in swaps)]
    task = f"Tasks of {WAYS} classes, chance {100 / WAYS:.1f} %; "
    return Table(head, rows, CONDITIONING.note([*conditioning, *ablation], task))


def equivalence_table(folder: Path) -> Table:
    """Leads over constant adaptation with both intervals and the `verdict`, by kind and size of the tasks.

    Below, the `power` of the study at the variance components of the lead of N3 with every layer.
    """
    results, rows, lines = EQUIVALENCE.measured(folder), [], []
    found, seeds = EQUIVALENCE.by_variant(results), len(EQUIVALENCE.seeds)
    if check := conditioning_check(found["all"]):
        lines.append(f"N3: {check}.")
    kinds = dict.fromkeys((one["tasks"], one["ways"]) for r in results for one in r.get("measured", []))
    every = max((ways for _, ways in kinds), default=0)
    for kind, ways in kinds:
        if ways == every and kind != KINDS[0]:  # all classes are the same task
            continue
        task = f"all {ways} classes" if ways == every else f"{ways} classes, {kind}"
        for form in ("all", "finetune", "classifier"):
            own, constant = (of_tasks(found[name], kind, ways) for name in (form, "constant"))
            wide, narrow = interval(own, constant), interval(own, constant, 90.0)
            if wide and narrow:
                shown = [wide.text("+"), narrow.text("+"), verdict(wide, narrow)]
                rows.append([tables.TITLES[_METHODS[form]], task, *shown])
            parts = variance_components(own, constant) if form == "all" else None
            if parts:
                count = 1 if ways == every else EQUIVALENCE.tasks
                share = 100 * power(parts, seeds, every, count * ways)
                asked = f"{seeds} seeds, {every} classes and {count} task{'s' * (count > 1)}"
                lines.append(f"Power to show that N3 is equivalent, {task}, {asked}: {share:.0f} %.")
    head = ["form", "tasks", "lead over constant (points), 95 %", "90 %", "verdict"]
    return Table(head, rows, "\n\n".join([*lines, EQUIVALENCE.note(results)]))


def verdict(wide: Interval, narrow: Interval) -> str:
    """Ahead or behind where a lead's 95 % interval excludes 0; else equivalent where its 90 % interval is
    within `MARGIN` of 0: two one-sided tests at 5 % (Schuirmann, 1987, J. Pharmacokin. Biopharm. 15)."""
    if wide.low > 0 or wide.high < 0:
        return "ahead" if wide.low > 0 else "behind"
    inside = max(-narrow.low, narrow.high) < MARGIN
    return f"equivalent within {MARGIN:g}" if inside else "not decided"


class Components(NamedTuple):
    """Variances of a lead, in squared points."""

    seeds: float
    classes: float
    both: float  # what a seed makes of a class
    tasks: float  # of one class and seed


def variance_components(own: Results, other: Results) -> Components | None:
    """The components of a lead by the method of moments, in the classes that every seed has (two-way layout).

    None where there are fewer than two seeds or classes, or no accuracies per class.
    """
    by_cell = accuracies(own, other)["mean"].groupby(["seed", "class"])
    cells = by_cell.mean().unstack().dropna(axis=1)  # (seeds, classes)
    s, c = cells.shape
    if s < 2 or c < 2:
        return None
    means, degrees = cells.to_numpy(), (by_cell.size() - 1).sum()
    tasks = (by_cell.var(ddof=0) * by_cell.size()).sum() / degrees if degrees else 0.0
    rest = means - means.mean(0) - means.mean(1)[:, None] + means.mean()
    both = (rest**2).sum() / ((s - 1) * (c - 1))
    of_seeds, of_classes = means.mean(1).var(ddof=1) - both / c, means.mean(0).var(ddof=1) - both / s
    within = tasks * (1 / by_cell.size()).mean()
    return Components(*(max(0.0, float(v)) for v in (of_seeds, of_classes, both - within, tasks)))


def power(parts: Components, seeds: int, classes: int, rows: int) -> float:
    """The share of studies that would find two equal forms equivalent within `MARGIN`.

    `rows` is the number of tasks of one seed times their classes. The error is taken as normal and known.
    """
    variance = parts.seeds / seeds + parts.classes / classes + parts.both / (seeds * classes)
    error = math.sqrt(variance + parts.tasks / (seeds * rows))
    return max(0.0, 2 * float(norm.cdf(MARGIN / max(error, 1e-9) - norm.ppf(0.95))) - 1)

"""What the book shows of the studies in `results/`."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from n3lib import charts
from n3lib.results import Table, mean_and_spread
from n3lib.studies import PAIRS, SPECIES, measured
from n3lib.train import read_metrics

# Accuracy on CUB's standard split (Table 2 for the first pair, Table 3 for the others), in percent.
_PAPER = dict(zip(PAIRS, (17.6, 16.2, 18.5, 16.2, 6.2, 2.1, 2.3), strict=True))
FORMS = ("absolute", "relative")
ADAPTATIONS = {
    "frozen": "nothing: exemplar ridge",
    "finetune": "plain fine-tuning",
    "constant": "constant adaptation",
    "written": "N3, written alone",
    "all": "N3, shared and written",
}

Results = Sequence[Mapping[str, Any]]


def pair_table(folder: Path) -> Table:
    """Table 3 beside ours: a row for each gamma and initial mu, accuracy of both forms of mu.

    Args:
        folder: of the results.
    """
    results = measured(folder, "mu")
    rows = []
    for pair in PAIRS:
        row = [f"{pair[0]:g}", f"{pair[1]:g}", f"{_PAPER[pair]:.1f}"]
        row += [_accuracies(_of_pair(results, form, pair)) for form in FORMS]
        rows.append(row)
    head = ["gamma", "initial mu", "paper, CUB SS (%)", "ours, absolute mu (%)", "ours, relative mu (%)"]
    return Table(head, rows, _note(results, "mu"))


def loss_curves(folder: Path) -> Figure:
    """The training loss of every pair, absolute mu beside relative, with the loss of guessing."""
    results = measured(folder, "mu")
    ways = results[0]["config"]["episodes"]["ways"]
    level = (math.log(ways), f"guessing, ln {ways}")
    return _pair_curves(results, "step", "loss", "training loss (nats)", level)


def change_curves(folder: Path) -> Figure:
    """How far the mean layer is moved while training, for every pair and both forms of mu."""
    return _pair_curves(
        measured(folder, "mu"), "checkpoint", "change", "mean change of a layer (% of its norm)"
    )


def magnitudes(results: Mapping[str, Results]) -> Figure:
    """Fig. 6: how far each layer is moved, absolutely and relatively, and how much of that hangs on the text.

    Args:
        results: name of a model to its results, one a seed.
    """
    kinds = {
        "norm": "L2 norm of the change",
        "relative": "change (% of the layer's norm)",
        "varies": "of which varies\nwith the task (%)",
    }
    panels = {
        label: {
            name: [{layer: told[kind] for layer, told in r["adaptation"].items()} for r in some]
            for name, some in results.items()
        }
        for kind, label in kinds.items()
        if all(kind in told for some in results.values() for r in some for told in r["adaptation"].values())
    }
    return charts.layers(panels)


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
            own = _of_form(results, form, species)
            row.append(_accuracies(list(own.values())))
            row.append("" if form == "constant" else _lead(own, _of_form(results, "constant", species)))
        rows.append(row)
    head = ["what is adapted"]
    for species in SPECIES:
        head += [f"{species:,} species (%)", "ahead of constant (points)"]
    return Table(head, rows, _note(results, "conditioning"))


def lead_curves(folder: Path) -> Figure:
    """Points ahead of constant adaptation by the number of classes, for random tasks and look-alikes."""
    results = measured(folder, "conditioning")
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


def _pair_curves(
    results: Results, x: str, y: str, ylabel: str, level: tuple[float, str] | None = None
) -> Figure:
    """A line for each pair of gamma and initial mu, absolute mu beside relative."""
    panels = {
        f"{form} mu": {
            f"{pair[0]:g}, {pair[1]:g}": [
                dict(zip(r["curve"][x], r["curve"][y], strict=True)) for r in _of_pair(results, form, pair)
            ]
            for pair in sorted(PAIRS, key=lambda pair: pair[1])
            if _of_pair(results, form, pair)
        }
        for form in FORMS
    }
    return charts.lines(panels, "step", ylabel, ordered=True, level=level)


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


def _lead(own: Mapping[int, Mapping[str, Any]], other: Mapping[int, Mapping[str, Any]]) -> str:
    def accuracy(result: Mapping[str, Any]) -> float:
        return float(result["metrics"]["per_class_accuracy"])

    return mean_and_spread([accuracy(own[seed]) - accuracy(other[seed]) for seed in own if seed in other])


def _of_pair(results: Results, form: str, pair: tuple[float, float]) -> list[Mapping[str, Any]]:
    return [r for r in results if r["variant"] == f"{form}-{pair[0]:g}-{pair[1]:g}"]


def _accuracies(results: Results) -> str:
    return mean_and_spread([r["metrics"]["per_class_accuracy"] for r in results])


def _note(results: Results, study: str) -> str:
    """How many classes and seeds, and what brings what is missing."""
    if not results:
        return f"There are no results yet: `n3 study {study}` makes them."
    ways, seeds = results[0]["ways"], sorted({r["seed"] for r in results})
    return f"{ways} classes, chance {results[0]['chance']:.1f} %; seeds {', '.join(map(str, seeds))}."

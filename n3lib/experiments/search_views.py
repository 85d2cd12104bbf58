"""What chapter 10 shows of a random search."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from n3lib.experiments import plots
from n3lib.experiments.results import Markup, Table
from n3lib.io.files import read_json


def committed(path: Path) -> Mapping[str, Any] | None:
    """The result of a search, None where there is none yet."""
    return read_json(path) if path.exists() else None


def space_table(space: Mapping[str, Any]) -> Table:
    """What is drawn, and how."""
    rows = []
    for name, some in space.items():
        listed = isinstance(some, list) and all(isinstance(value, int) for value in some)
        drawn = (
            f"one of {', '.join(map(str, some))}" if listed else "{:g} to {:g}, on a log scale".format(*some)
        )
        rows.append([Markup(f"`{name}`"), drawn])
    return Table(["setting", "drawn from"], rows)


def trial_table(result: Mapping[str, Any] | None) -> Table:
    """A row for each trial, the chosen one in bold, the configuration as it stands first."""
    if result is None:
        return Table([], [], _MISSING)
    told = result["search"]
    rows = []
    for one in told["trials"]:
        values = one["parameters"] or told["configured_values"]
        reached = "diverged" if one["validation"] is None else f"{one['validation']:.1f}"
        row = [str(one["trial"]), *(f"{values[name]:g}" for name in told["space"]), reached]
        rows.append([Markup(f"**{cell}**") for cell in row] if one["trial"] == told["best"] else row)
    note = f"Trial 0 is the configuration as it stands; trial {told['best']} is chosen."
    # Without the section: the columns fit the page, and no reader takes "train.lr" for an address in Liberia.
    names = [name.partition(".")[2] for name in told["space"]]
    return Table(["trial", *names, "validation (%)"], rows, note)


def choice_table(result: Mapping[str, Any] | None) -> Table:
    """What was chosen beside the configuration as it stands, on the validation and on the test classes."""
    if result is None:
        return Table([], [], _MISSING)
    told = result["search"]
    rows = []
    for title, trial, metrics in (
        ("as configured", 0, told["configured"]),
        (f"best of {len(told['trials']) - 1} random trials", told["best"], result["metrics"]),
    ):
        validation = told["trials"][trial]["validation"]
        reached = (validation, metrics["per_class_accuracy"]) if metrics else ()
        rows.append([title, *(f"{value:.1f}" for value in reached)] if reached else [title, "diverged", ""])
    note = f"{result['ways']} test classes, chance {result['chance']:.1f} %; one seed."
    return Table(["hyperparameters", "validation (%)", "test (%)"], rows, note)


def search_figure(result: Mapping[str, Any] | None) -> Figure | Table:
    """Validation accuracy against each hyperparameter, a mark a trial.

    The chosen trial is marked; the dashed line is the configuration as it stands.
    """
    if result is None:
        return Table([], [], _MISSING)
    told = result["search"]
    trials = [one for one in told["trials"][1:] if one["validation"] is not None]
    best = next(one for one in trials if one["trial"] == told["best"])
    columns = min(3, len(told["space"]))
    rows = -(-len(told["space"]) // columns)
    figure, axes = plots.canvas(rows, columns, (7.2, 0.5 + 2.2 * rows), sharey=True)
    for place, axis in enumerate(axes.flat):
        if place >= len(told["space"]):
            axis.set_axis_off()
            continue
        name = list(told["space"])[place]
        reached = [one["validation"] for one in trials]
        axis.plot([one["parameters"][name] for one in trials], reached, "o", color=plots.BLUE, label="trial")
        chosen = best["parameters"][name], best["validation"]
        axis.plot(*chosen, "*", color=plots.ORANGE, markersize=13, label="chosen")
        if told["trials"][0]["validation"] is not None:
            level = told["trials"][0]["validation"]
            axis.axhline(level, color=plots.GRAY, linestyle="--", linewidth=1, label="as configured")
        axis.set(xlabel=name)
        if all(isinstance(one["parameters"][name], int) for one in trials):
            axis.set_xticks(told["space"][name])
            axis.margins(x=0.4)
        else:
            axis.set_xscale("log")
            axis.xaxis.set_minor_formatter(NullFormatter())  # they would run into one another
            axis.set_xlim(told["space"][name])
    for axis in axes[:, 0]:
        axis.set(ylabel="validation (%)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return figure


_MISSING = (
    "There is no committed result yet:"
    " `n3 search configs/aviary.yaml -o runs/search/aviary --train.steps=120 --train.every=60` makes it."
)

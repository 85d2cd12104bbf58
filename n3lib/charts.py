"""Charts of studies: lines with their spread over seeds, and layers side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from n3lib import plots

Line = Sequence[Mapping[Any, float]]  # of each seed: x to y


def lines(
    panels: Mapping[str, Mapping[str, Line]],
    xlabel: str,
    ylabel: str,
    ordered: bool = False,
    log: bool = False,
    level: tuple[float, str] | None = None,
    log_y: bool = False,
) -> Figure:
    """Lines in panels, two side by side: the mean over seeds, and a band from the lowest to the highest seed.

    Args:
        panels: title to the panel's lines by name; a name has one color in all panels.
        xlabel, ylabel: with units.
        ordered: whether the names have an order, which the colors then show.
        log: a logarithmic x axis, with a tick at each x.
        level: a value to compare with and what it is called, drawn as a dashed line.
        log_y: a y axis for values that differ by orders of magnitude and may be 0.
    """
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    palette = [plots.BLUE, plots.ORANGE, plots.GREEN, plots.RED, plots.PURPLE, plots.SKY, "#000000"]
    if ordered:
        palette = [colormaps["cividis"](share) for share in np.linspace(0, 0.92, len(names))]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plots.canvas(rows, columns, (1.4 + 3.0 * columns, 3.0 * rows), sharey=True)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for (title, shown), axis in zip(panels.items(), axes.flat, strict=False):
        for name, seeds in shown.items():
            _line(axis, seeds, palette[names.index(name) % len(palette)], name)
        if level:
            axis.axhline(level[0], color=plots.GRAY, linestyle="--", linewidth=1, label=level[1])
        axis.set(title=title, xlabel=xlabel)
        if log:
            ticks = sorted({x for seeds in shown.values() for seed in seeds for x in seed})
            axis.set_xscale("log")
            axis.set_xticks(ticks, [f"{x:g}" for x in ticks])
            axis.minorticks_off()
    if log_y:
        least = min(
            y for shown in panels.values() for seeds in shown.values() for s in seeds for y in s.values()
        )
        if least > 0:
            axes[0, 0].set_yscale("log")
        else:
            axes[0, 0].set_yscale("symlog", linthresh=1.0)
    for axis in axes[:, 0]:
        axis.set(ylabel=ylabel)
    pairs = [pair for axis in figure.axes for pair in zip(*axis.get_legend_handles_labels(), strict=True)]
    legend = {label: handle for handle, label in reversed(pairs)}
    labels = list(dict.fromkeys(label for _, label in pairs))
    figure.legend([legend[label] for label in labels], labels, loc="outside right upper")
    return figure


def layers(panels: Mapping[str, Mapping[str, Line]]) -> Figure:
    """A value of each layer, from the first to the last: one panel a quantity, one mark a seed.

    Args:
        panels: what is measured, with its unit, to its values by name of the model; layers are the x.
    """
    figure, axes = plots.canvas(len(panels), 1, (7.0, 0.9 + 2.0 * len(panels)), sharex=True)
    names = dict.fromkeys(name for models in panels.values() for name in models)
    colors = dict(zip(names, [plots.BLUE, plots.ORANGE, plots.GREEN, plots.RED], strict=False))
    for (ylabel, models), axis in zip(panels.items(), axes[:, 0], strict=True):
        for name, seeds in models.items():
            color = colors[name]  # the same in every panel, also in one that lacks some models
            order = list(seeds[0])
            mean = [float(np.mean([seed[layer] for seed in seeds])) for layer in order]
            axis.plot(order, mean, "-", color=color, linewidth=1.2, label=name)
            for seed in seeds:
                axis.plot(order, [seed[layer] for layer in order], "o", color=color, markersize=3, alpha=0.6)
        axis.set(ylabel=ylabel)
        axis.set_ylim(0, None)
    if len(names) > 1:  # above the panels, where no line runs
        axes[0, 0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    axes[-1, 0].tick_params(axis="x", rotation=90)
    axes[-1, 0].set(xlabel="layer, from the image to the features")
    return figure


def _line(axis: Axes, seeds: Line, color: Any, name: str) -> None:
    x = sorted(at for at in seeds[0] if all(at in seed for seed in seeds))
    y = np.array([[seed[at] for at in x] for seed in seeds])  # (seeds, points)
    axis.plot(x, y.mean(0), color=color, linewidth=1.4, label=name)
    if len(seeds) > 1:
        axis.fill_between(x, y.min(0), y.max(0), color=color, alpha=0.2, linewidth=0)

"""Charts of experiments: lines in bands, and layers side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from n3lib.experiments import plots
from n3lib.experiments.lettering import apart, literal, plain

Line = Mapping[Any, tuple[float, float, float]]  # x to y and the ends of its band, which can be NaN
Seeds = Sequence[Mapping[Any, float]]  # of each seed: x to y


def lines(
    panels: Mapping[str, Mapping[str, Line]],
    xlabel: str,
    ylabel: str,
    ordered: bool = False,
    log: bool = False,
    level: tuple[float, str] | None = None,
    log_y: bool = False,
) -> Figure:
    """Lines in panels, two side by side, each in its band.

    Args:
        panels: title to the panel's lines by name; a name has one color in all panels.
        xlabel, ylabel: with units.
        ordered: whether the colors show the order of the names.
        log: a logarithmic x axis, with a tick at each x.
        level: a value to compare with and its name, drawn as a dashed line.
        log_y: a y axis for values that differ by orders of magnitude and may be 0.
    """
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    palette: list[Any] = plots.PALETTE
    if ordered:
        palette = [colormaps["cividis"](share) for share in np.linspace(0, 0.92, len(names))]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plots.canvas(rows, columns, (1.4 + 3.0 * columns, 3.0 * rows), sharey=True)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    drawn: dict[str, Line2D] = {}
    for (title, shown), axis in zip(panels.items(), axes.flat, strict=False):
        for name, line in shown.items():
            drawn[name] = _line(axis, line, palette[names.index(name) % len(palette)])
        if level:
            drawn[level[1]] = axis.axhline(level[0], color=plots.GRAY, linestyle="--", linewidth=1)
        axis.set(title=_plain(title, 3.2, 10.0), xlabel=plain(xlabel, 3.2, lines=2))
        if log:
            ticks = sorted({x for line in shown.values() for x in line})
            axis.set_xscale("log")
            axis.set_xticks(ticks, [f"{x:g}" for x in ticks])
            axis.minorticks_off()
    if log_y:
        every = [line for shown in panels.values() for line in shown.values()]
        zero = min(low for line in every for _, low, _ in line.values()) <= 0
        axes[0, 0].set_yscale("symlog" if zero else "log", **({"linthresh": 1.0} if zero else {}))
    for axis in axes[:, 0]:
        axis.set(ylabel=_plain(ylabel, 2.8))
    legend = figure.legend(list(drawn.values()), apart(list(drawn), 3.5), loc="outside right upper")
    literal(legend.get_texts())
    return figure


def over_seeds(seeds: Seeds) -> Line:
    """The mean over seeds in a band from the lowest to the highest, where all of them have a value."""
    x = [at for at in seeds[0] if all(at in seed for seed in seeds)]
    values = {at: [seed[at] for seed in seeds] for at in x}
    return {at: (sum(some) / len(some), min(some), max(some)) for at, some in values.items()}


def layers(panels: Mapping[str, Mapping[str, Seeds]]) -> Figure:
    """A value per layer, from the first to the last: one panel per quantity, one mark per seed.

    `panels` holds, by quantity with its unit, the values by name of the model; layers are the x.
    """
    figure, axes = plots.canvas(len(panels), 1, (7.0, 0.9 + 2.0 * len(panels)), sharex=True)
    names = dict.fromkeys(name for models in panels.values() for name in models)
    colors = dict(zip(names, plots.PALETTE, strict=False))
    shown = [seeds[0] for models in panels.values() for seeds in models.values()]
    order = list(dict.fromkeys(layer for seed in shown for layer in seed))
    drawn: dict[str, Line2D] = {}
    for (ylabel, models), axis in zip(panels.items(), axes[:, 0], strict=True):
        for name, seeds in models.items():
            color = colors[name]  # the same in every panel, also in one that lacks some models
            x = [order.index(layer) for layer in seeds[0]]
            values = np.array([[seed[layer] for layer in seeds[0]] for seed in seeds])  # (seeds, layers)
            (drawn[name],) = axis.plot(x, values.mean(0), "-", color=color, linewidth=1.2)
            for y in values:
                axis.plot(x, y, "o", color=color, markersize=3, alpha=0.6)
        axis.set(ylabel=_plain(ylabel, 1.9))
        axis.set_ylim(0, None)
    if len(names) > 1:  # above the panels, where no line runs
        where = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2}
        literal(axes[0, 0].legend(list(drawn.values()), apart(list(drawn), 2.9), **where).get_texts())
    axes[-1, 0].set_xticks(range(len(order)))
    literal(axes[-1, 0].set_xticklabels(apart(order, 2.0), rotation=90))
    axes[-1, 0].set(xlabel="layer, from the image to the features")
    return figure


def _line(axis: Axes, points: Line, color: Any) -> Line2D:
    x = sorted(points)
    y, low, high = np.array([points[at] for at in x]).reshape(-1, 3).T
    (line,) = axis.plot(x, y, color=color, linewidth=1.4)
    if (high > low).any():
        axis.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    return line


def _plain(text: str, inches: float, size: float = 9.0) -> str:
    """Like `plain`, in lines of their own where the text has line breaks."""
    return "\n".join(plain(line, inches, size) for line in text.split("\n"))

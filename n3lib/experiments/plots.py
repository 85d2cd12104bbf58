"""Figures of the book: light background, a palette for color-blind readers, labeled axes.

Every function returns a `Figure` or, for photographs and drawings, a `Picture`.
"""

import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from n3lib.data.names import class_name
from n3lib.experiments.lettering import apart, literal, plain, width
from n3lib.io import read_json
from n3lib.synthesis import SynthesizedNetwork
from n3lib.trainer import Progress, read_metrics

# Okabe and Ito's palette, black last.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
PALETTE = [BLUE, ORANGE, GREEN, RED, PURPLE, SKY, "#000000"]
GRAY, PAPER = "#9a9a9a", "#ffffff"


def style() -> None:
    """Set up the figures of a notebook: vector graphics, and the same sizes and colors everywhere."""
    colors = {"axes.prop_cycle": pyplot.cycler(color=PALETTE), "figure.facecolor": PAPER}
    settings = read_json(Path(__file__).with_name("style.json"))
    pyplot.rcParams.update(colors | settings | {"savefig.facecolor": PAPER})
    if _in_notebook():
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", "pdf")


def _in_notebook() -> bool:
    return "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None


@dataclass(frozen=True)
class Picture:
    """A figure shown as pixels: with many images it is far smaller than as vectors."""

    figure: Figure
    dpi: int = 130

    def _repr_jpeg_(self) -> bytes:
        buffer, color = io.BytesIO(), self.figure.get_facecolor()
        how = {"quality": 90, "subsampling": 0}
        self.figure.savefig(buffer, format="jpeg", dpi=self.dpi, facecolor=color, pil_kwargs=how)
        return buffer.getvalue()


def canvas(rows: int = 1, columns: int = 1, size: tuple[float, float] = (6.4, 3.0), **how: Any) -> Any:
    """A figure of `size` inches and its axes `(rows, columns)`, whose titles are drawn literally."""
    figure = Figure(figsize=size, layout="constrained", facecolor=PAPER)
    axes = figure.subplots(rows, columns, squeeze=False, **how)
    for axis in axes.flat:
        literal([axis.title, axis.xaxis.label, axis.yaxis.label])
    return figure, axes


def gallery(
    images: Sequence[Any] | np.ndarray | Tensor, titles: Sequence[str] = (), columns: int = 6
) -> Picture:
    """Images in rows of `columns`, each with its title above; long titles are cut.

    Images are pixels `(H, W, 3)` as bytes, or masks `(H, W)`; their sizes may differ.
    """
    columns, inches = min(columns, len(images)), 1.25
    rows = -(-len(images) // columns)
    titles = apart(titles, inches - 0.05, 8.0, 3)
    lines = max((title.count("\n") + 1 for title in titles), default=0)
    figure, axes = canvas(rows, columns, (columns * inches, rows * (inches + 0.17 * lines)))
    for place, axis in enumerate(axes.flat):
        axis.set_axis_off()
        if place < len(images):
            show(axis, images[place])
            axis.set_title(titles[place] if titles else "", size=8)
    return Picture(figure)


def predictions(
    network: SynthesizedNetwork,
    images: Tensor,
    truth: Sequence[Any] | Tensor,
    names: Sequence[str] = (),
) -> Picture:
    """Each image, `(B, H, W, 3)` as stored, above the probabilities that the network gives its classes.

    `truth` is each image's class, by number or name, or None. Its bar is green, a wrong answer's red. Where
    the images have `names`, these stand above them, and below a name whether the network calls it unknown.
    """
    shares, known = network.judge(images)  # (B, K), (B,)
    shares = 100 * shares
    labels = apart(network.labels, 2.4)
    room = max(1.7, 0.35 + max(map(width, labels)))
    size = (room + 1.25 * len(images), 1.5 + 0.2 * len(labels))
    figure, axes = canvas(2, len(images), size, height_ratios=[1.3, 0.22 * len(labels)])
    for b, (image, share) in enumerate(zip(images, shares, strict=True)):
        right = truth[b].item() if isinstance(truth, Tensor) else truth[b]
        if isinstance(right, str):  # exactly, or as networks keep names
            right = network.labels.index(right if right in network.labels else class_name(right))
        colors = [GREEN if k == right else GRAY for k in range(len(share))]
        if right is not None and share.argmax() != right:
            colors[int(share.argmax())] = RED
        top, bars = axes[0, b], axes[1, b]
        show(top, image)
        if names:
            remark = "" if known is None or known[b] else "\nunknown"
            top.set_title(f"{plain(names[b], 1.0, 8.0)}{remark}", size=8)
        drawn = bars.barh(range(len(share)), share.tolist(), color=colors)
        bars.bar_label(drawn, [f"{one:.0f}" for one in share.tolist()], padding=2, size=7)
        bars.set(xlim=(0, 100), xticks=(0, 50, 100), yticks=range(len(share)))
        bars.invert_yaxis()
        bars.tick_params(axis="y", length=0)
        literal(bars.set_yticklabels(labels if b == 0 else []))
    figure.supxlabel("probability of the class (%)", size=9)
    return Picture(figure)


def bars(values: Mapping[str, float], label: str, title: str = "") -> Figure:
    """One bar per name; `label` says what it measures, with its unit."""
    figure, axes = canvas(size=(6.4, 0.6 + 0.24 * len(values)))
    axis = axes[0, 0]
    axis.barh(range(len(values)), list(values.values()), color=BLUE)
    axis.set_yticks(range(len(values)))
    literal(axis.set_yticklabels(apart(list(values), 2.4)))
    axis.invert_yaxis()
    axis.set(xlabel=plain(label, 3.8, lines=2), title=plain(title, 3.8, 10.0, 2))
    return figure


def histogram(
    groups: Mapping[str, Sequence[int] | Sequence[float]], label: str, unit: str, bins: int = 12
) -> Figure:
    """The distribution of values, as shares of each group; `unit` names what is counted."""
    figure, axes = canvas()
    edges = np.histogram_bin_edges(np.concatenate([np.asarray(v) for v in groups.values()]), bins)
    outlines = []
    for values in groups.values():
        weights = np.full(len(values), 100 / len(values))
        outlines += axes[0, 0].hist(values, edges, weights=weights, histtype="step", linewidth=1.6)[2]
    axes[0, 0].set(xlabel=plain(label, 5.0, lines=2), ylabel=plain(f"share of the {unit} (%)", 2.4, lines=2))
    literal(axes[0, 0].legend(outlines, apart(list(groups), 2.5)).get_texts())
    return figure


def columns(matrices: Mapping[str, Tensor]) -> Picture:
    """Parameters or their changes as a sequence of M columns of N numbers, as the decoders generate them."""
    figure, axes = canvas(len(matrices), 1, (6.4, 0.6 + 2.1 * len(matrices)))
    titles = apart(list(matrices), 5.0, 10.0)
    for title, matrix, axis in zip(titles, matrices.values(), axes[:, 0], strict=True):
        values = matrix.detach().cpu().numpy().T  # (N, M): a column stands upright
        limit = 3 * float(values.std()) or 1.0
        shown = axis.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
        axis.set(title=title, xlabel=f"column, M = {len(matrix)}", ylabel=f"number, N = {len(matrix.T)}")
        figure.colorbar(shown, ax=axis, label="value")
    return Picture(figure)


def curves(folder: str | Path, window: int = 20) -> Figure:
    """Training loss, training accuracy and validation accuracy of a run; `window` steps are averaged."""
    return _curves(read_metrics(Path(folder)), window)


class LiveLoss:
    """Redraws the training curves in the notebook every `every` steps: `n3.train(..., watch=LiveLoss())`.

    Outside a notebook it does nothing.
    """

    def __init__(self, every: int = 20) -> None:
        self.every, self.active, self.lines = every, _in_notebook(), list[dict[str, Any]]()
        self.handle: Any = None

    def __call__(self, progress: Progress) -> None:
        if not self.active:
            return
        self.lines.append({"step": progress.step, **progress.metrics})
        if progress.step % self.every:
            return
        from IPython.display import display

        figure = _curves(self.lines, self.every)
        if self.handle is None:
            self.handle = display(figure, display_id=True)
        else:
            self.handle.update(figure)


def confusion(result: Mapping[str, Any], groups: Sequence[int] = ()) -> Figure:
    """The confusion matrix of a result of `n3.evaluate`, as shares of each true class.

    `groups` is a group per class id of the dataset, such as its family; the classes of a group are then side
    by side, in a frame.
    """
    ids, counts = result["confusion"]["classes"], np.array(result["confusion"]["counts"], float)
    shares = 100 * counts / counts.sum(1, keepdims=True).clip(1)
    figure, axes = canvas(size=(5.6, 4.6))
    axis = axes[0, 0]
    order = np.arange(len(ids))
    if len(groups):
        members = np.array([groups[c] for c in ids])
        order = np.argsort(members, kind="stable")
        starts = np.flatnonzero(np.diff(members[order], prepend=-1, append=-1))
        for start, end in zip(starts[:-1], starts[1:], strict=True):
            side = end - start
            square = ((start - 0.5, start - 0.5), side, side)
            axis.add_patch(pyplot.Rectangle(*square, fill=False, edgecolor=RED, linewidth=0.8))
    shown = axis.imshow(shares[np.ix_(order, order)], cmap="Blues", vmin=0, vmax=100)
    axis.set(xlabel="class that the network answers", ylabel="true class", xticks=[], yticks=[])
    figure.colorbar(shown, ax=axis, label="share of the true class's images (%)")
    return figure


def show(axis: Axes, image: Any) -> None:
    """An image `(H, W, 3)` in bytes, or a mask `(H, W)`, without ticks."""
    axis.set_axis_off()
    pixels = image.numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    axis.imshow(pixels, interpolation="lanczos" if pixels.ndim == 3 else "nearest", cmap="gray")


def _curves(lines: Sequence[Mapping[str, Any]], window: int) -> Figure:
    """Loss and accuracy side by side, each step faint and the mean of the last `window` steps strong."""
    figure, axes = canvas(1, 2, (7.4, 2.6))
    loss, accuracy = axes[0]
    steps = [line for line in lines if "loss" in line]
    for axis, name, factor, color in ((loss, "loss", 1.0, BLUE), (accuracy, "accuracy", 100.0, ORANGE)):
        values = pd.Series([factor * line[name] for line in steps], [line["step"] for line in steps], float)
        smooth = values.rolling(window, min_periods=1).mean()
        axis.plot(values.index, values, color=color, alpha=0.25, linewidth=0.8)
        axis.plot(smooth.index, smooth, color=color, label=f"training, mean of {window} steps")
        axis.set(xlabel="step")
    checked = [(line["step"], line["validation"]) for line in lines if "validation" in line]
    if checked:
        accuracy.plot(*zip(*checked, strict=True), "o-", color=GREEN, label="validation classes, all at once")
    loss.set(ylabel="loss (nats)")
    accuracy.set(ylabel="accuracy (%)", ylim=(0, None))
    accuracy.legend()
    return figure

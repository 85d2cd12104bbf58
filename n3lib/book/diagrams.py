"""Drawings that explain: N3 as a whole, and one training episode."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from n3lib.book.lesson import Task
from n3lib.experiments.lettering import literal, plain
from n3lib.experiments.plots import BLUE, GRAY, ORANGE, PAPER, RED, Picture, canvas, show

INK = "#333333"
Number = int | float


def task_diagram(query: Task, support: Sequence[str]) -> Picture:
    """An episode: one image per query class above its description, and the names of the support classes."""
    count = len(query.classes)
    figure, axes = canvas(2, count, (1.75 * count, 3.4), height_ratios=[1.5, 1.2])
    for image, text, (top, below) in zip(query.images, query.classes.values(), axes.T, strict=True):
        show(top, image)
        below.set_axis_off()
        words = plain(" ".join(text), 1.55, 7.0, 6)
        literal([below.text(0, 1, words, va="top", size=7, transform=below.transAxes)])
    names = f"support classes, text and images known: {', '.join(support)}"
    figure.suptitle("query classes: images to classify, by their descriptions alone", size=9, color=BLUE)
    literal([figure.supxlabel(plain(names, 1.75 * count - 0.4, 8.0, 3), size=8, color=RED)])
    return Picture(figure)


def diagram() -> Figure:
    """N3 in one picture, from descriptions to the synthesized network; a copy is in `book/images`."""
    figure = Figure(figsize=(9.2, 4.7), facecolor=PAPER)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, 92), ylim=(0, 47))
    axis.set_axis_off()
    style = {"arrowstyle": "-|>", "mutation_scale": 11, "lw": 1.1, "color": INK, "shrinkA": 0, "shrinkB": 0}

    def box(x: int, y: int, w: int, h: int, text: str, color: str) -> None:
        frame = FancyBboxPatch((x, y), w, h, "round,pad=0,rounding_size=1", ec=color, fc=color + "22", lw=1.4)
        axis.add_patch(frame)
        axis.text(x + w / 2, y + h / 2, text, ha="center", va="center", size=8.5, linespacing=1.4)

    def arrow(x: Number, y: int, to_x: Number, to_y: int, text: str = "", shift: float = 0.0) -> None:
        axis.annotate("", (to_x, to_y), (x, y), arrowprops=style)
        axis.text((x + to_x) / 2 + shift, (y + to_y) / 2 + 1 - abs(shift) / 2, text, ha="center", size=8)

    box(2, 32, 18, 10, "descriptions\nof K classes\n“... a rufous cap ...”", BLUE)
    box(28, 32, 15, 10, "Tokens2Label\n(Eq. 2)\neach class by itself", BLUE)
    box(51, 32, 15, 10, "Labels2Adaptation\nencoder (Eq. 3)\nclasses together", BLUE)
    box(73, 32, 17, 10, "exemplars of the\nseen classes\n(remembered)", ORANGE)
    arrow(20, 37, 28, 37, "(K, L, e)")
    arrow(43, 37, 51, 37, "c (K, d)")
    box(2, 4, 9, 8, "image", GRAY)
    layers = {15: "layer 1", 30: "layer 2", 52: "last layer"}
    for x, name in layers.items():
        box(x, 18, 13, 6, "decoder (Eq. 4)", BLUE)
        box(x, 4, 13, 8, f"{name}\nΘ' = γΘ + μΔΘ", RED)
        arrow(58.5, 32, x + 6.5, 24)
        arrow(x + 6.5, 18, x + 6.5, 12, "ΔΘ (M, N)", 5.0)
    box(73, 18, 17, 6, "classifier generator", ORANGE)
    arrow(81.5, 32, 81.5, 24)
    box(71, 4, 13, 8, "classifier\nK rows", RED)
    arrow(77.5, 18, 77.5, 12, "(K, f)", 4.0)
    axis.plot([11, 11, 69.5, 69.5], [42, 44.5, 44.5, 21], color=INK, linewidth=1.1)
    arrow(69.5, 21, 73, 21)
    axis.text(40, 44.8, "the same texts", ha="center", va="bottom", size=8)
    for start, end in ((11.0, 15.0), (28, 30), (43, 45.5), (49.5, 52), (65, 71), (84, 88)):
        arrow(start, 8, end, 8)
    axis.text(59.3, 28.5, "h (K, d)", size=8)
    axis.text(47.5, 8, "...", ha="center", va="center", size=12)
    axis.text(88.3, 8, "class", va="center", size=8.5)
    axis.text(2, 1, "red: the network that is written, an ordinary CNN", size=8, color=RED)
    return figure

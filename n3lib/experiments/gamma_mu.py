"""Chapter 7: gamma and the initial mu (section 5.4, Table 3)."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from n3lib.backbone import Backbone
from n3lib.experiments import charts
from n3lib.experiments.experiment import Experiment, Results, accuracy_cell
from n3lib.experiments.results import Table

# The paper's pairs of gamma and initial mu (Table 3), and the 1 and 0.001 of its main experiments.
PAIRS = ((1.0, 0.001), (0.999, 0.001), (0.99, 0.01), (0.9, 0.1), (0.5, 0.5), (0.1, 0.9), (0.01, 0.99))
# Accuracy on CUB's standard split (Table 2 for the first pair, Table 3 for the others), in percent.
_PAPER = dict(zip(PAIRS, (17.6, 16.2, 18.5, 16.2, 6.2, 2.1, 2.3), strict=True))
FORMS = ("absolute", "relative")

GAMMA_MU = Experiment(
    "mu",
    "How far may the text move the pretrained parameters? (section 5.4, Table 3)",
    "aviary",
    {
        f"{form}-{gamma:g}-{mu:g}": [
            f"--model.mu={form}", f"--model.gamma={gamma:g}", f"--model.initial_mu={mu:g}"
        ]
        for gamma, mu in PAIRS
        for form in FORMS
    },
    common=["--train.steps=200", "--train.every=50"],
    folder="gamma_mu",
)  # fmt: skip


def pair_table(folder: Path) -> Table:
    """Table 3 beside ours: a row for each gamma and initial mu, accuracy of both forms of mu.

    Args:
        folder: of the results.
    """
    results = GAMMA_MU.measured(folder)
    rows = []
    for pair in PAIRS:
        row = [f"{pair[0]:g}", f"{pair[1]:g}", f"{_PAPER[pair]:.1f}"]
        row += [accuracy_cell(_of_pair(results, form, pair)) for form in FORMS]
        rows.append(row)
    head = ["gamma", "initial mu", "paper, CUB SS (%)", "ours, absolute mu (%)", "ours, relative mu (%)"]
    return Table(head, rows, GAMMA_MU.note(results))


def start_table(backbone: Backbone) -> Table:
    """How large a written change is before training, for every pair of gamma and initial mu.

    A column counts in spreads of the layer it changes, the standard deviation of its pretrained parameters.
    An absolute change is layer-normalized, so its spread is mu itself in every layer; a relative one has the
    spread mu times the layer's if its decoder writes numbers of unit variance (it starts at 0 and grows).

    Args:
        backbone: whose layers are changed.
    """
    spreads = [backbone.columns(name).std().item() for name in backbone.layers]
    rows = []
    for gamma, mu in PAIRS:
        kept = [gamma * spread for spread in (max(spreads), min(spreads))]
        rows.append([f"{gamma:g}", f"{mu:g}", *map(_ratio, (mu / k for k in kept)), _ratio(mu / gamma)])
    widest = f"absolute mu, widest layer (spread {max(spreads):.3f})"
    narrowest = f"absolute mu, narrowest layer ({min(spreads):.3f})"
    return Table(["gamma", "initial mu", widest, narrowest, "relative mu, any layer"], rows)


def loss_curves(folder: Path) -> Figure | Table:
    """The training loss of every pair, absolute mu beside relative, with the loss of guessing."""
    results = GAMMA_MU.measured(folder)
    if not results:
        return Table([], [], GAMMA_MU.note(results))
    ways = results[0]["config"]["episodes"]["ways"]
    level = (math.log(ways), f"guessing, ln {ways}")
    return _pair_curves(results, "step", "loss", "training loss (nats)", level, log_y=True)


def change_curves(folder: Path) -> Figure | Table:
    """How far the mean layer is moved while training, for every pair and both forms of mu."""
    results = GAMMA_MU.measured(folder)
    if not results:
        return Table([], [], GAMMA_MU.note(results))
    return _pair_curves(results, "checkpoint", "change", "mean change of a layer (% of its norm)", log_y=True)


def _pair_curves(
    results: Results,
    x: str,
    y: str,
    ylabel: str,
    level: tuple[float, str] | None = None,
    log_y: bool = False,
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
    return charts.lines(panels, "step", ylabel, ordered=True, level=level, log_y=log_y)


def _of_pair(results: Results, form: str, pair: tuple[float, float]) -> list[Mapping[str, Any]]:
    return [r for r in results if r["variant"] == f"{form}-{pair[0]:g}-{pair[1]:g}"]


def _ratio(value: float) -> str:
    """Two digits, or all before the point."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"

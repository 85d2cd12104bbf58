"""Chapter 7: gamma and the initial mu (section 5.4, Table 3)."""

import math
from pathlib import Path

from matplotlib.figure import Figure

from n3lib.experiments import charts, tables
from n3lib.experiments.experiment import Experiment
from n3lib.experiments.results import Table, accuracy_cell

Pair = tuple[float, float]

# Gamma and initial mu, and the paper's accuracy on CUB's standard split in percent: first those of its
# main experiments (Table 2), then those of Table 3.
PAPER: dict[Pair, float] = {(gamma, mu): told for gamma, mu, told in tables.PAPER_NUMBERS["gamma_mu"]}
FORMS = ("absolute", "relative")  # of mu


def _variant(form: str, pair: Pair) -> str:
    return f"{form}-{pair[0]:g}-{pair[1]:g}"


GAMMA_MU = Experiment(
    "mu",
    "How far may the text move the pretrained parameters? (section 5.4, Table 3)",
    "aviary",
    {
        _variant(form, (gamma, mu)): [
            f"--model.mu={form}", f"--model.gamma={gamma:g}", f"--model.initial_mu={mu:g}"
        ]
        for gamma, mu in PAPER
        for form in FORMS
    },
    common=["--train.steps=200", "--train.every=50"],
    folder="gamma_mu",
)  # fmt: skip


def pair_table(folder: Path) -> Table:
    """Table 3 beside our results: accuracy for each gamma and initial mu, with both forms of mu."""
    results = GAMMA_MU.measured(folder)
    found = GAMMA_MU.by_variant(results)
    rows = [
        [*_cells(pair), f"{paper:.1f}", *(accuracy_cell(found[_variant(form, pair)]) for form in FORMS)]
        for pair, paper in PAPER.items()
    ]
    head = ["gamma", "initial mu", "paper, CUB SS (%)", "ours, absolute mu (%)", "ours, relative mu (%)"]
    return Table(head, rows, GAMMA_MU.note(results))


def curves(folder: Path, what: str) -> Figure | Table:
    """A quantity during training: a line per pair of gamma and initial mu, a panel per form of mu.

    `what` is `loss`, with that of guessing; or `change`, the mean distance of a layer from its pretrained
    parameters.
    """
    results = GAMMA_MU.measured(folder)
    if not results:
        return Table([], [], GAMMA_MU.note(results))
    found, ways = GAMMA_MU.by_variant(results), results[0]["config"]["episodes"]["ways"]
    x, ylabel, level = {
        "loss": ("step", "training loss (nats)", (math.log(ways), f"guessing, ln {ways}")),
        "change": ("checkpoint", "mean change of a layer (% of its norm)", None),
    }[what]
    panels = {
        f"{form} mu": {
            ", ".join(_cells(pair)): charts.over_seeds(
                [dict(zip(r["curve"][x], r["curve"][what], strict=True)) for r in some]
            )
            for pair in sorted(PAPER, key=lambda pair: pair[1])
            if (some := found[_variant(form, pair)])
        }
        for form in FORMS
    }
    return charts.lines(panels, "step", ylabel, ordered=True, level=level, log_y=True)


def _cells(pair: Pair) -> list[str]:
    return [f"{number:g}" for number in pair]

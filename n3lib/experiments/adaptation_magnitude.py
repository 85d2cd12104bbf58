"""Chapter 9: how far the layers move (appendix C, Fig. 6)."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from n3lib.experiments import charts
from n3lib.experiments.experiment import Results
from n3lib.experiments.results import Table

_PANELS = {
    "norm": "L2 norm\nof the change",
    "relative": "change (% of\nthe layer's norm)",
    "varies": "task-dependent\nfraction (%)",
}


def by_layer(results: Mapping[str, Results]) -> Figure | Table:
    """Fig. 6: how far each layer moves, absolutely and relatively, and the task-dependent fraction of that.

    Args:
        results: name of a model to its results, one per seed, whose `adaptation` is what
            `n3lib.metrics.magnitude` returns. Those without it are left out, and so is a model from the panel
            of a quantity that was not measured.
    """
    moved = {name: [found for r in some if (found := r.get("adaptation"))] for name, some in results.items()}
    panels = {
        label: {
            name: [{layer: one[kind] for layer, one in found.items()} for found in some]
            for name, some in moved.items()
            if some and all(kind in one for found in some for one in found.values())
        }
        for kind, label in _PANELS.items()
    }
    panels = {label: shown for label, shown in panels.items() if shown}
    return charts.layers(panels) if panels else Table([], [], "There are no results yet.")

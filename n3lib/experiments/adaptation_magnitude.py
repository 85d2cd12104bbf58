"""Chapter 9: how far the layers move (appendix C, Fig. 6)."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from n3lib.experiments import charts
from n3lib.experiments.results import Results, Table

_PANELS = {
    "norm": "L2 norm\nof the change",
    "relative": "change (% of\nthe layer's norm)",
    "varies": "task-dependent\nfraction (%)",
}


def by_layer(results: Mapping[str, Results]) -> Figure | Table:
    """Fig. 6: how far each layer moves, absolutely and relatively, and the task-dependent fraction of that.

    `results` holds, by the name of a model, its results, one per seed; their `adaptation` is what
    `n3lib.metrics.magnitude` returns. A model is only in the panels of what was measured of it.
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

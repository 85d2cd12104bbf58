"""Chapter 9: how far the layers move (appendix C, Fig. 6)."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from n3lib.experiments import charts
from n3lib.experiments.conditioning import CONDITIONING, of_form
from n3lib.experiments.experiment import ADAPTATIONS, Results
from n3lib.experiments.results import Table, load_results
from n3lib.trainer import read_metrics


def magnitudes(results: Mapping[str, Results]) -> Figure | Table:
    """Fig. 6: how far each layer is moved, absolutely and relatively, and how much of that hangs on the text.

    Args:
        results: name of a model to its results, one a seed.
    """
    if not results:
        return Table([], [], "There are no results yet.")
    kinds = {
        "norm": "L2 norm\nof the change",
        "relative": "change (% of\nthe layer's norm)",
        "varies": "of it, varies with\nthe task (%)",
    }
    panels = {
        label: {
            name: [{layer: told[kind] for layer, told in r["adaptation"].items()} for r in some]
            for name, some in results.items()
            if all(kind in told for r in some for told in r["adaptation"].values())
        }
        for kind, label in kinds.items()
    }
    return charts.layers({label: shown for label, shown in panels.items() if shown})


def adapted(folder: Path, species: int) -> dict[str, Results]:
    """The results of the conditioning study whose layers moved, by form, for `magnitudes`."""
    results = CONDITIONING.measured(folder)
    forms = {title: list(of_form(results, form, species).values()) for form, title in ADAPTATIONS.items()}
    return {title: some for title, some in forms.items() if some and some[0]["adaptation"]}


def adapted_cub(folder: Path, split: str) -> dict[str, Results]:
    """The benchmark's results of N3 and its controls on CUB that tell how far the layers moved."""
    forms = {"n3": "all", "n3-constant": "constant", "finetune": "finetune"}
    found = load_results(folder / "benchmark/resnet18", study="benchmark", dataset="cub", split=split)
    told = [result for result in found if result.get("adaptation")]
    named = {ADAPTATIONS[form]: [r for r in told if r["method"] == m] for m, form in forms.items()}
    return {title: some for title, some in named.items() if some}


def magnitude_over_training(run_folder: Path) -> Figure:
    """How far each layer of a run is moved at every checkpoint; the darker, the nearer to the image."""
    lines = [line for line in read_metrics(run_folder) if "adaptation" in line]
    names = lines[0]["adaptation"]
    shown = {name: [{line["step"]: line["adaptation"][name]["relative"] for line in lines}] for name in names}
    return charts.lines({"": shown}, "step", "change (% of the layer's norm)", ordered=True)

"""Chapter 4: the scales of N3 and of its controls, chosen per split on the validation classes of that split.

Each form has one scale that matters most, and five values of it to try: as many for the controls as for N3.
`n3 study selection` measures them. `python -m n3lib.experiments.selection` writes what follows to
`configs/benchmark.selected.json`, which `n3 table` reads.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from n3lib.experiments.benchmark import N3_FORMS
from n3lib.experiments.experiment import Experiment
from n3lib.experiments.results import Table
from n3lib.io import write_json

SPLITS = {"PS": "PS", "SS": "SS", "SCE": "SCE", "160-40": "160/40"}  # by their folders
# Form of N3 to the setting that is searched, and its values.
SCALES: dict[str, tuple[str, tuple[float, ...]]] = {
    "n3": ("--model.initial_mu", (0.1, 0.2, 0.5, 1, 3)),
    "n3-constant": ("--model.shared_mu", (1, 2, 4, 8, 16)),
    "finetune": ("--model.shared_mu", (0.03, 0.05, 0.1, 0.2, 0.4)),
    "n3-classifier": ("--train.fast_lr", (0.001, 0.003, 0.01, 0.03, 0.1)),
}
SELECTION = Experiment(
    "selection",
    "Which scale of N3 and of each control is best on the validation classes of a split?",
    "benchmark",
    {
        f"{folder}/{form}-{value:g}": [f"--data.split={split}", *N3_FORMS[form], f"{setting}={value:g}"]
        for folder, split in SPLITS.items()
        for form, (setting, values) in SCALES.items()
        for value in values
    },
    # Not in smaller images: at 112 pixels, other scales of fine-tuning were better than at 144.
    common=["--fit=train"],
    part="val",
    swaps=(10, 4),
    seeds=(0,),
    folder="benchmark/selection",
)


def validation(results: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], dict[float, float]]:
    """Folder and form to the accuracy on validation classes by value, in percent, mean over seeds."""
    sums = dict[tuple[str, str], dict[float, list[float]]]()
    for result in results:
        folder, _, trial = result["variant"].partition("/")
        form, _, value = trial.rpartition("-")
        by_value = sums.setdefault((folder, form), {})
        by_value.setdefault(float(value), []).append(result["metrics"].get("per_class_accuracy", 0.0))
    return {key: {value: fmean(some) for value, some in found.items()} for key, found in sums.items()}


def best(by_value: Mapping[float, float]) -> float:
    """The value with the highest accuracy."""
    return max(by_value, key=lambda value: by_value[value])


def chosen(folder: Path) -> dict[str, dict[str, list[str]]]:
    """Split and form of N3 to the settings that are best on validation classes."""
    found: dict[str, dict[str, list[str]]] = {}
    for (place, form), by_value in validation(SELECTION.measured(folder)).items():
        found.setdefault(SPLITS[place], {})[form] = [f"{SCALES[form][0]}={best(by_value):g}"]
    return found


def selection_table(folder: Path) -> Table:
    """A row per split and form of N3: the accuracy on validation classes by value, and the best value."""
    results, rows = SELECTION.measured(folder), []
    for (place, form), by_value in validation(results).items():
        tried = ", ".join(f"{value:g}: {accuracy:.1f}" for value, accuracy in sorted(by_value.items()))
        rows.append([SPLITS[place], form, SCALES[form][0].removeprefix("--"), tried, f"{best(by_value):g}"])
    head = ["split", "form", "setting", "accuracy by value (%)", "best"]
    return Table(head, rows, SELECTION.note(results))


if __name__ == "__main__":
    write_json(Path("configs/benchmark.selected.json"), {"cub": chosen(Path("results"))})

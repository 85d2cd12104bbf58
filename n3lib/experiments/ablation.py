"""Chapter 4: what each of the benchmark's settings is worth on photographs of birds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from n3lib.experiments.benchmark import N3_FORMS
from n3lib.experiments.experiment import ADAPTATIONS, FROZEN, Experiment
from n3lib.experiments.layer_swaps import CHECK, conditioning_check
from n3lib.experiments.results import Table, accuracy_cell, lead
from n3lib.io import read_json

# Variant to what it changes, in words and in settings.
_CHANGES: dict[str, Sequence[Any]] = {
    "all": (f"nothing: {ADAPTATIONS['all']}", []),
    "constant": (ADAPTATIONS["constant"], N3_FORMS["n3-constant"]),
    "finetune": (ADAPTATIONS["finetune"], N3_FORMS["finetune"]),
    "written": (ADAPTATIONS["written"], ["--model.shared_mu=0"]),
    "classifier": ("classifier and word weights alone", N3_FORMS["n3-classifier"]),
    "frozen": ("no training", FROZEN),
}
# Then fewer layers, the text, the images, the tasks and the number of steps.
_CHANGES |= read_json(Path(__file__).with_name("ablation.json"))

ABLATION = Experiment(
    "ablation",
    "What of the benchmark's settings helps on photographs?",
    "benchmark",
    {name: settings for name, (_, settings) in _CHANGES.items()},
    common=["--fit=train"],
    part="val",
    selected={name: "n3" for name in _CHANGES}
    | {"constant": "n3-constant", "finetune": "finetune", "classifier": "n3-classifier"},
    folder="benchmark/ablation",
)


def ablation_table(folder: Path) -> Table:
    """A row per variant: accuracy on validation classes, its lead over the first, the manipulation check."""
    results = ABLATION.measured(folder)
    found = ABLATION.by_variant(results)
    rows = [
        [
            _CHANGES[v][0],
            accuracy_cell(own),
            "" if v == "all" else lead(own, found["all"]),
            conditioning_check(own),
        ]
        for v, own in found.items()
    ]
    head = ["what is changed", "accuracy (%)", "lead over the first (points)", CHECK]
    return Table(head, rows, ABLATION.note(results))

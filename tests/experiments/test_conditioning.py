"""Chapter 12: leads seed by seed, layers of another task, and what is left of a description."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from n3lib.experiments.conditioning import (
    conditioning_table,
    lead_curves,
    swap_table,
)

Save = Callable[..., Path]
BOTH = "N3, shared offset and text-conditioned"


def test_leads_are_taken_seed_by_seed(save: Save, shown: Callable[..., Any]) -> None:
    def measured(random: float, alike: float) -> list[dict[str, Any]]:
        return [
            {"tasks": kind, "ways": ways, "metrics": {"per_class_accuracy": accuracy / ways}}
            for kind, accuracy in {"random": random, "look-alikes": alike}.items()
            for ways in (4, 2)  # as stored: all classes first
        ]

    for variant, seed, accuracy, random, alike in (
        ("constant-500", 0, 30.0, 80, 40),
        ("constant-500", 1, 34.0, 80, 40),
        ("all-500", 0, 32.0, 84, 40),
        ("all-500", 1, 35.0, 88, 48),
        ("frozen-500", 0, 20.0, 20, 20),
    ):
        folder = save("conditioning", variant, seed, accuracy, measured=measured(random, alike))
    rows = {row[0]: list(row[1:]) for row in conditioning_table(folder).rows}
    assert rows[BOTH] == ["33.5 ± 2.1", "1.5 ± 0.7", "", ""]
    assert rows["constant adaptation"] == ["32.0 ± 2.8", "", "", ""]
    assert rows["none: exemplar ridge"] == ["20.0", "-10.0", "", ""]
    lines = shown(lead_curves(folder))
    assert lines["500 species\nrandom"][0] == [[2, 3.0], [4, 1.5]]
    assert lines["500 species\nlook-alikes"][0] == [[2, 2.0], [4, 1.0]]


def test_swapped_layers_are_counted_from_the_tasks_own(save: Save) -> None:
    def swaps(other: float) -> dict[str, Any]:
        scores = {
            "this task": [80.0, 90.0],
            "another task": [other, 90.0],
            "the mean of other tasks": [80.0, 90.04],
        }
        return {"random": scores, "look-alikes": scores}

    save("conditioning", "all-500", 0, 40.0, swaps=swaps(78.0))
    save("conditioning", "all-500", 1, 40.0, swaps=swaps(74.0))
    save("conditioning", "all-500", 2, 40.0)  # measured before there were swaps
    table = swap_table(save("ablation", "all", 0, 30.0, swaps=swaps(84.0)))
    # Means over two tasks: (78 + 90) / 2 - 85 = -1 and (74 + 90) / 2 - 85 = -3.
    assert table.rows == [
        [BOTH, "500 of the aviary", "-2.0 ± 1.4", "-2.0 ± 1.4", "0.0 ± 0.0", "0.0 ± 0.0"],
        [BOTH, "100 of CUB", "2.0", "2.0", "0.0", "0.0"],
    ]
    assert table.note.startswith("Tasks of 10 classes, chance 10.0 %; seeds 0, 1.")


@pytest.mark.parametrize(
    ("name", "show"),
    [
        ("conditioning", conditioning_table),
        ("conditioning", lead_curves),
        ("conditioning", swap_table),
    ],
)
def test_without_results_there_is_a_command(tmp_path: Path, name: str, show: Callable[..., Any]) -> None:
    assert f"`n3 study {name}`" in show(tmp_path).note

"""Chapter 12: leads seed by seed, layers of another task, and what is left of a description."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from n3lib.data import load_data
from n3lib.experiments.conditioning import (
    conditioning_table,
    cuts,
    lead_curves,
    share_of_mean,
    swap_table,
)
from n3lib.run import Run

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


def test_the_share_of_the_columns_mean() -> None:
    assert share_of_mean(torch.full((1, 5, 3), 0.3)) == pytest.approx(100)
    assert share_of_mean(torch.zeros(1, 5, 3)) == 0
    # Columns 3 and 1, then 1 and 1: on average 2 and 1, and around it 1 and 0, then -1 and 0. The mean of the
    # former has 2 * 1.5^2 = 4.5 of 5; that of the latter 2 * 0.5^2 = 0.5 of 1, twice.
    deltas = torch.tensor([[[3.0], [1.0]], [[1.0], [1.0]]])
    same = deltas.mean(0, keepdim=True)
    assert share_of_mean(same) == pytest.approx(90)
    assert share_of_mean(deltas - same) == pytest.approx(50)


def test_what_is_cut_is_gone(tiny_run: Run) -> None:
    data = load_data(tiny_run.config.data)
    left = cuts(data)
    place = next(i for i, text in enumerate(data.texts) if any("blue" in line for line in text))
    assert "blue" not in " ".join(left["no words of color"][place])
    assert "blue" in " ".join(left["no words of shape and pattern"][place])
    assert set(left["the sentences on its looks"][place]) < set(data.texts[place])
    assert list(left["everything"]) == list(data.texts)
    assert left["the name"][place] == [data.classes[place]]
    assert all(text for texts in left.values() for text in texts)

"""Chapter 12: leads seed by seed, layers of another task, and what is left of a description."""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from n3lib.data import load_data
from n3lib.experiments.conditioning import (
    conditioning_table,
    cuts,
    dialect_table,
    lead_curves,
    share_of_mean,
    swap_table,
    whose_layers,
)
from n3lib.run import Run

Save = Callable[..., Path]
BOTH, ALONE = "N3, shared offset and text-conditioned", "N3, text-conditioned alone"


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
    assert lines["500 species\nrandom classes"][0] == [[2, 3.0], [4, 1.5]]
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


def test_dialects_have_accuracy_swaps_and_the_task_dependent_fraction(save: Save) -> None:
    scores = {"this task": [40.0, 30.0], "another task": [10.0, 6.0], "the mean of other tasks": [0.0, 0.0]}
    more = {"swaps": {"random": scores}, "adaptation": {"a": {"varies": 30.0}, "b": {"varies": 10.0}}}
    save("dialects", "all", 0, 34.0, **more)
    save("dialects", "all", 1, 36.0, **more)
    table = dialect_table(save("dialects", "constant", 0, 11.0))
    rows = {row[0]: list(row[1:]) for row in table.rows}
    # (10 + 6) / 2 - (40 + 30) / 2 = -27; (30 + 10) / 2 = 20.
    assert rows[BOTH] == ["35.0 ± 1.4", "-27.0 ± 0.0", "20.0 ± 0.0"]
    assert rows["constant adaptation"] == ["11.0", "", ""]
    assert rows[ALONE] == ["", "", ""]


@pytest.mark.parametrize(
    ("name", "show"),
    [
        ("conditioning", conditioning_table),
        ("conditioning", lead_curves),
        ("conditioning", swap_table),
        ("dialects", dialect_table),
    ],
)
def test_without_results_there_is_a_command(tmp_path: Path, name: str, show: Callable[..., Any]) -> None:
    assert f"`n3 study {name}`" in show(tmp_path).note


@pytest.fixture
def even(tiny_run: Run) -> Run:
    """The tiny run with the same change in every column, whatever the task."""
    run = copy.deepcopy(tiny_run)
    with torch.no_grad():
        for decoder in run.model.labels2adaptation.decoders:
            decoder.out.weight.zero_()
            decoder.out.bias.fill_(0.3)
    return run


def test_layers_of_a_constant_adaptation_are_the_same_for_every_task(even: Run) -> None:
    table = whose_layers(even, 3, tasks=3)
    assert [row[0] for row in table.rows] == ["this task", "another task", "the mean of other tasks"]
    for row in table.rows[1:]:
        assert [cell.lstrip("+-") for cell in row[1:]] == ["0.0 ± 0.0"] * 2


def test_tasks_of_one_group_have_no_look_alikes(tiny_run: Run) -> None:
    data = load_data(tiny_run.config.data)
    groups = tuple(c % 2 for c in range(len(data.classes)))
    table = whose_layers(tiny_run, 3, tasks=2, dataset=dataclasses.replace(data, groups=groups))
    assert [len(row) for row in table.rows] == [len(table.head)] * 3 == [2] * 3


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

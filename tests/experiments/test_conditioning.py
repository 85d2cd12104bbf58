"""Chapter 12: leads seed by seed, layers of another task, and what is left of a description."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from n3lib.experiments.conditioning import (
    EQUIVALENCE,
    MARGIN,
    Components,
    conditioning_table,
    dialect_table,
    equivalence_table,
    lead_curves,
    power,
    swap_table,
    variance_components,
    verdict,
)
from n3lib.experiments.results import Interval

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
    assert rows[BOTH] == ["33.5", "+1.5", "", ""]
    assert rows["constant adaptation"] == ["32.0", "", "", ""]
    assert rows["none: exemplar ridge"] == ["20.0", "-10.0", "", ""]
    lines = shown(lead_curves(folder))
    assert lines["500 species\nrandom"][0] == [[2, 3.0], [4, 1.5]]
    assert lines["500 species\nlook-alikes"][0] == [[2, 2.0], [4, 1.0]]


def test_the_lines_of_leads_have_the_interval_as_their_band(save: Save) -> None:
    for variant, accuracy in (("constant-500", [20.0, 30.0]), ("all-500", [21.0, 35.0])):
        per_class = [{"classes": [3, 4], "accuracy": accuracy}]
        told = {"tasks": "random", "ways": 2, "metrics": {"per_class_accuracy": sum(accuracy) / 2}}
        folder = save("conditioning", variant, 0, 25.0, measured=[{**told, "per_class": per_class}])
    axis = lead_curves(folder).axes[0]
    assert axis.lines[0].get_xydata().tolist() == [[2, 3.0]]
    (band,) = axis.collections
    assert {y for _, y in band.get_paths()[0].vertices.tolist()} == {1.0, 5.0}


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
        [BOTH, "500 of the aviary", "-2.0", "-2.0", "+0.0", "+0.0"],
        [BOTH, "100 of CUB", "+2.0", "+2.0", "+0.0", "+0.0"],
    ]
    assert table.note.startswith("Tasks of 10 classes, chance 10.0 %; seeds 0, 1.")


@pytest.mark.parametrize(
    ("name", "show"),
    [
        ("conditioning", conditioning_table),
        ("conditioning", lead_curves),
        ("conditioning", swap_table),
        ("dialects", dialect_table),
        ("equivalence", equivalence_table),
    ],
)
def test_without_results_there_is_a_command(tmp_path: Path, name: str, show: Callable[..., Any]) -> None:
    assert f"`n3 study {name}`" in show(tmp_path).note


# Equivalence


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ((0.1, 2.0), (0.2, 1.8), "ahead"),
        ((-2.0, -0.1), (-1.8, -0.2), "behind"),
        ((-0.6, 0.5), (-0.49, 0.4), "equivalent within 0.5"),
        ((-0.6, 0.5), (-0.51, 0.4), "not decided"),
        ((-0.4, 0.7), (-0.3, 0.5), "not decided"),
        ((0.0, 0.7), (0.1, 0.6), "not decided"),
        ((float("nan"),) * 2, (float("nan"),) * 2, "not decided"),
    ],
)
def test_what_two_intervals_decide(wide: Any, narrow: Any, expected: str) -> None:
    assert verdict(Interval(0.0, *wide), Interval(0.0, *narrow)) == expected
    assert MARGIN == 0.5


def results(lead: np.ndarray, seeds: int, tasks: int) -> tuple[list[Any], list[Any]]:
    """Results whose lead by seed, task and class is given; every task has all classes."""
    own, other = (
        [
            {
                "seed": s,
                "metrics": {"per_class_accuracy": 30.0},
                "per_class": [
                    {"classes": [*range(lead.shape[2])], "accuracy": (30 + on * lead[s, t]).tolist()}
                    for t in range(tasks)
                ],
            }
            for s in range(seeds)
        ]
        for on in (1, 0)
    )
    return own, other


def test_variance_components_by_hand() -> None:
    """Two seeds and two classes, one task: seed means 1 and 3, class means 0 and 4, and a rest of +-1."""
    lead = np.array([[[-2.0, 4.0]], [[2.0, 4.0]]])
    # Rest: -2 - 1 - 0 + 2 = -1; its mean square is 4 / 1. Seeds 2 - 4 / 2 = 0, classes 8 - 4 / 2 = 6.
    assert variance_components(*results(lead, 2, 1)) == (0, 6, 4, 0)
    own, other = results(lead, 2, 1)
    assert variance_components(own[:1], other) is None
    assert variance_components([{**own[0], "per_class": None}, own[1]], other) is None


def test_variance_components_are_found_again() -> None:
    rng, found = np.random.default_rng(0), []
    for _ in range(60):
        lead = rng.normal(0, 1, (5, 1, 1)) + rng.normal(0, 3, 40) + rng.normal(0, 2, (5, 1, 40))
        own, other = results(lead + rng.normal(0, 4, (5, 6, 40)), 5, 6)
        for one in (*own, *other):  # no two tasks of the same classes, which would count as one
            for k, task in enumerate(one["per_class"]):
                for values in task.values():
                    del values[k]
        found.append(variance_components(own, other))
    assert np.mean(found, axis=0) == pytest.approx([1, 9, 4, 16], rel=0.15)


def test_power_grows_with_what_is_measured() -> None:
    parts = Components(seeds=0.1, classes=1.0, both=2.0, tasks=100.0)
    # A standard error of sqrt(0.1 / 5 + 1 / 50 + 2 / 250 + 100 / 5 / 400) = 0.313: Phi(1.597 - 1.645) < 1/2.
    assert power(parts, 5, 50, 400) == 0
    # sqrt(0.005 + 0.02 + 0.002 + 0.0125) = 0.19875: 2 Phi(0.8708) - 1.
    assert power(parts, 20, 50, 400) == pytest.approx(2 * 0.80807 - 1, abs=1e-4)
    assert power(parts, 20, 50, 4000) > power(parts, 20, 50, 400)
    assert power(Components(0.0, 0.0, 0.0, 0.0), 1, 1, 1) == 1


def test_the_study_decides_for_every_kind_of_tasks(save: Save) -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(30, 5, 6)
    leads = {"all": 2.0, "constant": 0.0, "finetune": 0.0, "classifier": -2.0}
    for (form, points), seed in product(leads.items(), range(5)):
        measured = []
        for kind, tasks in (
            ("random", [range(6)]),
            ("random", [range(4), range(2, 6)]),
            ("look-alikes", [range(6)]),
        ):
            per_class = [
                {
                    "classes": [*task],
                    "accuracy": (base[task] + points + rng.normal(0, 0.1, len(task))).tolist(),
                }
                for task in tasks
            ]
            mean = float(np.mean([one["accuracy"] for one in per_class]))
            told = {"tasks": kind, "ways": len(tasks[0]), "metrics": {"per_class_accuracy": mean}}
            measured.append({**told, "per_class": per_class})
        folder = save("equivalence", form, seed, 30 + points, measured=measured)
    table = equivalence_table(folder)
    verdicts = {(row[0], row[1]): row[-1] for row in table.rows}
    assert verdicts == {
        (form, task): told
        for task in ("all 6 classes", "4 classes, random")
        for form, told in (
            ("N3, every layer", "ahead"),
            ("plain fine-tuning (control)", "equivalent within 0.5"),
            ("N3, classifier only", "behind"),
        )
    }
    assert "all 6 classes, 5 seeds, 6 classes and 1 task: 100 %." in table.note
    assert "4 classes, random, 5 seeds, 6 classes and 40 tasks: 100 %." in table.note
    assert (EQUIVALENCE.seeds, EQUIVALENCE.tasks, EQUIVALENCE.ways) == ((0, 1, 2, 3, 4), 40, (0, 10))

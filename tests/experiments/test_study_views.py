"""What the book shows of the studies: the right numbers in the right places, also when some are missing."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from n3lib.backbone import Backbone
from n3lib.experiments import ablation, adaptation_magnitude, gamma_mu
from n3lib.experiments import conditioning as chapter
from n3lib.experiments.registry import EXPERIMENTS
from n3lib.io.files import write_json


def result(study: str, variant: str, seed: int, accuracy: float, **more: Any) -> dict[str, Any]:
    return {
        "study": study,
        "variant": variant,
        "seed": seed,
        "ways": 100,
        "chance": 1.0,
        "metrics": {"per_class_accuracy": accuracy},
        "config": {"episodes": {"ways": 40}},
        **more,
    }


def save(folder: Path, *results: dict[str, Any]) -> Path:
    for one in results:
        write_json(EXPERIMENTS[one["study"]].home(folder) / f"{one['variant']}-seed{one['seed']}.json", one)
    return folder


def shown(figure: Figure) -> dict[str, list[list[float]]]:
    """The lines of each panel, by title."""
    return {axis.get_title(): [line.get_xydata().tolist() for line in axis.lines] for axis in figure.axes}


@pytest.fixture
def mu(tmp_path: Path) -> Path:
    def curve(end: float) -> dict[str, Any]:
        told = {"step": [10, 20], "loss": [3.0, end], "checkpoint": [0, 20], "change": [0.0, end]}
        return {"curve": told}

    return save(
        tmp_path,
        result("mu", "absolute-0.9-0.1", 0, 10.0, **curve(2.0)),
        result("mu", "absolute-0.9-0.1", 1, 14.0, **curve(1.0)),
        result("mu", "relative-0.9-0.1", 0, 40.0, **curve(0.5)),
        result("mu", "absolute-1-0.001", 0, 60.0, **curve(0.2)),
    )


def test_table_3_sets_both_forms_of_mu_beside_the_papers_figure(mu: Path) -> None:
    table = gamma_mu.pair_table(mu)
    rows = {row[0]: list(row[1:]) for row in table.rows}
    assert rows["0.9"] == ["0.1", "16.2", "12.0 ± 2.8", "40.0"]
    assert rows["1"] == ["0.001", "17.6", "60.0", ""]
    assert rows["0.01"] == ["0.99", "2.3", "", ""]
    assert "100 classes, chance 1.0 %; seeds 0, 1" in table.note


def test_a_training_that_diverged_is_told_in_its_cell(mu: Path) -> None:
    gone = {"metrics": {}, "diverged": "the loss is nan at step 3"}
    curve = {"curve": {"step": [1], "loss": [9.0], "checkpoint": [0], "change": [0.0]}}
    for variant in ("absolute-0.9-0.1", "absolute-0.5-0.5"):
        save(mu, result("mu", variant, 2, 0.0, **curve) | gone)
    rows = {row[0]: row[3] for row in gamma_mu.pair_table(mu).rows}
    assert (rows["0.9"], rows["0.5"]) == ("12.0 ± 2.8, 1 diverged", "diverged")
    assert shown(gamma_mu.loss_curves(mu))["absolute mu"]


def test_an_absolute_change_is_many_spreads_of_a_narrow_layer(make_backbone: Callable[..., Backbone]) -> None:
    backbone = make_backbone()
    spreads = [backbone.columns(name).std().item() for name in backbone.layers]
    rows = {
        row[0]: [float(cell.replace(",", "")) for cell in row[1:]]
        for row in gamma_mu.start_table(backbone).rows
    }
    assert rows["0.5"][0] == 0.5 and rows["0.5"][3] == 1
    assert rows["0.5"][1:3] == pytest.approx([1 / max(spreads), 1 / min(spreads)], rel=0.05)


def test_curves_of_pairs_by_the_size_of_mu(mu: Path) -> None:
    lines = shown(gamma_mu.loss_curves(mu))
    assert lines["absolute mu"][0] == [[10, 3.0], [20, 0.2]]  # the smallest mu first
    assert lines["absolute mu"][1] == [[10, 3.0], [20, 1.5]]  # the mean of two seeds
    assert lines["absolute mu"][-1][0][1] == pytest.approx(math.log(40))
    assert shown(gamma_mu.change_curves(mu))["relative mu"] == [[[0, 0.0], [20, 0.5]]]


def test_magnitudes_have_a_panel_a_quantity(tmp_path: Path) -> None:
    def told(norm: float) -> dict[str, Any]:
        return {"adaptation": {"a": {"norm": norm, "relative": 5.0, "varies": 1.0}}}

    results = [result("benchmark", "n3", seed, 1.0, **told(2.0 + seed)) for seed in (0, 1)]
    figure = adaptation_magnitude.magnitudes({"N3": results})
    assert [axis.lines[0].get_ydata().tolist() for axis in figure.axes] == [[2.5], [5.0], [1.0]]
    for one in results:
        del one["adaptation"]["a"]["varies"]  # measured on one task
    assert len(adaptation_magnitude.magnitudes({"N3": results}).axes) == 2
    some = adaptation_magnitude.magnitudes(
        {"control": results, "N3": [result("benchmark", "n3", 0, 1.0, **told(2.0))]}
    )
    assert [len(axis.get_lines()) for axis in some.axes] == [5, 5, 2]  # a mean and the seeds
    assert some.axes[2].lines[0].get_color() == some.axes[0].lines[3].get_color()


def test_other_files_in_the_folder_of_results_are_passed_over(tmp_path: Path) -> None:
    write_json(tmp_path / "cost" / "cpu.json", {"measurements": []})
    assert adaptation_magnitude.adapted_cub(tmp_path, "SS") == {}
    told = {"dataset": "cub", "split": "SS", "method": "finetune", "adaptation": {"a": {"norm": 1.0}}}
    write_json(tmp_path / "benchmark/resnet18/one.json", result("benchmark", "", 0, 1.0) | told)
    assert list(adaptation_magnitude.adapted_cub(tmp_path, "SS")) == ["plain fine-tuning"]


def test_magnitude_over_training_reads_the_runs_checkpoints(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"step": 0, "adaptation": {"a": {"relative": 0.0}, "b": {"relative": 0.0}}},
        {"step": 1, "loss": 1.0},
        {"step": 5, "adaptation": {"a": {"relative": 2.0}, "b": {"relative": 3.0}}},
    ]
    chapter9 = adaptation_magnitude
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert shown(chapter9.magnitude_over_training(tmp_path))[""] == [
        [[0, 0], [5, 2]],
        [[0, 0], [5, 3]],
    ]


@pytest.fixture
def conditioning(tmp_path: Path) -> Path:
    def measured(random: float, alike: float) -> dict[str, Any]:
        kinds = {"random": random, "look-alikes": alike}
        return {
            "measured": [
                {"tasks": kind, "ways": ways, "metrics": {"per_class_accuracy": accuracy / ways}}
                for kind, accuracy in kinds.items()
                for ways in (4, 2)  # as stored: all classes first
            ]
        }

    return save(
        tmp_path,
        result("conditioning", "constant-500", 0, 30.0, **measured(80, 40)),
        result("conditioning", "constant-500", 1, 34.0, **measured(80, 40)),
        result("conditioning", "all-500", 0, 32.0, **measured(84, 40)),
        result("conditioning", "all-500", 1, 35.0, **measured(88, 48)),
        result("conditioning", "frozen-500", 0, 20.0, **measured(20, 20)),
    )


def test_leads_are_taken_seed_by_seed(conditioning: Path) -> None:
    rows = {row[0]: list(row[1:]) for row in chapter.conditioning_table(conditioning).rows}
    assert rows["N3, shared and text-conditioned"] == ["33.5 ± 2.1", "1.5 ± 0.7", "", ""]
    assert rows["constant adaptation"] == ["32.0 ± 2.8", "", "", ""]
    assert rows["none: exemplar ridge"] == ["20.0", "-10.0", "", ""]
    lines = shown(chapter.lead_curves(conditioning))
    assert lines["500 species\nrandom classes"][0] == [[2, 3.0], [4, 1.5]]
    assert lines["500 species\nlook-alikes"][0] == [[2, 2.0], [4, 1.0]]


def test_swapped_layers_are_counted_from_the_tasks_own(tmp_path: Path) -> None:
    def swaps(other: float) -> dict[str, Any]:
        scores = {
            "this task": [80.0, 90.0],
            "another task": [other, 90.0],
            "the mean of other tasks": [80.0, 90.04],
        }
        return {"swaps": {"random": scores, "look-alikes": scores}}

    save(
        tmp_path,
        result("conditioning", "all-500", 0, 40.0, **swaps(78.0)),
        result("conditioning", "all-500", 1, 40.0, **swaps(74.0)),
        result("conditioning", "all-500", 2, 40.0),  # measured before there were swaps
        result("ablation", "all", 0, 30.0, **swaps(84.0)),
    )
    table = chapter.swap_table(tmp_path)
    # Means over two tasks: (78 + 90) / 2 - 85 = -1 and (74 + 90) / 2 - 85 = -3.
    told = ["-2.0 ± 1.4", "-2.0 ± 1.4", "0.0 ± 0.0", "0.0 ± 0.0"]
    assert table.rows == [
        ["N3, shared and text-conditioned", "500 of the aviary", *told],
        ["N3, shared and text-conditioned", "100 of CUB", "2.0", "2.0", "0.0", "0.0"],
    ]
    assert table.note.startswith("Tasks of 10 classes, chance 10.0 %; seeds 0, 1.")


def test_dialects_tell_accuracy_swaps_and_what_varies(tmp_path: Path) -> None:
    scores = {"this task": [40.0, 30.0], "another task": [10.0, 6.0], "the mean of other tasks": [0.0, 0.0]}
    told = {
        "swaps": {"random": scores},
        "adaptation": {"conv1": {"varies": 30.0}, "layer1.conv1": {"varies": 10.0}},
    }
    save(
        tmp_path,
        result("dialects", "all", 0, 34.0, **told),
        result("dialects", "all", 1, 36.0, **told),
        result("dialects", "constant", 0, 11.0),
    )
    rows = {row[0]: list(row[1:]) for row in chapter.dialect_table(tmp_path).rows}
    # (10 + 6) / 2 - (40 + 30) / 2 = -27; (30 + 10) / 2 = 20.
    assert rows["N3, shared and text-conditioned"] == ["35.0 ± 1.4", "-27.0 ± 0.0", "20.0 ± 0.0"]
    assert rows["constant adaptation"] == ["11.0", "", ""]
    assert rows["N3, text-conditioned alone"] == ["", "", ""]


def test_the_ablation_compares_each_variant_with_the_first_seed_by_seed(tmp_path: Path) -> None:
    save(
        tmp_path,
        result("ablation", "all", 0, 30.0),
        result("ablation", "all", 1, 32.0),
        result("ablation", "fixed-words", 1, 31.0),
    )
    rows = {row[0]: list(row[1:]) for row in ablation.ablation_table(tmp_path).rows}
    assert rows["nothing: N3, shared and text-conditioned"] == ["31.0 ± 1.4", ""]
    assert rows["no learned word weights"] == ["31.0", "-1.0"]  # against 32, not against the mean
    assert rows["no training"] == ["", ""]


def test_a_study_without_results_says_what_makes_them(tmp_path: Path) -> None:
    for name, show in (
        ("mu", gamma_mu.pair_table),
        ("conditioning", chapter.conditioning_table),
        ("conditioning", chapter.swap_table),
        ("dialects", chapter.dialect_table),
        ("ablation", ablation.ablation_table),
    ):
        assert f"`n3 study {name}`" in show(tmp_path).note

"""Table 3 and its curves: the right numbers in the right places, also when some are missing."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from n3lib.config import read_config
from n3lib.experiments.gamma_mu import GAMMA_MU, PAPER, curves, pair_table

Save = Callable[..., Path]


@pytest.fixture
def folder(save: Save) -> Path:
    def curve(end: float) -> dict[str, Any]:
        return {"step": [10, 20], "loss": [3.0, end], "checkpoint": [0, 20], "change": [0.0, end]}

    save("mu", "absolute-0.9-0.1", 0, 10.0, curve=curve(2.0))
    save("mu", "absolute-0.9-0.1", 1, 14.0, curve=curve(1.0))
    save("mu", "relative-0.9-0.1", 0, 40.0, curve=curve(0.5))
    return save("mu", "absolute-1-0.001", 0, 60.0, curve=curve(0.2))


def test_the_variants_are_the_papers_pairs() -> None:
    assert list(PAPER)[1:] == [
        (0.999, 0.001), (0.99, 0.01), (0.9, 0.1), (0.5, 0.5), (0.1, 0.9), (0.01, 0.99)
    ]  # fmt: skip
    path = Path(__file__).parents[2] / "configs" / "aviary.yaml"
    config = read_config(path, GAMMA_MU.variants["absolute-0.9-0.1"]).model
    assert (config.mu, config.gamma, config.initial_mu) == ("absolute", 0.9, 0.1)


def test_table_3_has_both_forms_of_mu_beside_the_papers_number(folder: Path) -> None:
    table = pair_table(folder)
    rows = {row[0]: list(row[1:]) for row in table.rows}
    assert rows["0.9"] == ["0.1", "16.2", "12.0", "40.0"]
    assert rows["1"] == ["0.001", "17.6", "60.0", ""]
    assert rows["0.01"] == ["0.99", "2.3", "", ""]
    assert "100 classes, chance 1.0 %; seeds 0, 1" in table.note


def test_a_cell_counts_the_trainings_that_diverged(
    folder: Path, save: Save, shown: Callable[..., Any]
) -> None:
    curve = {"step": [1], "loss": [9.0], "checkpoint": [0], "change": [0.0]}
    for variant in ("absolute-0.9-0.1", "absolute-0.5-0.5"):
        save("mu", variant, 2, 0.0, metrics={}, diverged="the loss is nan at step 3", curve=curve)
    rows = {row[0]: row[3] for row in pair_table(folder).rows}
    assert (rows["0.9"], rows["0.5"]) == ("12.0, 1 diverged", "diverged")
    assert shown(curves(folder, "loss"))["absolute mu"]


def test_curves_are_ordered_by_the_size_of_mu(folder: Path, shown: Callable[..., Any]) -> None:
    lines = shown(curves(folder, "loss"))
    assert lines["absolute mu"][0] == [[10, 3.0], [20, 0.2]]  # the smallest mu first
    assert lines["absolute mu"][1] == [[10, 3.0], [20, 1.5]]  # the mean of two seeds
    assert lines["absolute mu"][-1][0][1] == pytest.approx(math.log(40))
    assert shown(curves(folder, "change"))["relative mu"] == [[[0, 0.0], [20, 0.5]]]


def test_without_results_there_is_a_command(tmp_path: Path) -> None:
    for table in (pair_table(tmp_path), curves(tmp_path, "loss")):
        assert "`n3 study mu`" in table.note

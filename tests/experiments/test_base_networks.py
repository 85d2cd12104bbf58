"""The tables of base networks."""

from collections.abc import Callable
from pathlib import Path

from n3lib.experiments import base_networks
from n3lib.experiments.base_networks import BASE_NETWORKS, NETWORKS
from n3lib.run import Run

Save = Callable[..., Path]


def test_the_study_has_each_network_frozen_and_adapted() -> None:
    names = {f"{name}-{form}" for name in NETWORKS for form in ("all", "frozen")}
    assert set(BASE_NETWORKS.variants) == names


def test_table_5_pairs_seeds_and_names_what_is_missing(tmp_path: Path, save: Save) -> None:
    empty = str(base_networks.table5(tmp_path))
    assert "There are no results yet" in empty and "n3 study backbones" in empty
    assert "| GoogLeNet | 21.3 | 69.8 |   | not run | not run |   |" in empty
    for seed, (frozen, adapted) in enumerate([(40.0, 50.0), (42.0, 54.0)]):
        save("backbones", "resnet18-frozen", seed, frozen, pretraining=91.5)
        save("backbones", "resnet18-all", seed, adapted, pretraining=91.5)
    save("backbones", "resnet18-all", 2, 99.0)  # without its frozen pair: no part of the gain
    table = base_networks.table5(tmp_path)
    row = dict(zip(table.head, table.rows[1], strict=True))
    assert row["frozen (%)"] == "41.0" and row["gain (points)"] == "+11.0"
    assert row["islands, named (%)"] == "91.5"
    assert "`n3 study backbones`" in table.note and "chance 1.0 %; seeds 0, 1, 2" in table.note


def test_cub_table_says_what_runs_the_rest(save_cub: Save) -> None:
    for method, accuracy in (("n3", 36.0), ("exem", 33.0)):
        config = {"backbone": {"name": "resnet18", "stages": 3}}
        folder = save_cub("SS", method, 0, accuracy, config=config)
    rows = {row[0]: row[1:] for row in base_networks.cub_table(folder).rows}
    assert rows["ResNet-18"][:3] == ["17.6", "33.0", "36.0"]
    assert rows["SqueezeNet 1.1"][1:3] == ["not run", "not run"]
    assert "--backbone.name=squeezenet1_1" in rows["SqueezeNet 1.1"][3]


def test_two_networks_side_by_side(tmp_path: Path, save_cub: Save) -> None:
    resnet18, lite0 = "benchmark/resnet18", "benchmark/lite0"
    made = [(resnet18, "n3", 0, 36.0), (resnet18, "n3", 1, 38.0), (lite0, "exem", 0, 33.5)]
    for name, method, seed, accuracy in made:
        save_cub("PS", method, seed, accuracy, folder=name)
    table = base_networks.two_networks(tmp_path, ["PS"])
    assert table.rows[0][1:] == ["not run", "33.5"]
    assert table.rows[-1][1:] == ["37.0", "not run"]
    assert "2.0 % on PS" in table.note
    assert base_networks.two_networks(tmp_path / "empty", ["PS"]).note == ""


def test_weights_tell_the_accuracy_of_their_pretraining(tiny_run: Run) -> None:
    assert base_networks.pretraining(tiny_run) == {"pretraining": None}  # random weights

"""Chapter 4: scales chosen on validation classes, as many trials for a control as for N3."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from n3lib.config import read_config
from n3lib.data import find_source
from n3lib.experiments.experiment import selected_scales
from n3lib.experiments.registry import EXPERIMENTS
from n3lib.experiments.selection import SCALES, SELECTION, SPLITS, chosen, selection_table
from n3lib.io import read_json, write_json

Save = Callable[..., Path]
CONFIGS = Path(__file__).parents[2] / "configs"


def test_every_form_gets_as_many_trials_on_every_split() -> None:
    trials = Counter(variant.rpartition("-")[0] for variant in SELECTION.variants)
    assert len(trials) == len(SPLITS) * len(SCALES)
    assert set(trials.values()) == {5}


def test_trials_differ_in_split_form_and_scale_alone() -> None:
    for variant in ("SCE/n3-0.5", "160-40/n3-0.5"):
        config = SELECTION.settings(variant, CONFIGS)
        plain = read_config(CONFIGS / "benchmark.yaml", SELECTION.common)
        assert (config.model.initial_mu, config.model.adapt) == (0.5, "all")
        assert config.data.split == SPLITS[variant.partition("/")[0]]
        assert (config.fit, config.train, config.episodes) == (plain.fit, plain.train, plain.episodes)
    assert SELECTION.settings("PS/n3-constant-8", CONFIGS).model.shared_mu == 8


def test_the_selected_scales_are_those_of_tables_and_of_other_studies(tmp_path: Path) -> None:
    shutil.copy(CONFIGS / "benchmark.yaml", tmp_path)
    scales = {"n3": ["--model.initial_mu=0.7"], "n3-constant": ["--model.shared_mu=9"]}
    scales["finetune"] = ["--model.shared_mu=0.6"]
    write_json(tmp_path / "benchmark.selected.json", {"cub": {"PS": scales}})
    for name in ("equivalence", "ablation"):
        study = EXPERIMENTS[name]
        assert study.settings("all", tmp_path).model.initial_mu == 0.7
        assert study.settings("all", tmp_path, ["--model.initial_mu=0.2"]).model.initial_mu == 0.2
        assert study.settings("constant", tmp_path).model.shared_mu == 9
        assert study.settings("finetune", tmp_path).model.shared_mu == 0.6
        assert study.settings("classifier", tmp_path).model.initial_mu == 0.1
    assert EXPERIMENTS["text-encoders"].settings("tfidf", tmp_path).model.initial_mu == 0.7
    assert EXPERIMENTS["text-encoders"].settings("SS/tfidf", tmp_path).model.initial_mu == 0.1
    assert EXPERIMENTS["ablation"].settings("written", tmp_path).model.shared_mu == 0


def test_the_best_on_validation_classes_is_chosen_per_split(save: Save) -> None:
    for variant, seed, accuracy in (
        ("PS/n3-0.1", 0, 30.0),
        ("PS/n3-0.1", 1, 31.0),
        ("PS/n3-3", 0, 35.0),
        ("PS/n3-3", 1, 25.0),
        ("PS/n3-classifier-0.03", 0, 28.0),
        ("SS/n3-3", 0, 25.0),
    ):
        folder = save("selection", variant, seed, accuracy)
    assert chosen(folder) == {
        "PS": {"n3": ["--model.initial_mu=0.1"], "n3-classifier": ["--train.fast_lr=0.03"]},
        "SS": {"n3": ["--model.initial_mu=3"]},
    }
    row = ["PS", "n3", "model.initial_mu", "0.1: 30.5, 3: 30.0", "0.1"]
    assert selection_table(folder).rows[0] == row


def test_the_settings_of_the_tables_follow_from_the_results() -> None:
    (adopted,) = read_json(CONFIGS / "benchmark.selected.json").values()
    assert adopted.items() <= chosen(CONFIGS.parent / "results").items()


def test_the_configuration_to_start_from_is_n3_of_the_table() -> None:
    scales = selected_scales(CONFIGS / "benchmark.yaml", "cub", "PS")["n3"]
    assert read_config(CONFIGS / "cub-ps.yaml") == read_config(CONFIGS / "benchmark.yaml", scales)


@pytest.mark.parametrize("name", ["cub"])
def test_the_splits_are_the_datasets_own(name: str) -> None:
    assert set(SPLITS.values()) == set(find_source(name).splits)

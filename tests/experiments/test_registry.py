"""The declared experiments: every variant is a configuration, and a name finds its experiment."""

from pathlib import Path

import pytest

from n3lib.experiments.registry import EXPERIMENTS, find_experiment
from n3lib.io.errors import N3Error

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_variant_is_a_configuration_and_none_is_twice(name: str) -> None:
    experiment = find_experiment(name)
    assert experiment.name == name
    configs = [experiment.settings(variant, CONFIGS) for variant in experiment.variants]
    assert len(set(map(repr, configs))) == len(configs) > 1


def test_a_variant_can_start_from_a_file_of_its_own() -> None:
    photographs = find_experiment("photographs")
    kinds = [photographs.settings(variant, CONFIGS).episodes.kind for variant in ("all-exemplar", "paper")]
    assert kinds == ["zero-shot", "paper"]


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(N3Error, match="depth") as refused:
        find_experiment("depth")
    assert all(name in str(refused.value) for name in EXPERIMENTS)

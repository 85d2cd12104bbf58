"""The declared experiments: every variant is a configuration, and a name finds its experiment."""

from pathlib import Path

import pytest

from n3lib.experiments.registry import EXPERIMENTS

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_variant_is_a_configuration_and_none_is_twice(name: str) -> None:
    experiment = EXPERIMENTS[name]
    assert experiment.name == name
    configs = [experiment.settings(variant, CONFIGS) for variant in experiment.variants]
    assert len(set(map(repr, configs))) == len(configs) > 1

"""Chapter 3: what is trained, and what the committed results have to show before they count."""

from pathlib import Path

import pytest

from n3lib.experiments.results import load_results
from n3lib.experiments.training import TRAINING

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_accuracy_comes_from_the_descriptions(seed: int) -> None:
    found = load_results(TRAINING.home(ROOT / "results") / "aviary", seed=seed, ways=40)
    accuracy = {(r["config"]["model"]["adapt"], r["text"]): r["metrics"]["per_class_accuracy"] for r in found}
    assert accuracy["all", "shuffled"] < 2 * 2.5  # chance is 2.5 %
    assert accuracy["all", "own"] > accuracy["classifier", "own"] > 10 * 2.5

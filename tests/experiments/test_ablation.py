"""The ablation's table: each variant against the first."""

from collections.abc import Callable
from pathlib import Path

from n3lib.experiments.ablation import ablation_table


def test_each_variant_is_compared_with_the_first_seed_by_seed(save: Callable[..., Path]) -> None:
    for variant, seed, accuracy in (("all", 0, 30.0), ("all", 1, 32.0), ("fixed-words", 1, 31.0)):
        folder = save("ablation", variant, seed, accuracy)
    rows = {row[0]: list(row[1:]) for row in ablation_table(folder).rows}
    assert rows["nothing: N3, shared offset and text-conditioned"] == ["31.0", "", ""]
    assert rows["no learned word weights"] == ["31.0", "-1.0", ""]  # against 32, not against the mean
    assert rows["no training"] == ["", "", ""]


def test_without_results_there_is_a_command(tmp_path: Path) -> None:
    assert "`n3 study ablation`" in ablation_table(tmp_path).note

"""Results from files, and tables of them."""

from pathlib import Path
from typing import Any

import pytest

from n3lib.errors import N3Error
from n3lib.files import write_json
from n3lib.results import Table, load_results, table


def result(seed: int, accuracy: float, **fields: Any) -> dict[str, Any]:
    metrics = {"per_class_accuracy": accuracy, "top5": 80.0, "average_precision": 50.0}
    return {
        "method": "n3",
        "dataset": "aviary",
        "ways": 20,
        "seed": seed,
        "chance": 5.0,
        "metrics": metrics,
        **fields,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_json(tmp_path / "a-0.json", result(0, 40.0))
    write_json(tmp_path / "a-1.json", result(1, 44.0))
    write_json(tmp_path / "b-0.json", result(0, 10.0, ways=40))
    return tmp_path


def test_results_are_chosen_by_their_fields(folder: Path) -> None:
    assert len(load_results(folder)) == 3
    assert [r["seed"] for r in load_results(folder, ways=20)] == [0, 1]
    assert len(load_results(folder, ways=(20, 40), seed=0)) == 2
    assert load_results(folder, dataset="cub") == load_results(folder / "nothing") == []


def test_another_json_file_is_refused_by_name(folder: Path) -> None:
    write_json(folder / "c.json", ["no result"])
    with pytest.raises(N3Error, match="c.json"):
        load_results(folder)


def test_a_table_has_mean_and_spread_over_seeds(folder: Path) -> None:
    shown = table(load_results(folder), ["method", "ways"], ["per_class_accuracy", "chance"])
    assert list(shown.head) == ["method", "ways", "per class accuracy (%)", "chance (%)", "seeds"]
    assert shown.rows == [["n3", "20", "42.0 ± 2.8", "5.0", "2"], ["n3", "40", "10.0", "5.0", "1"]]


def test_a_table_is_markdown() -> None:
    shown = Table(["a", "b"], [["1", ""]], note="So it is.")
    assert shown._repr_markdown_() == str(shown) == "| a | b |\n| --- | --- |\n| 1 |   |\n\nSo it is."


def test_an_empty_table_is_its_note() -> None:
    assert str(table([], note="Nothing yet.")).strip() == "Nothing yet."

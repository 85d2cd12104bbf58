"""Saliency inside the boxes of CUB: what is compared with what, and a measurement on real photographs."""

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from n3lib.data.dataset import ZeroShotDataset
from n3lib.evaluation import evaluate
from n3lib.experiments import box_saliency
from n3lib.experiments.box_saliency import box_table, measure
from n3lib.io.errors import N3Error
from n3lib.io.files import write_json
from n3lib.run import Run


def result(method: str, seed: int, inside: list[float]) -> dict[str, Any]:
    by_class = {"inside": inside, "even": [40.0, 20.0], "per_class_accuracy": [50.0, 60.0]}
    metrics = {name: sum(values) / 2 for name, values in by_class.items()}
    shape = {"dataset": "cub", "split": "SS", "ways": 2, "seed": seed, "environment": {}}
    return {"study": "saliency", "method": method, "metrics": metrics, "by_class": by_class} | shape


def test_methods_are_compared_class_by_class_with_n3_of_the_same_seed(tmp_path: Path) -> None:
    for name, one in {
        "a": result("n3-all-exemplar", 0, [60.0, 50.0]),
        "b": result("n3-classifier-exemplar", 0, [58.0, 51.0]),
        "c": result("n3-constant-exemplar", 1, [10.0, 10.0]),
    }.items():
        write_json(tmp_path / f"{name}.json", one | {"config": {"episodes": {"kind": "zero-shot"}}})
    even, n3, constant, only = box_table(tmp_path).rows
    assert even[1] == "30.0 ± 14.1"
    assert n3 == ["N3, every layer", "55.0 ± 7.1", "", "55.0"]
    assert constant[2] == ""  # there is no N3 of its seed
    assert only[1:3] == ["54.5 ± 4.9", "0.5 ± 2.1, more in 1 of 2 classes"]


def test_nothing_there(tmp_path: Path) -> None:
    assert "n3 saliency RUN" in str(box_table(tmp_path / "none"))


def of(run: Run, name: str, split: str) -> Run:
    """The same run, as if of another dataset."""
    return replace(run, config=replace(run.config, data=replace(run.config.data, name=name, split=split)))


def test_only_photographs_with_boxes(tiny_run: Run) -> None:
    with pytest.raises(N3Error, match="aviary PS has no boxes"):
        measure(of(tiny_run, "aviary", "PS"))
    with pytest.raises(N3Error, match="160/40 has no boxes"):
        measure(of(tiny_run, "cub", "160/40"))


def test_shares_and_accuracy_of_a_run(
    tiny_run: Run, small_world: ZeroShotDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boxes are the left quarter of every picture; what is left of the saliency is in the others."""

    def masks(columns: slice) -> Callable[..., np.ndarray]:
        def make(root: str, images: list[int], size: int) -> np.ndarray:
            mask = np.zeros((len(images), size, size), bool)
            mask[:, :, columns] = True
            return mask

        return make

    monkeypatch.setattr(box_saliency, "load_data", lambda config: small_world)
    run, told = dataclasses.replace(of(tiny_run, "cub", "SS"), image_size=16), []
    for columns in (slice(0, 4), slice(4, 16)):
        monkeypatch.setattr(box_saliency, "bird_masks", masks(columns))
        told.append(measure(run))
    assert [one["metrics"]["even"] for one in told] == [25, 75]
    assert told[0]["metrics"]["inside"] + told[1]["metrics"]["inside"] == pytest.approx(100, abs=1e-3)
    found = evaluate(tiny_run, small_world, ways=3)["metrics"]["per_class_accuracy"]
    assert told[0]["metrics"]["per_class_accuracy"] == pytest.approx(found, abs=1e-3)
    assert [len(values) for values in told[0]["by_class"].values()] == [3, 3, 3]

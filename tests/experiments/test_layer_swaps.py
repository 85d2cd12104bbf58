"""Layers adapted for another task, against a network whose layers are known to depend on the text."""

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from n3lib.data import load_data
from n3lib.experiments import layer_swaps
from n3lib.experiments.layer_swaps import (
    LAYERS,
    conditioning_check,
    measure_conditioning,
    swap_layers,
    swapped,
)
from n3lib.io import N3Error
from n3lib.run import Run
from n3lib.text.bank import Text


@pytest.fixture
def moved(tiny_run: Run) -> Run:
    """The tiny run with large changes, which depend on the text."""
    run = copy.deepcopy(tiny_run)
    with torch.no_grad():
        for decoder in run.model.labels2adaptation.decoders:
            decoder.out.weight.normal_()
        run.model.labels2adaptation.log_mu.fill_(0.0)
    return run


def test_layers_of_each_kind_are_used(moved: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    score = layer_swaps.score

    def spy(model, dataset, classes, adaptation, config):  # type: ignore[no-untyped-def]
        seen.append(adaptation.deltas)
        return score(model, dataset, classes, adaptation, config)

    monkeypatch.setattr(layer_swaps, "score", spy)
    data = load_data(moved.config.data)
    swap_layers(moved, data, moved.pipeline.bank(data.texts), 3, tasks=3)
    name = next(iter(seen[0]))
    own, other, mean = (seen[place][name] for place in range(3))
    second, third = seen[3][name], seen[6][name]
    assert (own - other).norm() > 1e-3 * own.norm()
    torch.testing.assert_close(mean, (second + third) / 2)


def test_layers_of_a_constant_adaptation_are_the_same_for_every_task(tiny_run: Run) -> None:
    even = copy.deepcopy(tiny_run)
    with torch.no_grad():
        for decoder in even.model.labels2adaptation.decoders:
            decoder.out.weight.zero_()
            decoder.out.bias.fill_(0.3)
    data = load_data(even.config.data)
    for scores in swap_layers(even, data, even.pipeline.bank(data.texts), 3, 3).values():
        assert scores["this task"] == scores["another task"] == scores["the mean of other tasks"]
        tasks = scores["this task"]["per_class"]
        assert [len({*task["classes"]} & {*data.split.test}) for task in tasks] == [3] * 3
        mean = sum(sum(task["accuracy"]) for task in tasks) / 9
        assert scores["this task"]["metrics"]["per_class_accuracy"] == pytest.approx(mean)


def test_where_there_are_groups_the_other_task_is_of_another(
    moved: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_data(moved.config.data)
    groups = tuple(c % 2 for c in range(len(data.classes)))
    asked: list[set[int]] = []
    bank = moved.pipeline.bank(data.texts)
    batch = bank.batch

    def spy(classes: list[int]) -> Text:
        asked.append({groups[c] for c in classes})
        return batch(classes)

    monkeypatch.setattr(bank, "batch", spy)
    found = swap_layers(moved, dataclasses.replace(data, groups=groups), bank, 3, 4)
    assert list(found) == ["random"]
    own, other = asked[:4], asked[4:]
    assert all(len(groups) == 1 for groups in asked)
    assert all(a.isdisjoint(b) for a, b in zip(own, other, strict=True))
    few = tuple(int(c in data.split.test[:2]) for c in range(len(data.classes)))
    with pytest.raises(N3Error, match="3 classes") as refused:
        swap_layers(moved, dataclasses.replace(data, groups=few), bank, 3, 4)
    assert "2 to 2 ways" in str(refused.value)


# What results say of it


def told(seed: int, varies: list[float], norms: list[float], swaps: Any = None) -> dict[str, Any]:
    """A result with the norm and the task-dependent fraction of every layer, and `swaps` of random tasks."""
    adaptation = {
        f"layer{k}": {"norm": n, "varies": v} for k, (n, v) in enumerate(zip(norms, varies, strict=True))
    }
    config = {"model": {"adapt": "all"}}
    result: dict[str, Any] = {"seed": seed, "config": config, "metrics": {}, "adaptation": adaptation}
    return result | ({"swaps": {"random": swaps}} if swaps else {})


def layers(*accuracies: list[float]) -> dict[str, Any]:
    per_class = [[{"classes": [*range(len(one))], "accuracy": one}] for one in accuracies]
    means = [{"per_class_accuracy": float(np.mean(one))} for one in accuracies]
    found = zip(LAYERS, means, per_class, strict=True)
    return {name: {"metrics": mean, "per_class": tasks} for name, mean, tasks in found}


def test_the_check_weighs_layers_by_their_norm_and_has_intervals() -> None:
    swaps = layers([80.0, 90.0], [70.0, 88.0], [80.0, 90.0])
    result = told(0, [40.0, 8.0], [1.0, 3.0], swaps=swaps)  # (40 + 3 * 8) / 4
    check = conditioning_check([result])
    assert check.startswith("16.0 % task-dependent; ")
    assert "another task -6.0 (-10.0 to -2.0)" in check
    assert "the mean of other tasks +0.0 (+0.0 to +0.0)" in check


def test_below_a_tenth_a_network_is_not_conditioned() -> None:
    assert conditioning_check([told(0, [10.0], [1.0])]) == "10.0 % task-dependent"
    assert conditioning_check([told(0, [10.0], [1.0]), told(1, [9.8], [2.0])]).endswith("not conditioned")


def test_only_text_conditioned_layers_are_checked() -> None:
    constant = told(0, [0.0], [1.0]) | {"config": {"model": {"adapt": "constant"}}}
    trained = told(0, [0.0], [1.0]) | {"config": {}, "training": {"model": {"adapt": "all"}}}
    bare = {name: value for name, value in told(0, [], []).items() if name != "adaptation"}
    assert conditioning_check([constant]) == conditioning_check([bare]) == conditioning_check([]) == ""
    assert conditioning_check([trained])


def test_swaps_of_older_results_have_means_alone() -> None:
    older = {"this task": [80.0, 90.0], "another task": [78.0, 90.0], "the mean of other tasks": [80.0, 91.0]}
    check = conditioning_check([told(0, [40.0], [1.0], swaps=older)])
    assert "another task -1.0, of the mean of other tasks +0.5" in check


def test_both_kinds_of_tasks_are_one_measurement() -> None:
    random, alike = layers([80.0], [80.0], [80.0]), layers([60.0], [56.0], [60.0])
    both = told(0, [40.0], [1.0], swaps=random)
    both["swaps"]["look-alikes"] = alike
    (found,) = swapped([both], "another task")
    assert found["metrics"]["per_class_accuracy"] == 68
    assert [task["accuracy"] for task in found["per_class"]] == [[80.0], [56.0]]
    (found,) = swapped([both], "another task", ["look-alikes"])
    assert found["metrics"]["per_class_accuracy"] == 56


def test_conditioning_is_measured_in_tasks_that_can_be_drawn(tiny_run: Run) -> None:
    data = load_data(tiny_run.config.data)
    bank = tiny_run.pipeline.bank(data.texts)
    found = measure_conditioning(tiny_run, data, bank, ways=10, tasks=2)
    assert {len(one["classes"]) for one in found["swaps"]["random"]["this task"]["per_class"]} == {4}
    assert all("varies" in layer for layer in found["adaptation"].values())
    config = dataclasses.replace(
        tiny_run.config, model=dataclasses.replace(tiny_run.config.model, adapt="classifier")
    )
    assert "swaps" not in measure_conditioning(dataclasses.replace(tiny_run, config=config), data, bank)


def test_more_classes_than_there_are_is_refused(tiny_run: Run) -> None:
    data = load_data(tiny_run.config.data)
    with pytest.raises(N3Error, match="7 classes.*8 test"):
        swap_layers(tiny_run, data, tiny_run.pipeline.bank(data.texts), 7, 2)

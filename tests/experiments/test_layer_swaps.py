"""Layers adapted for another task, against a network whose layers are known to depend on the text."""

import copy
import dataclasses

import pytest
import torch

from n3lib.data import load_data
from n3lib.experiments import layer_swaps
from n3lib.experiments.layer_swaps import swap_layers
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


def test_more_classes_than_there_are_is_refused(tiny_run: Run) -> None:
    data = load_data(tiny_run.config.data)
    with pytest.raises(N3Error, match="7 classes.*8 test"):
        swap_layers(tiny_run, data, tiny_run.pipeline.bank(data.texts), 7, 2)

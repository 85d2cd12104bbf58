"""The run that ships: what is measured of it is as its networks answer."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from n3lib.config import RunConfig
from n3lib.data.dataset import ZeroShotDataset
from n3lib.evaluation import drawn_tasks
from n3lib.experiments.expectations import expectations, known_classes, texts_to_write
from n3lib.experiments.ship import looks
from n3lib.run import train
from n3lib.synthesis import synthesize


@pytest.mark.parametrize("adapt", ["all", "constant"])
def test_what_is_expected_is_what_networks_do(
    adapt: str, small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    model = dataclasses.replace(small_config.model, adapt=adapt, shared_mu=1.0)
    config = dataclasses.replace(small_config, model=model, fit="trainval", mirror=True)
    run = train(config, tmp_path, dataset=small_world)
    found = expectations(run, small_world)
    assert [(one["tasks"], one["ways"]) for one in found["one_view"]] == [
        (kind, ways) for kind in ("random", "look-alikes") for ways in (2, 3)
    ]
    everyone = {small_world.classes[c]: small_world.texts[c] for c in small_world.split.test}
    plain = synthesize(dataclasses.replace(run, config=dataclasses.replace(config, mirror=False)), everyone)
    indices = small_world.indices(small_world.split.test)
    right = plain.probabilities(torch.from_numpy(small_world.images[indices])).argmax(1).numpy()
    accuracy = [100 * (right[small_world.labels[indices] == k] == k).mean() for k in range(3)]
    assert found["one_view"][1]["metrics"]["per_class_accuracy"] == pytest.approx(np.mean(accuracy), abs=0.1)

    assert {one["pictures"] for one in found["unknown"]} == {"other classes", "drawings", "noise"}
    told = next(one for one in found["unknown"] if one["pictures"] == "other classes")
    ready = dataclasses.replace(run, temperature=found["temperature"], familiar=found["familiar"])
    classes, rejected, accepted = np.array(small_world.split.test), [], []
    for _, task, _ in drawn_tasks(config.seed, classes, np.zeros(3, int), 2, 10):
        network = synthesize(ready, {small_world.classes[c]: small_world.texts[c] for c in task})
        own, rest = (
            network.judge(torch.from_numpy(small_world.images[small_world.indices(some)]))[1].float().mean()
            for some in (task.tolist(), np.setdiff1d(classes, task).tolist())
        )
        rejected.append(100 - 100 * own.item())
        accepted.append(100 * rest.item())
    assert told["rejected"] == pytest.approx(np.mean(rejected), abs=0.1)
    assert told["accepted"] == pytest.approx(np.mean(accepted), abs=0.1)
    assert 0 <= told["auroc"] <= 100


def test_sentences_about_looks_are_those_with_the_words_of_descriptors() -> None:
    descriptors = [["a red crown", "short bill"], ["red wings", "a short bill"], ["a spotted tail"]]
    article = [
        "It nests in May.",
        "Its bill is short.",
        "The tail is spotted.",  # words of one class's descriptors only
        "In winter many of them gather around lakes, rivers, and short fields of stubble and clover.",
        "Both sexes have a red bill.",
    ]
    assert looks([article], descriptors, 2) == [[article[1], article[4]]]
    assert looks([article[:1]], descriptors, 2) == [article[:1]]


def test_texts_to_write_are_measured_as_networks_of_them_answer(
    small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    further = tuple((f"A {name} with a red tail.",) for name in small_world.classes)
    world = dataclasses.replace(small_world, also=(further,))
    run = train(dataclasses.replace(small_config, fit="trainval"), tmp_path, dataset=world)
    found = {one["text"]: one for one in texts_to_write(run, world, None)}
    assert (
        found["article, first 1"]["words"] == 5 and found["name"]["words"] == 2
    )  # "The red long bill bird."
    assert found["article, first 40"]["per_class"] == found["article"]["per_class"]
    test = world.split.test
    for name, texts in (("further text 1", further), ("article and further text 1", None)):
        described = {world.classes[c]: texts[c] if texts else (*world.texts[c], *further[c]) for c in test}
        right = synthesize(run, described).probabilities(torch.from_numpy(world.images[world.indices(test)]))
        hits = right.argmax(1).numpy() == world.labels[world.indices(test)]
        expected = [100 * hits[world.labels[world.indices(test)] == c].mean() for c in test]
        assert found[name]["metrics"]["per_class_accuracy"] == pytest.approx(np.mean(expected), abs=0.1)


def test_known_classes_are_asked_for_by_name(
    small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    model = dataclasses.replace(small_config.model, adapt="constant", shared_mu=1.0)
    run = train(dataclasses.replace(small_config, model=model), tmp_path, dataset=small_world)
    seen, rng = small_world.split.train, np.random.default_rng(3)
    noise = rng.integers(-40, 40, small_world.images.shape)
    other = dataclasses.replace(
        small_world, images=(small_world.images + noise).clip(0, 255).astype(np.uint8)
    )
    network = synthesize(run, dict.fromkeys(small_world.classes[c] for c in seen))
    indices = other.indices(seen)
    hits = np.array(seen)[network.probabilities(torch.from_numpy(other.images[indices])).argmax(1)]
    labels = other.labels[indices]
    expected = np.mean([100 * (hits[labels == c] == c).mean() for c in seen])
    for one in known_classes(run, other):  # of tasks of all eight classes
        assert one["accuracy"] == pytest.approx(expected, abs=0.1)
        # Where all tasks share the layers, a class's row is its own, whatever else is asked for.
        assert one["restricted"] == pytest.approx(one["accuracy"], abs=0.1)

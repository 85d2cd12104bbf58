"""Chapter 12: the dialects without moving a layer."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from n3lib.data import load_data
from n3lib.episodes import draw_task
from n3lib.experiments import dialects
from n3lib.experiments.conditioning import DIALECTS
from n3lib.io import read_json
from n3lib.metrics import extract
from n3lib.run import Run, train

CONFIGS = Path(__file__).parents[2] / "configs"
WAYS, TASKS = 3, 2


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Run:
    small = ["--data.preset=tiny", "--episodes.ways=4", "--episodes.support=0"]
    config = DIALECTS.settings("frozen", CONFIGS, small)
    config = dataclasses.replace(config, episodes=dataclasses.replace(config.episodes, ways=2, support=0))
    return train(config, tmp_path_factory.mktemp("dialects") / "run")


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def test_the_frozen_classifiers_against_plain_computations(
    frozen: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialects, "WEIGHTS", (10.0,))
    monkeypatch.setattr(dialects, "STRENGTHS", (0.01,))
    data = load_data(frozen.config.data)
    bank = frozen.pipeline.bank(data.texts)
    found = dialects.measure_controls(frozen, data, WAYS, TASKS)["controls"]
    model, seen = frozen.model, np.array(data.split.part(frozen.config.fit))
    groups, test = np.array(data.groups), np.array(data.split.test)
    named = np.isin(frozen.pipeline.tfidf.vocabulary, ["alder", "birch", "cedar"])
    x = unit(bank.tfidf.double().numpy() * np.where(named, 10, 1))
    exemplars = model.exemplars.double().numpy()
    poly = KernelRidge(alpha=0.01, kernel="poly", degree=2, gamma=1, coef0=0)
    poly.fit(x[seen], exemplars - exemplars.mean(0))
    for number in range(TASKS):
        rng = np.random.default_rng([frozen.config.seed, 11, number])
        task = test[draw_task(rng, WAYS, groups[test])[0]]
        indices = np.flatnonzero(np.isin(data.labels, task))
        features = extract(model.backbone, data.images, indices).double().numpy()
        z = (features - model.center.numpy()) @ model.transform.double().numpy().T
        own = groups[seen] == groups[task[0]]
        rows = model.adapt(bank.batch(task.tolist()), torch.from_numpy(np.flatnonzero(own)))
        logits = {
            "observer by word": z @ unit(poly.predict(x[task])).T,
            "same observer": features @ rows.weight.detach().double().numpy().T + rows.bias.detach().numpy(),
        }
        for name, values in logits.items():
            right = task[values.argmax(1)] == data.labels[indices]
            by_class = [right[data.labels[indices] == c].mean() for c in task]
            assert found[name]["per_class"][number] == {
                "classes": task.tolist(),
                "accuracy": pytest.approx(100 * np.array(by_class), abs=0.01),
            }


def test_a_network_per_observer_is_trained_on_that_observers_classes_alone(tmp_path: Path) -> None:
    small = ["--data.preset=tiny", "--train.steps=2", "--train.every=2", "--episodes.batch_size=4"]
    config = DIALECTS.settings("constant", CONFIGS, small)
    config = dataclasses.replace(config, episodes=dataclasses.replace(config.episodes, ways=2, support=0))
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, steps=2, every=2))
    run = train(config, tmp_path / "run")
    data = load_data(config.data)
    found = dialects.measure_controls(run, data, WAYS, TASKS)["controls"]["network per observer"]
    assert [len(task["classes"]) for task in found["per_class"]] == [WAYS] * TASKS
    for group in range(3):
        card = read_json(run.folder / f"observer-{group}" / "run.json")
        assert {data.groups[data.classes.index(name)] for name in card["seen_classes"]} == {group}
    assert found["metrics"]["per_class_accuracy"] == pytest.approx(
        np.mean([task["accuracy"] for task in found["per_class"]])
    )
